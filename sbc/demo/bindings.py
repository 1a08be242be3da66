"""Where the PBX's users are.

Spec: RFC 3261 §10.3.
"""

from dataclasses import dataclass

from sbc.sip.errors import SipError
from sbc.sip.fields.name_addr import NameAddr
from sbc.sip.flow import Flow
from sbc.sip.message import Request
from sbc.sip.uri import Uri, uris_equal

SHORTEST_S, LONGEST_S, USUAL_S = 10, 3600, 300


@dataclass(frozen=True, slots=True)
class Binding:
    """One contact of a user."""

    uri: Uri
    flow: Flow
    """Where its REGISTER came from, and where its calls go."""
    expires_at: float
    call_id: str
    cseq: int


class Bindings:
    """The contacts of all users, by user name."""

    def __init__(self) -> None:
        self._of: dict[str, list[Binding]] = {}

    def of(self, user: str, now: float) -> list[Binding]:
        """The live contacts of a user, the latest first."""
        live = [binding for binding in self._of.get(user, []) if binding.expires_at > now]
        self._of[user] = live
        return live

    def users(self, now: float) -> list[str]:
        """Who is registered."""
        return sorted(user for user in list(self._of) if self.of(user, now))

    def register(self, user: str, request: Request, flow: Flow, now: float) -> None:
        """Do what a REGISTER asks for, or nothing of it.

        Raises:
            SipError: 400 for a bad ``*``, 423 for a contact that is to expire too soon, 500
                for a request that came out of order.
        """
        if request.contact_is_star:
            if request.expires != 0:
                raise SipError(400, "Contact * goes with Expires 0 only")
            self._of.pop(user, None)
            return
        bindings = self.of(user, now)
        for contact in request.contacts:
            expires_s = _expires_s(contact, request)
            known = [binding for binding in bindings if uris_equal(binding.uri, contact.uri)]
            for binding in known:
                if binding.call_id == request.call_id and binding.cseq >= request.cseq.number:
                    raise SipError(500, "REGISTER out of order")
            bindings = [binding for binding in bindings if binding not in known]
            if expires_s:
                bindings.insert(
                    0,
                    Binding(
                        contact.uri, flow, now + expires_s, request.call_id, request.cseq.number
                    ),
                )
        self._of[user] = bindings


def _expires_s(contact: NameAddr, request: Request) -> int:
    text = contact.param("expires")
    asked = int(text) if text is not None and text.isdigit() else request.expires
    seconds = USUAL_S if asked is None else asked
    if 0 < seconds < SHORTEST_S:
        raise SipError(423, "Interval Too Brief")
    return min(seconds, LONGEST_S)
