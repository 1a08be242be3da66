"""The account by which we log in at a peer."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Account:
    """A user name and password of ours at a peer. No text of it shows the password."""

    username: str
    password: str = field(repr=False)
    realm: str | None = None
    """The only realm whose challenges are answered; None for whichever the peer names."""
