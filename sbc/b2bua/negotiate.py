"""Offer/answer of two legs, and the media plan that comes of it.

Each leg has its own negotiation with us. What one leg offers is offered to the other with our
addresses, our ports and our keys; nothing of a description is copied but what `sdp_policy`
allows. The plan is always computed whole from what both legs said last.

Spec: RFC 3264, RFC 6337, RFC 4568 (SDES), RFC 5761 (rtcp-mux), RFC 5853 §3.2 and §3.3.
"""

from media.plan import MediaPlan, MediaSide, MediaStream
from media.types import Endpoint, SideName, SrtpKeys, SrtpSuite
from sbc.b2bua.call import Call, MediaLine, MediaPort
from sbc.b2bua.commands import ApplyMedia, ReleasePorts
from sbc.b2bua.leg import Leg
from sbc.policy.description import (
    carried_attributes,
    offered_protocol,
    relayable,
    usable_crypto,
)
from sbc.routing.facing import family_of, is_unroutable
from sbc.routing.model import NetworkAddress
from sbc.sdp.attributes.crypto import CryptoAttribute, MasterKey, valid_crypto_untrusted
from sbc.sdp.attributes.direction import Direction
from sbc.sdp.attributes.rtcp import RTCP_MUX
from sbc.sdp.description import Connection, MediaDescription, Origin, SessionDescription
from sbc.sdp.errors import OfferAnswerError, SdpError
from sbc.sdp.offer_answer import NegotiationState
from sbc.sdp.parser import parse_sdp_untrusted, serialize_sdp

MAX_LINES = 8
"""m-lines in one call, above which it is 488: each costs two port pairs."""


class Unacceptable(Exception):
    """A description that cannot be used; the text names the line or the rule."""

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
    if len(offer.media) > MAX_LINES:
        raise Unacceptable(488, f"{len(offer.media)} m-lines; at most {MAX_LINES} are relayed")
    reasons = [relayable(media, leg.rules) for media in offer.media]
    if offer.media and all(reason is not None for reason in reasons):
        raise Unacceptable(488, "; ".join(sorted({r for r in reasons if r is not None})))
    try:
        leg.negotiation.offer_received(offer)
    except OfferAnswerError as error:
        raise Unacceptable(error.status, error.reason, retry=error.retry_after) from None
    for index, (media, reason) in enumerate(zip(offer.media, reasons, strict=True)):
        if reason is None:
            _line(call, index, media.kind)
        else:
            call.note("decision", f"m-line {index + 1} not relayed: {reason}", side)


def offer_to(call: Call, side: SideName) -> bytes:
    """Offer to a leg what the other leg offered to us.

    Raises:
        Unacceptable: the leg's negotiation does not allow an offer now (491).
        PortsExhausted: no port is left on the leg's network.
    """
    leg, other = call.leg(side), call.other(side)
    source = other.negotiation.pending_offer
    assert source is not None, "an offer is passed on only when there is one"
    media = []
    for index, theirs in enumerate(source.media):
        if relayable(theirs, other.rules) is not None:
            media.append(_rejected(theirs))
            continue
        port = _line(call, index, theirs.kind).port(side)
        _place(call, leg, port)
        media.append(_offered_media(call, leg, index, port, theirs, source))
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
    leg = call.leg(side)
    answer = _parsed(body)
    for media in answer.media:
        reason = None if media.rejected else relayable(media, leg.rules)
        if reason is not None:
            raise Unacceptable(488, f"the answer cannot be used: {reason}")
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
        if theirs.rejected or relayable(asked, leg.rules) is not None:
            media.append(_rejected(asked))
            continue
        port = _line(call, index, asked.kind).port(side)
        media.append(_answered_media(call, leg, index, port, asked, theirs, source))
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
    _place(call, call.b, _line(call, 0, "audio").b)


def roll_back(call: Call) -> None:
    """A re-offer failed: both legs keep what they had (RFC 3261 §14.1)."""
    for leg in (call.a, call.b):
        leg.negotiation.rollback()


def apply_plan(call: Call) -> None:
    """Have the relay do what both legs agreed on, if that changed."""
    plan = plan_of(call)
    if plan != call.plan:
        call.plan = plan
        call.out.append(ApplyMedia(plan))


def plan_of(call: Call) -> MediaPlan:
    """The whole plan from what both legs said last."""
    streams = []
    for line in call.lines:
        if not line.a.port or not line.b.port:
            continue
        known = [m for m in (_known(call.a, line.index), _known(call.b, line.index)) if m]
        if any(media.rejected for media in known):
            continue
        streams.append(
            MediaStream(
                index=line.index,
                kind=line.kind,
                clock_hz=_clock(known[0]) if known else 8000,
                a=_side(call, call.a, line),
                b=_side(call, call.b, line),
            )
        )
    # Before the answer nobody has to send: a caller that listens to ringing is no fault.
    answered = call.answered_at is not None
    inactivity = call.context.settings.timers.inactivity_s if answered else 0.0
    return MediaPlan(call.name, tuple(streams), inactivity or None)


