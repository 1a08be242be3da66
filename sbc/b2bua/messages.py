"""Building what a call says: requests in a leg's dialog and answers to a leg's requests."""

from sbc.b2bua.call import Call
from sbc.b2bua.causes import plain
from sbc.b2bua.credentials import branch, build_ack, hide_authentication, prove
from sbc.b2bua.identities import may_tell
from sbc.b2bua.leg import Leg
from sbc.b2bua.manipulating import leave
from sbc.policy.identity import Party, Passage, pass_identities
from sbc.policy.topology import (
    NIL_UUID,
    carry,
    may_say,
    session_id,
    session_uuid,
    uuid_of,
)
from sbc.sip.dialog import MAX_FORWARDS
from sbc.sip.headers import Headers
from sbc.sip.message import Message, Request, Response, make_response
from sbc.sip.reasons import reason_of
from sbc.sip.user import Respond, SendAck

SDP_TYPE = "application/sdp"

ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, MESSAGE, NOTIFY"
"""What a call relays or answers (RFC 3261 §20.5)."""

CONTACT_METHODS = frozenset({"INVITE", "UPDATE"})
"""Target refresh requests: they and their 2xx carry Contact (RFC 3261 §12.2)."""

Extra = tuple[tuple[str, str], ...]
"""Headers that only one message has, by name and value."""


def answer(
    call: Call,
    leg: Leg,
    key: str,
    request: Request,
    status: int,
    *,
    source: Response | None = None,
    origin: Leg | None = None,
    sdp: bytes | None = None,
    extra: Extra = (),
    default: Extra = (),
    phrase: str = "",
) -> Response:
    """Queue a response to a request that came from `leg`.

    Args:
        source: The other leg's response it stands for; what may pass of it is carried.
        origin: The leg that `source` came from; None for the other leg as it is now.
        sdp: Our description for the leg; replaces whatever body `source` had.
        default: Headers it has where `source` brought none of that name.
        phrase: Reason phrase where there is no source; empty for the registered one.
    """
    if status == 100:
        response = make_response(request, status)
        call.out.append(Respond(key, response, leg.side.value))
        return response
    # RFC 3261 §12.1.1: what sets a dialog up brings the proxies on the leg's own way back to it.
    joins = status < 300 and request.method == "INVITE"
    origin = origin or call.other(leg.side)
    reason = _reason(origin, source) if source is not None else phrase or None
    response = make_response(request, status, reason, leg.local_tag, record_route=joins)
    headers = response.headers
    if status < 300 and request.method in CONTACT_METHODS:
        headers.append("Contact", leg.contact)
    if source is not None:
        _carry(call, source, headers, origin, leg)
    for name, value in extra:
        headers.append(name, value)
    headers.append("Session-ID", session_id(origin.uuid, leg.uuid))
    if call.context.settings.server_header:
        headers.append("Server", call.context.settings.server_header)
    for name, value in default:
        if not headers.has(name.lower()):
            headers.append(name, value)
    _attach_body(response, source, sdp)
    leave(call, leg, response, source, origin)
    call.out.append(Respond(key, response, leg.side.value))
    return response


def dress(
    call: Call,
    leg: Leg,
    request: Request,
    source: Message | None,
    sdp: bytes | None,
    extra: Extra = (),
) -> Request:
    """Give a request to `leg` what it carries of `source`, our identity, body and credentials.

    Args:
        extra: Headers that only this request has.
    """
    headers = request.headers
    if request.method in CONTACT_METHODS:
        headers.append("Contact", leg.contact)
    if source is not None:
        _carry(call, source, headers, call.other(leg.side), leg)
    headers.append("Session-ID", session_id(call.other(leg.side).uuid, leg.uuid))
    if call.context.settings.server_header:
        headers.append("User-Agent", call.context.settings.server_header)
    for name, value in extra:
        headers.append(name, value)
    _attach_body(request, source, sdp)
    leave(call, leg, request, source)
    prove(call, leg, request)
    return request


