"""Offer/answer of two legs: what one leg describes is described anew to the other.

Each leg has its own negotiation with us. What one leg offers is offered to the other with our
addresses, our ports and our keys; nothing of a description is copied but what
`sbc.policy.description` allows.

Spec: RFC 3264, RFC 6337, RFC 4568 (SDES), RFC 5761 (rtcp-mux), RFC 5853 §3.2 and §3.3.
"""

from media.types import SideName
from sbc.b2bua import crypto, lines
from sbc.b2bua.call import Call, MediaPort
from sbc.b2bua.commands import ApplyMedia
from sbc.b2bua.leg import Leg
from sbc.b2bua.plan import plan_of
from sbc.policy.codecs import objection, shaped
from sbc.policy.description import carried_attributes, may_key, offered_protocol, relayable
from sbc.policy.repair import symptoms
from sbc.sdp.attributes.direction import Direction, answer_direction
from sbc.sdp.attributes.rtcp import RTCP_MUX
from sbc.sdp.description import Connection, MediaDescription, Origin, SessionDescription
from sbc.sdp.errors import OfferAnswerError, SdpError
from sbc.sdp.offer_answer import NegotiationState
from sbc.sdp.parser import parse_sdp_untrusted, serialize_sdp

MAX_LINES = 8
"""m-lines in one call, above which it is 488: each costs two port pairs."""


class Unacceptable(Exception):
    """A description that cannot be used; the text names the line or the rule.

    The text may quote the leg that described, so it is for that leg and the journal only.
    """

    def __init__(self, status: int, text: str, *, retry: bool = False) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.retry = retry
        """Whether the response must carry Retry-After (RFC 3261 §14.2)."""


def offer_received(call: Call, side: SideName, body: bytes) -> None:
    """Take an offer from a leg and reserve what it needs on both sides.

    Raises:
        Unacceptable: 488 malformed or nothing in it can be relayed; 491 or 500 out of turn.
        PortsExhausted: no port is left on a network.
    """
    leg = call.leg(side)
    offer = _parsed(body)
    for text in symptoms(offer) if leg.peer else ():
        call.note("decision", f"peer {leg.peer!r} {text}", side)
    if len(offer.media) > MAX_LINES:
        raise Unacceptable(488, f"{len(offer.media)} m-lines; at most {MAX_LINES} are relayed")
    reasons = [_unusable(leg, media) for media in offer.media]
    _check_something_is_left(offer, reasons)
    try:
        leg.negotiation.offer_received(offer)
    except OfferAnswerError as error:
        raise Unacceptable(error.status, error.reason, retry=error.retry_after) from None
    for index, (media, reason) in enumerate(zip(offer.media, reasons, strict=True)):
        if reason is None:
            lines.reserve(call, side, index, media.kind)
        elif not media.rejected:
            call.note("decision", f"m-line {index + 1} not relayed: {reason}", side)


def offer_to(call: Call, side: SideName) -> bytes:
    """Offer to a leg what the other leg offered to us.

    Raises:
        Unacceptable: 488, nothing of it may pass to the leg; 491, the leg's negotiation does not
            allow an offer now.
        PortsExhausted: no port is left on the leg's network.
    """
    leg, other = call.leg(side), call.other(side)
    source = other.negotiation.pending_offer
    assert source is not None, "an offer is passed on only when there is one"
    media = []
    reasons = []
    for index, theirs in enumerate(source.media):
        usable = shaped(theirs, other.rules.codecs)
        reason = _unusable(other, theirs) or _unoffered(leg, usable)
        reasons.append(reason)
        if reason is not None:
            media.append(_rejected(theirs))
            continue
        port = lines.reserve(call, side, index, theirs.kind).port(side)
        offered = shaped(usable, leg.rules.codecs)
        media.append(_offered_media(call, leg, index, port, offered, source))
    _check_something_is_left(source, reasons)
    description = _description(call, leg, media)
    try:
        leg.negotiation.offer_sent(description)
    except OfferAnswerError as error:
        raise Unacceptable(error.status, error.reason) from None
    return serialize_sdp(description)


