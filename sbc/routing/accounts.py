"""Who logs in where: our accounts at peers, and the users who log in here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sbc.sip.digest import Login

ANYBODY = "*"
"""Among the addresses of a user: it may be whoever it says it is."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user name and password of ours at a peer. No text of it shows the password."""

    username: str
    password: str = field(repr=False)
    realm: str | None = None
    """The only realm whose challenges are answered; None for whichever the peer names."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in here."""

    name: str
    hashes: Mapping[str, str] = field(repr=False, hash=False)
    """H(name:realm:password) by algorithm, hexadecimal; as secret as the password."""
    aors: frozenset[str] = frozenset({ANYBODY})
    """User parts that it may call itself in From, and register; or `ANYBODY`."""

    def may_be(self, user: str) -> bool:
        """Whether it may use an address of record with that user part."""
        return ANYBODY in self.aors or user in self.aors


@dataclass(frozen=True, slots=True)
class Realm:
    """What requests of a peer are challenged for, and by whom that can be met."""

    name: str
    users: Mapping[str, User] = field(repr=False, hash=False)
    """By name."""
    algorithms: tuple[str, ...] = ("SHA-256", "MD5")
    """Strongest first. Every user has a hash for each."""
    qop: frozenset[str] = frozenset({"auth"})
    nonce_s: float = 300.0
    """How long a challenge can be answered."""
    tells_peer: bool = False
    """Whether credentials show that a request is the peer's, wherever it comes from."""


class Logins:
    """The logins of this process at its peers, each shared by all that speaks to the peer.

    They hold passwords and what was learned of challenges; they never leave the process.
    """

    __slots__ = ("_accounts", "_logins")

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._logins: dict[str, Login] = {}

    def configure(self, accounts: Iterable[tuple[str, Account | None]]) -> None:
        """Take the accounts of the peers of these names; what is unchanged is kept as it is."""
        new = {name: account for name, account in accounts if account is not None}
        self._logins = {
            name: self._logins[name]
            if self._accounts.get(name) == account
            else Login(account.username, account.password, account.realm)
            for name, account in new.items()
        }
        self._accounts = new

    def of(self, peer: str) -> Login | None:
        """The login at a peer; None for one whose challenges are not ours to answer."""
        return self._logins.get(peer)
