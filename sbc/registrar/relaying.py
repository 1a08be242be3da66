"""What a REGISTER and its response look like on the other side of the border.

The registrar sees a Contact of ours with a token for each of the phone's; the phone sees its own.
Credentials and challenges pass untouched, since digest is between phone and registrar (RFC 3261
§22); what names one side to the other is made anew.

Spec: RFC 3261 §10, RFC 5853 §3.1 and §3.4.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2s

from sbc.policy.manipulation import Manipulation
from sbc.policy.manipulation_values import End
from sbc.policy.topology import (
    NIL_UUID,
    carry,
    identity,
    may_say,
    session_id,
    session_uuid,
    uuid_of,
)
from sbc.routing.facing import bracketed, sent_by
from sbc.routing.model import Listener, Network
from sbc.sip.fields.name_addr import NameAddr
from sbc.sip.flow import Flow
from sbc.sip.headers import Headers
from sbc.sip.message import Request, Response, make_response


@dataclass(frozen=True, slots=True)
class Upstream:
    """The registrar a REGISTER is relayed to."""

    peer: str
    flow: Flow
    host: str
    """Domain or address that stands in its Request-URI, From and To."""
    port: int | None
    """Port of the Request-URI; None for a domain or the default."""


@dataclass(frozen=True, slots=True)
class Face:
    """The phone or the registrar, as topology hiding needs to know it."""

    trusted: bool
    our_host: str
    sent_by: str
    hidden: tuple[str, ...]

    def secrets(self) -> Iterable[str]:
        """What the other side must not see."""
        return self.hidden


class Pseudonyms:
    """Names that are the same for the same thing and mean nothing without the secret."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def use(self, secret: bytes) -> None:
        """Go on with another secret: names that were made before stay as they are."""
        self._secret = secret

    def of(self, *parts: str) -> str:
        """16 hexadecimal digits that depend on all parts."""
        text = "\0".join(parts).encode("utf-8", "surrogateescape")
        return blake2s(text, digest_size=8, key=self._secret).hexdigest()


def face_of(network: Network, listener: Listener, flow: Flow, *hidden: str) -> Face:
    """How one side of a REGISTER is seen from the other."""
    ours = listener.advertise
    return Face(network.trusted, ours, sent_by(listener), (flow.remote[0], ours, *hidden))


def forwarded(
    request: Request,
    upstream: Upstream,
    contacts: Iterable[str],
    ref: str,
    *,
    extras: Sequence[tuple[str, str]],
    phone: Face,
    registrar: Face,
    names: Pseudonyms,
    server_header: str | None,
    manipulation: Manipulation | None = None,
) -> Request:
    """The REGISTER as the registrar gets it.

    Args:
        contacts: Ours, one for each of the phone's.
        extras: Headers of our own.
        ref: Branch of our request.
        manipulation: What is changed of headers; None for nothing.

    Raises:
        ParseError: a header that must be understood is malformed (400).
    """
    headers = Headers()
    transport = upstream.flow.transport.upper()
    headers.append("Via", f"SIP/2.0/{transport} {registrar.sent_by};branch={ref};rport")
    hops = request.max_forwards
    headers.append("Max-Forwards", str((70 if hops is None else hops) - 1))
    call_id = request.call_id
    tag = names.of("tag", call_id, request.from_tag or "")
    source = request.headers
    headers.append("From", identity(source.first("from") or "", upstream.host, tag))
    headers.append("To", identity(source.first("to") or "", upstream.host, None))
    # The same Call-ID for the same phone keeps CSeq order meaningful (RFC 3261 §10.2.4).
    headers.append("Call-ID", names.of("call-id", call_id) + names.of("id", call_id))
    headers.append("CSeq", f"{request.cseq.number} REGISTER")
    if request.contact_is_star:
        headers.append("Contact", "*")
    for contact in contacts:
        headers.append("Contact", contact)
    carry(request, headers, phone, registrar)
    for name, value in extras:
        headers.append(name, value)
    uuid = session_uuid(request)
    if uuid is None:
        uuid = uuid_of(names.of("uuid", call_id) + names.of("more", call_id))
    headers.append("Session-ID", session_id(uuid, NIL_UUID))
    if server_header:
        headers.append("User-Agent", server_header)
    port = f":{upstream.port}" if upstream.port else ""
    uri = f"{request.uri.scheme}:{bracketed(upstream.host)}{port}"
    asked = Request("REGISTER", uri, headers)
    if manipulation is not None:
        manipulation.leave(asked, request, End(upstream.peer, upstream.flow.network))
    return asked


def restored(
    request: Request,
    response: Response,
    contacts: Sequence[NameAddr],
    *,
    extras: Sequence[tuple[str, str]],
    phone: Face,
    registrar: Face,
    names: Pseudonyms,
    server_header: str | None,
) -> Response:
    """The registrar's response as the phone gets it.

    Args:
        request: The phone's own.
        contacts: The registrar's, as the phone knows them.
        extras: Headers of our own, in place of the registrar's.
    """
    # Nothing keeps a registrar from naming machines behind it in its reason phrase.
    said = response.reason if may_say(response.reason, response, registrar) else ""
    tag = names.of("to", request.call_id)
    answer = make_response(request, response.status, said or None, tag)
    for contact in contacts:
        answer.headers.append("Contact", str(contact))
    carry(response, answer.headers, registrar, phone)
    for name, _ in extras:
        answer.headers.remove(name.lower())
    for name, value in extras:
        answer.headers.append(name, value)
    if server_header:
        answer.headers.append("Server", server_header)
    return answer
