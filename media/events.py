"""What an engine reports of its own accord; rare, and plain data.

Counters are not here: they are asked for.
"""

from dataclasses import dataclass

from media.types import Component, Endpoint, LatchRank, Refusal, SideName, StreamId


@dataclass(frozen=True, slots=True)
class Latched:
    """A side's media now comes from, and goes to, another source than before.

    Spec: RFC 7362 §4, RFC 4961.
    """

    stream_id: StreamId
    side: SideName
    source: Endpoint
    rank: LatchRank
    previous: Endpoint | None
    """The source before; None when this is the first."""
    component: Component = Component.RTP


@dataclass(frozen=True, slots=True)
class RelatchRefused:
    """A source that the latch does not accept sent to this side; its packets are dropped.

    Reported once per source, and at a bounded rate: what is not reported is still counted.
    """

    stream_id: StreamId
    side: SideName
    source: Endpoint
    reason: Refusal
    component: Component = Component.RTP


@dataclass(frozen=True, slots=True)
class MediaTimeout:
    """A side that announced to send has been silent too long; once per silence."""

    stream_id: StreamId
    side: SideName
    silent_s: float
    """Seconds since its last accepted packet, or since it was expected to begin."""


@dataclass(frozen=True, slots=True)
class MediaResumed:
    """A side whose silence was reported sends again."""

    stream_id: StreamId
    side: SideName


@dataclass(frozen=True, slots=True)
class KeyErrors:
    """Packets failed SRTP authentication; never a reason to end a call by itself.

    A spray of junk looks the same as wrong keys: only with no good packet it is a fault.
    """

    stream_id: StreamId
    side: SideName
    count: int
    """Failures since the last such report of this side."""


@dataclass(frozen=True, slots=True)
class HandshakeDatagram:
    """A STUN or DTLS datagram for whoever does the handshakes of this side.

    Only of a side whose plan has `handshakes`, and of each source at a bounded rate: what is above
    it is dropped and counted. Nothing is learned from it and it is no sign of life.
    """

    stream_id: StreamId
    side: SideName
    component: Component
    """The port it came to, and that an answer must leave from (`media.plan.SendDatagram`)."""
    source: Endpoint
    """Where it came from; nothing is proven by that."""
    data: bytes
    """The datagram; its first byte tells which of the two it is.

    Spec: RFC 7983 §7.
    """


@dataclass(frozen=True, slots=True)
class EngineFailed:
    """The engine cannot go on; every stream it had is gone."""

    reason: str


MediaEvent = (
    Latched
    | RelatchRefused
    | MediaTimeout
    | MediaResumed
    | KeyErrors
    | HandshakeDatagram
    | EngineFailed
)