# -- lines and ports ------------------------------------------------------------------------


def _line(call: Call, index: int, kind: str) -> MediaLine:
    """The call's m-line of that index, with a port pair on each leg's network."""
    for line in call.lines:
        if line.index == index:
            line.kind = kind
            return line
    line = MediaLine(index, kind, _new_port(call, call.a), MediaPort(0, "", "", ""))
    call.lines.append(line)
    _place(call, call.b, line.b)
    return line


def _new_port(call: Call, leg: Leg) -> MediaPort:
    port = MediaPort(0, "", "", "")
    _place(call, leg, port)
    return port


def _place(call: Call, leg: Leg, port: MediaPort) -> None:
    """Give a line's end a port on the leg's network, if it has none there."""
    network = leg.flow.network
    if port.port and port.network == network:
        return
    if port.port:
        call.out.append(ReleasePorts(((port.network, port.port),)))
        port.port = 0
    address = _address_for(call, leg)
    port.port = call.context.ports.take(network, call.now)
    port.network = network
    port.host = address.bind
    port.advertise = address.advertise


def _address_for(call: Call, leg: Leg) -> NetworkAddress:
    """Our media address toward a leg: of the family it described, else of its signalling."""
    network = call.context.networks[leg.flow.network]
    described = _last_heard(leg)
    if described is not None:
        for media in described.media:
            connection = described.connection_of(media)
            if connection is not None:
                address = network.media_address(6 if connection.address_type == "IP6" else 4)
                if address is not None:
                    return address
    return network.media_address(family_of(leg.flow.remote[0])) or network.media[0]


# -- descriptions ---------------------------------------------------------------------------


def _parsed(body: bytes) -> SessionDescription:
    try:
        return parse_sdp_untrusted(body)
    except SdpError as error:
        raise Unacceptable(error.status, str(error)) from None


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
    return _address_for(call, leg).advertise


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
    protocol = offered_protocol(theirs.protocol, leg.rules)
    media = MediaDescription(
        theirs.kind, port.port, protocol, list(theirs.formats), bandwidth=list(theirs.bandwidth)
    )
    media.attributes = carried_attributes(theirs)
    if "SAVP" in protocol:
        media.attributes += [("crypto", str(c)) for c in _crypto_to_offer(call, leg, index)]
    return _finished(media, theirs, leg, source.effective_direction(theirs))