def request_in_dialog(
    call: Call,
    leg: Leg,
    method: str,
    source: Request | None,
    sdp: bytes | None,
    extra: Extra = (),
) -> tuple[str, Request]:
    """A request in the leg's dialog, and its branch.

    Args:
        source: The other leg's request that is passed on, read so far that its Max-Forwards is
            known to be good; it counts down (RFC 7332 §3). None for a request of our own.
        extra: Headers that only this request has.
    """
    assert leg.dialog is not None, "a request needs a dialog"
    ref = branch(call)
    hops = source.max_forwards if source is not None else None
    hops = MAX_FORWARDS if hops is None else hops - 1
    request = leg.dialog.build_request(method, ref, leg.sent_by, hops)
    return ref, dress(call, leg, request, source, sdp, extra)


def acknowledge(call: Call, leg: Leg, cseq: int, sdp: bytes | None = None) -> None:
    """Queue the ACK to a 2xx of `leg` and remember it for repetition."""
    assert leg.dialog is not None, "an ACK to a 2xx needs its dialog"
    ack = build_ack(call, leg, leg.dialog, cseq)
    _attach_body(ack, None, sdp)
    call.acks[leg.side] = ack
    call.out.append(SendAck(leg.flow, ack, leg.side.value))


def passage(call: Call, origin: Leg, receiver: Leg) -> Passage:
    """The way of callers' and callees' identities from a leg to the other."""
    return Passage(_party(call, origin), _party(call, receiver), call.context.plan)


def has_sdp(message: Message) -> bool:
    """Whether the body is a session description that we can read."""
    return (
        bool(message.body)
        and message.content_type == SDP_TYPE
        and not message.headers.has("content-encoding")
    )


def body_kind(message: Message) -> str:
    """What a body is that is no readable session description, in words for Warning."""
    encoding = message.headers.first("content-encoding")
    kind = message.content_type or "of no stated type"
    return f"{kind}, encoded as {encoding}" if encoding is not None else kind


def learn_uuid(call: Call, leg: Leg, message: Message) -> None:
    """Take the Session-ID of the leg's endpoint, or make one for it that says none (RFC 7989)."""
    uuid = session_uuid(message)
    if uuid is not None:
        leg.uuid = uuid
    elif leg.uuid == NIL_UUID:
        ids = call.context.ids
        leg.uuid = uuid_of(ids.token() + ids.token())


def warning(leg: Leg, text: str) -> tuple[str, str]:
    """A Warning header for a leg (RFC 3261 §20.43)."""
    return ("Warning", f'399 {leg.sent_by} "{plain(text)}"')


def retry_after(call: Call) -> tuple[str, str]:
    """Retry-After of 0 to 10 seconds at random (RFC 3261 §14.2, RFC 3311 §5.2)."""
    return ("Retry-After", str(int(call.context.ids.token(), 16) % 11))


def reason_given(leg: Leg, message: Message) -> str | None:
    """The Reason (RFC 3326) that a leg gave for ending, if the other leg may know it."""
    values = message.headers.all("reason")
    if not values:
        return None
    text = ", ".join(values)
    return text if may_say(text, message, leg) else None


def _reason(origin: Leg, source: Response) -> str | None:
    """The reason phrase to repeat; None for the registered one."""
    reason = source.reason
    if reason == reason_of(source.status) or may_say(reason, source, origin):
        return reason
    return None


def _party(call: Call, leg: Leg) -> Party:
    peer = call.context.peers.get(leg.peer)
    if peer is None:
        shown = leg.presentation
        return Party(leg.trusted, leg.our_host, registered=leg.registered, presentation=shown)
    return Party(
        leg.trusted, leg.our_host, peer.identity, peer.numbers, leg.registered, leg.presentation
    )


def _carry(call: Call, source: Message, headers: Headers, origin: Leg, receiver: Leg) -> None:
    withheld = carry(source, headers, origin, receiver)
    hide_authentication(call, origin, headers)
    told = may_tell(call, origin, receiver, source)
    pass_identities(source, headers, passage(call, origin, receiver), told=told)
    if withheld:
        names = ", ".join(withheld)
        call.note("decision", f"withheld, since they name the other side: {names}", receiver.side)


def _attach_body(message: Message, source: Message | None, sdp: bytes | None) -> None:
    if sdp is not None:
        message.headers.append("Content-Type", SDP_TYPE)
        message.body = sdp
    elif source is not None and source.body and source.content_type != SDP_TYPE:
        content_type = source.headers.first("content-type")
        if content_type is not None:
            message.headers.append("Content-Type", content_type)
            message.body = source.body
