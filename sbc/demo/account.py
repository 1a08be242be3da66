"""Who we say we are, and how we prove it when asked.

Spec: RFC 3261 §22.2, §22.3.
"""

from dataclasses import dataclass, field

from sbc.demo.digest import answer, choose
from sbc.sip.message import Request, Response

_HEADERS = {
    401: ("www-authenticate", "Authorization"),
    407: ("proxy-authenticate", "Proxy-Authorization"),
}


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
        if challenged.status not in _HEADERS:
            return None
        asks, answers = _HEADERS[challenged.status]
        challenge = choose(challenged.headers.all(asks))
        # A second challenge is worth an answer only if our first nonce was merely too old.
        if challenge is None or (refused.headers.has(answers.lower()) and not challenge.stale):
            return None
        credentials = answer(
            challenge,
            self.user,
            self.password,
            method=refused.method,
            uri=refused.uri_text,
            cnonce=cnonce,
            nonce_count=1,
        )
        headers = refused.headers.copy()
        headers.set("Via", via)
        headers.set("CSeq", f"{refused.cseq.number + 1} {refused.method}")
        headers.set(answers, str(credentials))
        return Request(refused.method, refused.uri_text, headers, refused.body)
