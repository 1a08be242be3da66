"""What two legs need relayed, as plain data, and how to get there from what is relayed now.

A plan is a value: the call computes a whole new one at each answer, and `diff` says what the
engine must open, change and close. Nothing here touches a socket.
"""

from dataclasses import dataclass

from media.types import Endpoint, SideName, SrtpKeys


@dataclass(frozen=True, slots=True)
class MediaSide:
    """One port pair of ours and the leg it faces.

    Spec: RFC 3605 (rtcp), RFC 5761 (rtcp-mux), RFC 7362 (latching), RFC 4568 (keys).
    """

    network: str
    """Configuration name of the network, for DSCP and for reports."""
    local: Endpoint
    """The RTP address we bind (never the advertised one)."""
    local_rtcp: Endpoint
    """The RTCP address we bind, always opened; unused while `rtcp_mux`."""
    remote: Endpoint | None = None
    """Where the leg's SDP says RTP goes; None before it said."""
    remote_rtcp: Endpoint | None = None
    """Where the leg's SDP says RTCP goes; None before it said, and with `rtcp_mux`."""
    rtcp_mux: bool = False
    receive_keys: SrtpKeys | None = None
    """What the leg protects its packets with; None for plain RTP."""
    send_keys: SrtpKeys | None = None
    """What we protect packets to the leg with; None for plain RTP."""
    signalling_host: str | None = None
    """The numeric host the leg's SIP comes from; a source there ranks above a stranger."""
    learn_any: bool = False
    """Whether a source that nothing announced may be learned (rank OTHER): only for a leg whose
    SDP address is unroutable from here, that is behind a far-end NAT."""
    sending: bool = True
    """Whether the leg announced that it sends (RFC 3264 §5.1): silence is then a fault."""
    receiving: bool = True
    """Whether the leg wants media."""
    dscp: int = 46
    """DiffServ code point of packets to the leg."""
    max_kbps: int | None = None
    """Most kilobits per second accepted from the leg (X21); None for no limit."""


@dataclass(frozen=True, slots=True)
class MediaStream:
    """One m-line that both legs agreed on, or are agreeing on."""

    index: int
    """Position of the m-line; with the call's name the identity of the stream."""
    kind: str
    """The SDP media type: ``"audio"``, ``"video"`` …"""
    clock_hz: int
    """RTP clock of the first payload type, for jitter in milliseconds."""
    a: MediaSide
    b: MediaSide

    def side(self, name: SideName) -> MediaSide:
        """The side by its name."""
        return self.a if name is SideName.A else self.b


@dataclass(frozen=True, slots=True)
class MediaPlan:
    """Everything one call needs relayed."""

    call: str
    """The call's name; engines report events under it."""
    streams: tuple[MediaStream, ...] = ()
    inactivity_s: float | None = None
    """Seconds without a packet from a side that should be sending before `MediaTimeout`."""
    pinholes: bool = True
    """Whether to send an opener packet from the signalled port when a remote becomes known."""
