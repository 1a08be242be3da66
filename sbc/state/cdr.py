"""The record of one call, as it is kept.

Plain data, so that a call record outlives the code that wrote it.
"""

from dataclasses import dataclass
from enum import StrEnum


class Origin(StrEnum):
    """Where an end comes from, in one of four words."""

    LOCAL = "local"
    """From here: media, delivery, an operator, a fault."""
    REMOTE = "remote"
    """From one of the two ends."""
    TIMEOUT = "timeout"
    POLICY = "policy"


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

    @property
    def origin(self) -> Origin:
        """Where such an end comes from."""
        return _ORIGINS.get(self, Origin.LOCAL)


_ORIGINS = {
    EndedBy.CALLER: Origin.REMOTE,
    EndedBy.CALLEE: Origin.REMOTE,
    EndedBy.TIMEOUT: Origin.TIMEOUT,
    EndedBy.POLICY: Origin.POLICY,
}


@dataclass(frozen=True, slots=True)
class RtpTotals:
    """What one side sent us over the whole call, and what it says of what it got from us.

    None is for what was not measured: nothing came, it was no speech, the side sends no reports.
    """

    packets: int = 0
    octets: int = 0
    lost: int = 0
    jitter_ms: float = 0.0
    """Interarrival jitter at the end. Spec: RFC 3550 A.8."""
    longest_burst: int | None = None
    """Packets in the longest run of lost ones."""
    worst_loss_percent: float | None = None
    """Share of packets lost in the worst second."""
    mos: float | None = None
    """What its speech sounded like as it reached us, on the mean: a mean opinion score from 1 to
    4.5 of every ten seconds. Spec: ITU-T G.107."""
    worst_mos: float | None = None
    """The score of the worst ten seconds."""
    mos_codec: str | None = None
    """Whose figures the scores were made with; ``G.711 assumed`` where the codec has none."""
    round_trip_ms: float | None = None
    """Time to it and back, by its last report. Spec: RFC 3550 §6.4.1."""
    reported_lost: int | None = None
    """Packets that it says were lost on the whole way to it; negative when some came twice."""
    reported_jitter_ms: float | None = None
    """The jitter that it says they came with."""
    lost_behind_us: int | None = None
    """Those of its lost packets that had left here for it."""


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
    configuration: int | None = None
    """The version of the configuration that the call began with and kept; None where none was."""
    explanation: str = ""
    """Why policy let it in or refused it, as JSON: every stage's rule, where that stands, and the
    values that it tested; empty until the call has ended."""
    account: str | None = None
    """Who pays for it (`sbc.policy.accounts`); empty for a call that came in, None if not known."""
    number: str | None = None
    """The called number in the form that numbers have inside; of a call that came in, who calls."""
    diverter: str | None = None
    """The account of whoever forwarded it; empty for nobody."""

    @property
    def origin(self) -> Origin | None:
        """Where the end came from; None while there is none."""
        return None if self.ended_by is None else self.ended_by.origin

    @property
    def duration_s(self) -> float:
        """Seconds from answer to end, 0 for a call that was not answered or has not ended."""
        if self.answered_at is None or self.ended_at is None:
            return 0.0
        return max(0.0, self.ended_at - self.answered_at)