def answer_received(call: Call, side: SideName, body: bytes, *, early: bool = False) -> None:
    """Take a leg's answer to our offer; `early` in an unreliable provisional response.

    Raises:
        Unacceptable: 488, malformed or no answer to what was offered.
    """
    leg, other = call.leg(side), call.other(side)
    answer = _parsed(body)
    offer = leg.negotiation.pending_offer
    for index, media in enumerate(answer.media):
        if media.rejected:
            continue
        reason = _unusable(leg, media) or objection(media, other.rules.codecs)
        if reason is not None:
            raise Unacceptable(488, f"the answer cannot be used: {reason}")
        if "SAVP" not in media.protocol or offer is None or index >= len(offer.media):
            continue
        if crypto.pair_of(offer.media[index], media) is None:
            text = f"m-line {index + 1} answers with a crypto tag or suite that was not offered"
            raise Unacceptable(488, text)
    try:
        leg.negotiation.answer_received(answer, early=early)
    except OfferAnswerError as error:
        raise Unacceptable(error.status, error.reason) from None


def answer_missing(call: Call, side: SideName) -> None:
    """The 2xx brought no answer: an early one becomes it.

    Raises:
        Unacceptable: 488, there was none.
    """
    try:
        call.leg(side).negotiation.ended_without_answer()
    except OfferAnswerError as error:
        raise Unacceptable(error.status, error.reason) from None


def answer_to(call: Call, side: SideName, *, early: bool = False) -> bytes:
    """Answer a leg's offer with what the other leg answered to us.

    Raises:
        Unacceptable: 488 or 500, the other leg's answer does not fit the leg's offer.
    """
    leg, other = call.leg(side), call.other(side)
    offer, source = leg.negotiation.pending_offer, other.negotiation.remote
    if offer is None or source is None or len(offer.media) != len(source.media):
        raise Unacceptable(500, "there is no offer that this answers")
    media = []
    for index, (asked, theirs) in enumerate(zip(offer.media, source.media, strict=True)):
        line = lines.line_at(call, index)
        if line is None or theirs.rejected or _unusable(leg, asked) is not None:
            media.append(_rejected(asked))
            continue
        wanted = source.effective_direction(theirs)
        direction = answer_direction(asked.direction(offer), wanted)
        said = shaped(theirs, (*leg.rules.codecs, *other.rules.codecs), ordered=False)
        media.append(_answered_media(call, leg, line.port(side), index, asked, said, direction))
    description = _description(call, leg, media)
    try:
        leg.negotiation.answer_sent(description, early=early)
    except OfferAnswerError as error:
        raise Unacceptable(error.status, error.reason) from None
    return serialize_sdp(description)


def expect_late_offer(call: Call) -> None:
    """Reserve one stream before the callee rings, since the offer comes with its answer.

    Raises:
        PortsExhausted: no port is left on a network.
    """
    lines.reserve(call, SideName.B, 0, "audio")


def roll_back(call: Call) -> None:
    """A re-offer failed: both legs keep what they had (RFC 3261 §14.1)."""
    for leg in (call.a, call.b):
        leg.negotiation.rollback()
    lines.put_back(call)


def settle(call: Call) -> None:
    """Have the relay do what both legs agree on, if that changed, and drop what nobody uses."""
    apply_plan(call)
    lines.drop_unused(call)


def apply_plan(call: Call) -> None:
    """Have the relay do what both legs said so far, if that changed."""
    plan = plan_of(call)
    if plan != call.plan:
        call.plan = plan
        call.out.append(ApplyMedia(plan))


def _parsed(body: bytes) -> SessionDescription:
    try:
        return parse_sdp_untrusted(body)
    except SdpError as error:
        raise Unacceptable(error.status, str(error)) from None


def _unusable(leg: Leg, media: MediaDescription) -> str | None:
    """Why an m-line that a leg described cannot be relayed; None when it can."""
    return relayable(media, leg.rules, private=leg.private)


def _unoffered(leg: Leg, media: MediaDescription) -> str | None:
    """Why an m-line of the other leg is not offered to a leg; None when it is."""
    if leg.rules.srtp == "require" and not may_key(leg.rules, private=leg.private):
        return f"{media.kind} needs SRTP on the other side, where signalling is in the clear"
    return objection(media, leg.rules.codecs)


