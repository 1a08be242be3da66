"""How we register with a trunk, as the configuration says it."""

from dataclasses import dataclass

from sbc.sip.message import Request
from sbc.sip.uri import Uri


@dataclass(frozen=True, slots=True)
class Registering:
    """The address-of-record that a trunk knows us by, and the contact it is to call."""

    user: str
    """User part of the address-of-record, escaped as a URI has it."""
    domain: str
    """Its host, a name or a numeric address."""
    registrar: str
    """Host of the Request-URI (RFC 3261 §10.2)."""
    contact: str
    """User part of our Contact, escaped as a URI has it: what the trunk's calls to us name."""
    expires_s: int = 600
    """Asked for; the registrar may grant less, or insist on more."""

    def is_same_line(self, other: "Registering") -> bool:
        """Whether both would make one binding, so that one can take the other's place."""
        return (self.user, self.domain, self.registrar, self.contact) == (
            other.user,
            other.domain,
            other.registrar,
            other.contact,
        )


def called_uri(request: Request, registering: Registering | None) -> Uri:
    """Whom a request calls: what its Request-URI names, or To where that is only our contact.

    A trunk that we register with may call the contact that we registered, and then only To says
    which of our numbers was dialled.

    Raises:
        ParseError: the Request-URI or To is malformed (400).
    """
    uri = request.uri
    if registering is None or uri.user != registering.contact:
        return uri
    to = request.to.uri
    return to if to.user else uri
