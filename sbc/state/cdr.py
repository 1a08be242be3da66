"""The record of one call, as it is kept.

Plain data, so that a call record outlives the code that wrote it.
"""

from dataclasses import dataclass
from enum import StrEnum


class EndedBy(StrEnum):
    """Who or what ended a call."""

    CALLER = "caller"
    CALLEE = "callee"
    TIMEOUT = "timeout"
    """A SIP timer: no answer, nobody acknowledged, longest duration."""
    POLICY = "policy"
    """A rule of ours refused it."""
    MEDIA = "media"
    """No media, no ports, or media that cannot be joined."""
    NETWORK = "network"
    """Messages could not be delivered."""
    OPERATOR = "operator"
    """A command, or the process was told to stop."""
    INTERNAL = "internal"
    """A fault of ours."""
    CRASH = "crash"
    """The process ended before the call did; written at the next start."""


@dataclass(frozen=True, slots=True)
class RtpTotals:
    """What one side sent us over the whole call."""

    packets: int = 0
    octets: int = 0
    lost: int = 0
    jitter_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class LegRecord:
    """One leg: whom it was with and where the signalling went."""

    peer: str = ""
    """The name of the peer in the configuration; empty for a stranger."""
    network: str = ""
    address: str = ""
    """``host:port`` of the other end, brackets around IPv6."""
    sip_call_id: str = ""
    """The Call-ID on this leg, to find it in the other end's logs."""


@dataclass(frozen=True, slots=True)
class CdrRecord:
    """One call. Times are seconds since the epoch; a call in progress has no `ended_at`."""

    call: str
    """Our own id of the call, unique over restarts; the key of the record."""
    session_id: str
    """The call's identity end to end. Spec: RFC 7989."""
    started_at: float
    answered_at: float | None
    ended_at: float | None
    from_number: str
    to_number: str
    a: LegRecord
    b: LegRecord
    route: str = ""
    status: int = 0
    """The final SIP status that the caller got; 0 while there is none."""
    q850: int = 0
    """The ITU-T Q.850 cause; 0 for none."""
    ended_by: EndedBy | None = None
    reason: str = ""
    """One line that says why it ended or was refused."""
    from_a: RtpTotals = RtpTotals()
    from_b: RtpTotals = RtpTotals()
    role: str = "media-relay"
    """What we were in this call: ``media-relay``, or ``media-aware`` where we encrypted.
    Spec: RFC 7092 §3.2."""
    ladder: str = ""
    """What happened, in the lines that `sbc.management.ladder` makes of its journal; empty
    until the call has ended."""

    @property
    def duration_s(self) -> float:
        """Seconds from answer to end, 0 for a call that was not answered or has not ended."""
        if self.answered_at is None or self.ended_at is None:
            return 0.0
        return max(0.0, self.ended_at - self.answered_at)