def _answered_media(
    call: Call,
    leg: Leg,
    index: int,
    port: MediaPort,
    asked: MediaDescription,
    theirs: MediaDescription,
    source: SessionDescription,
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
        media.attributes.append(("crypto", str(_crypto_to_answer(call, leg, index, asked))))
    return _finished(media, asked, leg, source.effective_direction(theirs))


def _finished(
    media: MediaDescription, like: MediaDescription, leg: Leg, direction: Direction
) -> MediaDescription:
    """Add what every live m-line of ours ends with: rtcp-mux as in `like`, and the direction."""
    if like.has(RTCP_MUX) and leg.rules.rtcp_mux:
        media.attributes.append((RTCP_MUX, None))
    media.attributes.append((direction.value, None))
    return media


# -- keys -----------------------------------------------------------------------------------


def _crypto_to_offer(call: Call, leg: Leg, index: int) -> list[CryptoAttribute]:
    """Our crypto lines for an offer: what is agreed stays, so that media goes on unbroken."""
    agreed = _agreed_crypto(leg, index)
    if agreed is not None:
        return [agreed[0]]
    return [_new_crypto(call, tag, SrtpSuite(name)) for tag, name in enumerate(leg.rules.suites, 1)]


def _crypto_to_answer(call: Call, leg: Leg, index: int, asked: MediaDescription) -> CryptoAttribute:
    """Our crypto line for an answer: the first offered one that we serve (RFC 4568 §5.1.2)."""
    chosen = usable_crypto(asked, leg.rules)
    assert chosen is not None, "relayable() has looked for one"
    local = leg.negotiation.local
    if local is not None and index < len(local.media):
        for ours in valid_crypto_untrusted(local.media[index].attributes):
            if ours.suite == chosen.suite:
                return CryptoAttribute(chosen.tag, ours.suite, ours.keys)
    return _new_crypto(call, chosen.tag, SrtpSuite(chosen.suite))


def _new_crypto(call: Call, tag: int, suite: SrtpSuite) -> CryptoAttribute:
    key = MasterKey(call.context.ids.key(suite.key_length))
    return CryptoAttribute(tag, suite.value, (key,))


def _agreed_crypto(leg: Leg, index: int) -> tuple[CryptoAttribute, CryptoAttribute] | None:
    """Our line and the leg's that belong together: the same tag and suite (RFC 4568 §5.1.3).

    Whoever answered has one line only, so there is at most one such pair.
    """
    local, remote = leg.negotiation.local, leg.negotiation.remote
    if local is None or remote is None:
        return None
    if index >= len(local.media) or "SAVP" not in remote.media[index].protocol:
        return None
    ours = {c.tag: c for c in valid_crypto_untrusted(local.media[index].attributes)}
    for theirs in valid_crypto_untrusted(remote.media[index].attributes):
        mine = ours.get(theirs.tag)
        if mine is not None and mine.suite == theirs.suite and theirs.is_plain:
            return mine, theirs
    return None


def _keys(crypto: CryptoAttribute) -> SrtpKeys:
    return SrtpKeys(SrtpSuite(crypto.suite), crypto.keys[0].key_and_salt)


# -- the plan -------------------------------------------------------------------------------


def _last_heard(leg: Leg) -> SessionDescription | None:
    """The last description the leg sent, agreed or not."""
    negotiation = leg.negotiation
    if negotiation.state in (
        NegotiationState.OFFER_RECEIVED,
        NegotiationState.EARLY_ANSWER_SENT,
    ):
        return negotiation.pending_offer
    return negotiation.remote


def _known(leg: Leg, index: int) -> MediaDescription | None:
    """An m-line as the leg described it: what is agreed, else what it offers."""
    description = leg.negotiation.remote or _last_heard(leg)
    if description is None or index >= len(description.media):
        return None
    return description.media[index]


def _side(call: Call, leg: Leg, line: MediaLine) -> MediaSide:
    """A line's end toward a leg; silent until offer and answer of the leg are both known.

    A leg that has only offered gets nothing and teaches nothing: before the answer there are no
    keys, and relaying without them would send in clear what must be encrypted.
    """
    port = line.port(leg.side)
    network = call.context.networks[port.network]
    local, local_rtcp = Endpoint(port.host, port.port), Endpoint(port.host, port.port + 1)
    description = leg.negotiation.remote
    agreed = _agreed_crypto(leg, line.index)
    media = _known(leg, line.index)
    if description is None or media is None or ("SAVP" in media.protocol and agreed is None):
        return MediaSide(
            network=port.network,
            local=local,
            local_rtcp=local_rtcp,
            sending=False,
            receiving=False,
            dscp=network.media_dscp,
        )
    direction = description.effective_direction(media)
    muxed = leg.negotiation.agreed_rtcp_mux(line.index)
    remote = _numeric(description.rtp_endpoint(media))
    return MediaSide(
        network=port.network,
        local=local,
        local_rtcp=local_rtcp,
        remote=remote,
        remote_rtcp=None if muxed else _numeric(description.rtcp_endpoint(media)),
        rtcp_mux=muxed,
        receive_keys=_keys(agreed[1]) if agreed is not None else None,
        send_keys=_keys(agreed[0]) if agreed is not None else None,
        signalling_host=leg.flow.remote[0],
        learn_any=not network.trusted and remote is not None and _unreachable(remote, leg),
        sending=direction.sends and _wants(call.other(leg.side), line.index),
        receiving=direction.receives,
        dscp=network.media_dscp,
        max_kbps=leg.rules.max_kbps,
    )


def _wants(leg: Leg, index: int) -> bool:
    """Whether a leg wants media of a line: silence of the other is a fault only then."""
    description = leg.negotiation.remote
    if description is None or index >= len(description.media):
        return False
    return description.effective_direction(description.media[index]).receives


def _unreachable(remote: Endpoint, leg: Leg) -> bool:
    """Whether an SDP address cannot be where the leg's media comes from: far-end NAT."""
    source = leg.flow.remote[0]
    return remote.host != source and is_unroutable(remote.host) and not is_unroutable(source)


def _numeric(place: tuple[str, int] | None) -> Endpoint | None:
    """An endpoint of a numeric host. A host name (RFC 8866 §5.7 allows one) is not resolved
    here: the leg's media is learned from its signalling host instead."""
    if place is None or not _is_numeric(place[0]):
        return None
    return Endpoint(*place)


def _is_numeric(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _clock(media: MediaDescription) -> int:
    codec = media.codec(media.formats[0]) if media.formats else None
    return codec.clock_hz if codec is not None else 8000
