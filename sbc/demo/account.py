"""Who we say we are, and how we prove it when asked.

Spec: RFC 3261 §22.2, §22.3.
"""

from dataclasses import dataclass, field

from sbc.sip.digest import Login
from sbc.sip.message import Request, Response


@dataclass(frozen=True, slots=True)
class Account:
    """A user of a PBX."""

    user: str
    domain: str
    """The PBX's domain or address, as it stands in the address of record."""
    password: str = field(repr=False)
    display_name: str = ""

    @property
    def address_of_record(self) -> str:
        """The From and To value of a REGISTER, without a tag."""
        name = f'"{self.display_name}" ' if self.display_name else ""
        return f"{name}<sip:{self.user}@{self.domain}>"

    def prove(
        self, refused: Request, challenged: Response, via: str, cnonce: str
    ) -> Request | None:
        """The next attempt at a refused request, with credentials; None when we have none.

        Args:
            refused: what was refused.
            challenged: the response that refused it.
            via: a Via value with a fresh branch.
            cnonce: fresh random text.
        """
        headers = refused.headers.copy()
        headers.set("Via", via)
        headers.set("CSeq", f"{refused.cseq.number + 1} {refused.method}")
        again = Request(refused.method, refused.uri_text, headers, refused.body)
        answered = headers.has("authorization") or headers.has("proxy-authorization")
        login = Login(self.user, self.password)
        return again if login.answer(again, challenged, cnonce, int(answered)) else None
