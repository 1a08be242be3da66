"""The media plan of a call: what the relay must do, computed whole from what both legs said last.

Spec: RFC 3264 §8, RFC 4568 (SDES), RFC 5761 (rtcp-mux), RFC 7362 (far-end NAT).
"""

from media.plan import MediaPlan, MediaSide, MediaStream
from media.types import Endpoint
from sbc.b2bua import crypto
from sbc.b2bua.call import Call, MediaLine
from sbc.b2bua.leg import Leg
from sbc.b2bua.lines import last_heard
from sbc.prefixes import is_numeric
from sbc.routing.facing import is_private
from sbc.sdp.description import MediaDescription


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
                kind=known[0].kind if known else line.kind,
                clock_hz=_clock(known[0]) if known else 8000,
                a=_side(call, call.a, line),
                b=_side(call, call.b, line),
            )
        )
    # Before the answer nobody has to send: a caller that listens to ringing is no fault.
    answered = call.answered_at is not None
    inactivity = call.context.settings.timers.inactivity_s if answered else 0.0
    return MediaPlan(call.name, tuple(streams), inactivity or None)


def _known(leg: Leg, index: int) -> MediaDescription | None:
    """An m-line as the leg described it: what is agreed, else what it offers."""
    description = leg.negotiation.remote or last_heard(leg)
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
    agreed = crypto.agreed(leg, line.index)
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
        receive_keys=crypto.keys_of(agreed[1]) if agreed is not None else None,
        send_keys=crypto.keys_of(agreed[0]) if agreed is not None else None,
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
    """Whether an SDP address cannot be where the leg's media comes from: far-end NAT.

    It is private, and not where the leg's signalling comes from. The same private address may be
    somebody else's on this side, so nothing is sent there before media came.
    """
    return remote.host != leg.flow.remote[0] and is_private(remote.host)


def _numeric(place: tuple[str, int] | None) -> Endpoint | None:
    """An endpoint of a numeric host. A host name (RFC 8866 §5.7 allows one) is not resolved
    here: the leg's media is learned from its signalling host instead."""
    if place is None or not is_numeric(place[0]):
        return None
    return Endpoint(*place)


def _clock(media: MediaDescription) -> int:
    codec = media.codec(media.formats[0]) if media.formats else None
    return codec.clock_hz if codec is not None else 8000