def _check_something_is_left(offer: SessionDescription, reasons: list[str | None]) -> None:
    """Refuse an offer of which nothing can be relayed; one that wants nothing is no fault."""
    if any(reason is None for reason in reasons) or all(media.rejected for media in offer.media):
        return
    wanted = zip(offer.media, reasons, strict=True)
    told = {reason for media, reason in wanted if reason is not None and not media.rejected}
    raise Unacceptable(488, "; ".join(sorted(told)))


def _description(call: Call, leg: Leg, media: list[MediaDescription]) -> SessionDescription:
    """Our description for a leg, with the version it must have."""
    address = _said_address(call, leg)
    family = "IP6" if ":" in address else "IP4"
    negotiation = leg.negotiation
    said = negotiation.last_sent
    session = said.origin.session_id if said is not None else _session_number(call)
    description = SessionDescription(
        origin=Origin("-", session, "1", address, family),
        connection=Connection(address, family),
        media=media,
    )
    description.origin = negotiation.next_origin(description)
    return description


def _session_number(call: Call) -> str:
    """A number that nobody else uses for a session (RFC 8866 §5.2), within 62 bits."""
    return str(int(call.context.ids.token(), 16) >> 2)


def _said_address(call: Call, leg: Leg) -> str:
    for line in call.lines:
        port = line.port(leg.side)
        if port.port and port.network == leg.flow.network:
            return port.advertise
    return lines.address_for(call, leg).advertise


def _rejected(media: MediaDescription) -> MediaDescription:
    return MediaDescription(media.kind, 0, media.protocol, list(media.formats[:1]))


def _offered_media(
    call: Call,
    leg: Leg,
    index: int,
    port: MediaPort,
    theirs: MediaDescription,
    source: SessionDescription,
) -> MediaDescription:
    agreed = _agreed_media(leg, index, theirs.kind)
    media = MediaDescription(
        theirs.kind,
        port.port,
        offered_protocol(theirs.protocol, leg.rules, agreed, private=leg.private),
        list(theirs.formats),
        bandwidth=list(theirs.bandwidth),
    )
    media.attributes = carried_attributes(theirs)
    if "SAVP" in media.protocol:
        offered = crypto.to_offer(call.context.ids, leg, index)
        media.attributes += [("crypto", str(line)) for line in offered]
    muxes = theirs.has(RTCP_MUX) if agreed is None else leg.negotiation.agreed_rtcp_mux(index)
    return _finished(media, leg, muxes, source.effective_direction(theirs))


def _answered_media(
    call: Call,
    leg: Leg,
    port: MediaPort,
    index: int,
    asked: MediaDescription,
    theirs: MediaDescription,
    direction: Direction,
) -> MediaDescription:
    media = MediaDescription(
        asked.kind,
        port.port,
        asked.protocol,
        list(theirs.formats),
        bandwidth=list(theirs.bandwidth),
    )
    media.attributes = carried_attributes(theirs)
    if "SAVP" in asked.protocol:
        line = crypto.to_answer(call.context.ids, leg, index, asked)
        media.attributes.append(("crypto", str(line)))
    return _finished(media, leg, asked.has(RTCP_MUX), direction)


def _finished(
    media: MediaDescription, leg: Leg, muxes: bool, direction: Direction
) -> MediaDescription:
    """Add what every live m-line of ours ends with: rtcp-mux, and the direction."""
    if muxes and leg.rules.rtcp_mux:
        media.attributes.append((RTCP_MUX, None))
    media.attributes.append((direction.value, None))
    return media


def _agreed_media(leg: Leg, index: int, kind: str) -> MediaDescription | None:
    """An m-line as the leg agreed on it, if it lives and is of that kind."""
    negotiation = leg.negotiation
    if negotiation.state is not NegotiationState.STABLE or negotiation.agreed_remote is None:
        return None
    if index >= len(negotiation.agreed_remote.media):
        return None
    media = negotiation.agreed_remote.media[index]
    return None if media.rejected or media.kind != kind else media
