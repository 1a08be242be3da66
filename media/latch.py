"""Ranked latching: from which source one port takes media, and where it therefore sends.

A source is worth the proof it brings, not the moment it arrives: better proof always wins back,
equal proof takes over only from a source that fell silent or after signalling announced a change.
Only the announced address itself is learned by one packet, any other must show a stream. One table
decides; the engine asks it only about packets that do not come from the source in use, so its
speed is no concern.

Spec: RFC 7362 §4 (latching and its threats), RFC 4961 (symmetric RTP).
"""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from media.types import Endpoint, LatchRank, Refusal

UNANNOUNCED_WINDOW_S = 30.0
"""How long after signalling a source that nothing announced may still be learned."""
SETTLE_S = 2.0
"""How long after an announced change packets from the old source may be mere stragglers."""
CONFIRM_PACKETS = 3
"""RTP packets in sequence that a source on an announced host must show before it is learned."""
UNANNOUNCED_PACKETS = 25
"""RTP packets in sequence that an unannounced source must show before it is learned."""
UNANNOUNCED_STREAM_S = 0.4
"""How long they must take at least: a burst is no stream, however many packets it has."""
PAUSE_S = 0.2
"""A candidate that pauses so long has stopped: an unannounced one begins anew."""
SILENT_S = 1.0
"""How long the source in use must be silent before one of equal rank may take over."""
RTCP_SILENT_S = 10.0
"""The same for RTCP on its own port, where a report every 5 s is talking.

Spec: RFC 3550 §6.2.
"""
_CONFIRM_GAP_PACKETS = 16


class LatchState(Enum):
    """Where one port's latch stands."""

    EMPTY = "nothing learned"
    WATCHING = "nothing learned, a candidate is being watched"
    LATCHED = "learned"
    HELD = "learned, and signalling announced a change"


class Claim(Enum):
    """What a packet's source can show for itself, measured against what is learned."""

    SAME = "the source in use"
    SETTLED = "the source in use, still there after the announced change"
    PROVEN = "authenticated and newer than everything before"
    LATE = "authenticated, but older than what came from elsewhere"
    EXACT = "the announced address itself"
    EQUAL = "equal rank to the source in use, which talks"
    CANDIDATE = "may be learned here, has not shown a stream yet"
    CONFIRMED = "may be learned here, has shown a stream"
    STRANGER = "anything else"


class LatchVerdict(Enum):
    """What becomes of the packet, and of the latch."""

    ACCEPT = "relay"
    LEARN = "relay and learn"
    WATCH = "drop and watch"
    REFUSE = "drop and report"


_EMPTY, _WATCHING, _LATCHED, _HELD = LatchState
_LEARNED = (_LATCHED, LatchVerdict.LEARN)

TABLE: dict[tuple[LatchState, Claim], tuple[LatchState, LatchVerdict]] = {
    (_EMPTY, Claim.PROVEN): _LEARNED,
    (_EMPTY, Claim.LATE): (_EMPTY, LatchVerdict.ACCEPT),
    (_EMPTY, Claim.EXACT): _LEARNED,
    (_EMPTY, Claim.CANDIDATE): (_WATCHING, LatchVerdict.WATCH),
    (_EMPTY, Claim.CONFIRMED): _LEARNED,
    (_EMPTY, Claim.STRANGER): (_EMPTY, LatchVerdict.REFUSE),
    (_WATCHING, Claim.EXACT): _LEARNED,
    (_WATCHING, Claim.CANDIDATE): (_WATCHING, LatchVerdict.WATCH),
    (_WATCHING, Claim.CONFIRMED): _LEARNED,
    (_WATCHING, Claim.STRANGER): (_WATCHING, LatchVerdict.REFUSE),
    (_LATCHED, Claim.SAME): (_LATCHED, LatchVerdict.ACCEPT),
    (_LATCHED, Claim.PROVEN): _LEARNED,
    (_LATCHED, Claim.LATE): (_LATCHED, LatchVerdict.ACCEPT),
    (_LATCHED, Claim.EXACT): _LEARNED,
    (_LATCHED, Claim.EQUAL): (_LATCHED, LatchVerdict.REFUSE),
    (_LATCHED, Claim.CANDIDATE): (_LATCHED, LatchVerdict.WATCH),
    (_LATCHED, Claim.CONFIRMED): _LEARNED,
    (_LATCHED, Claim.STRANGER): (_LATCHED, LatchVerdict.REFUSE),
    (_HELD, Claim.SAME): (_HELD, LatchVerdict.ACCEPT),
    (_HELD, Claim.SETTLED): _LEARNED,
    (_HELD, Claim.PROVEN): _LEARNED,
    (_HELD, Claim.LATE): (_HELD, LatchVerdict.ACCEPT),
    (_HELD, Claim.EXACT): _LEARNED,
    (_HELD, Claim.CANDIDATE): (_HELD, LatchVerdict.WATCH),
    (_HELD, Claim.CONFIRMED): _LEARNED,
    (_HELD, Claim.STRANGER): (_HELD, LatchVerdict.REFUSE),
}
"""State and claim to next state and verdict. A pair that is missing cannot arise."""


@dataclass(frozen=True, slots=True)
class Announced:
    """What signalling says of the sources one port may hear."""

    remote: Endpoint | None = None
    """Where the leg's SDP says this component is received and, by RFC 4961, sent from."""
    host: str | None = None
    """The host of the SDP address."""
    signalling_host: str | None = None
    """The host the leg's SIP comes from."""
    learn_any: bool = False
    """Whether a source that nothing announced may be learned."""
    secure: bool = False
    """Whether only authenticated packets count."""


class Evidence(NamedTuple):
    """What a packet tells beside its source."""

    newest: bool = True
    """Whether its sequence number is ahead of everything accepted before."""
    sequence: int | None = None
    """Its RTP sequence number; None for RTCP, which cannot show a stream."""
    ssrc: int = 0
    companion: str | None = None
    """For RTCP on its own port: the host that RTP was learned from, which vouches for it."""
    silent_s: float = 0.0
    """For how many seconds the source in use has not been heard on this port."""


@dataclass(slots=True)
class _Candidate:
    """A source that may be learned, and the stream that it has shown so far."""

    source: Endpoint
    rank: LatchRank
    since: float
    at: float
    sequence: int
    ssrc: int
    packets: int = 1

    def goes_on(self, sequence: int, ssrc: int, now: float) -> None:
        """Counts one more packet, from one again if it does not follow the one before."""
        ahead = (sequence - self.sequence) & 0xFFFF
        paused = self.rank is LatchRank.OTHER and now - self.at >= PAUSE_S
        if ssrc == self.ssrc and 0 < ahead <= _CONFIRM_GAP_PACKETS and not paused:
            self.packets += 1
        else:
            self.packets = 1
            self.since = now
        self.at = now
        self.sequence = sequence
        self.ssrc = ssrc

    def is_confirmed(self) -> bool:
        """Whether that is enough for its rank."""
        if self.rank is LatchRank.OTHER:
            lasted = self.at - self.since >= UNANNOUNCED_STREAM_S
            return lasted and self.packets >= UNANNOUNCED_PACKETS
        return self.packets >= CONFIRM_PACKETS


class Latch:
    """The latch of one port.

    For a secure port only authenticated packets may be shown to it: learning comes after proof.
    """

    __slots__ = (
        "_announced",
        "_candidate",
        "_signalled_at",
        "rank",
        "refusal",
        "source",
        "state",
    )

    def __init__(self, announced: Announced, now: float) -> None:
        self.state = LatchState.EMPTY
        self.source: Endpoint | None = None
        """The source in use; None before one was learned."""
        self.rank = LatchRank.NONE
        """What the source in use has shown."""
        self.refusal = Refusal.NOT_ANNOUNCED
        """Why the last refused packet was refused."""
        self._announced = announced
        self._signalled_at = now
        self._candidate: _Candidate | None = None

    def observe(self, source: Endpoint, evidence: Evidence, now: float) -> LatchVerdict:
        """Judges one packet, and learns its source when that is deserved.

        Args:
            source: Where the packet came from.
            evidence: What it shows.
            now: Monotonic seconds.
        """
        rank = self.rank_of(source, evidence)
        claim = self._claim(source, rank, evidence, now)
        self.state, verdict = TABLE[self.state, claim]
        if verdict is LatchVerdict.LEARN:
            # A source that was held keeps the rank it was held with: one packet of it, perhaps
            # RTCP, may show less than what it was learned by.
            self.rank = self.rank if claim is Claim.SETTLED else rank
            self.source = source
            self._candidate = None
        return verdict

    def signal(self, announced: Announced, now: float) -> None:
        """Takes note of new signalling: opens the window, and the latch if the place changed.

        A source that the new announcement still covers is held until the change shows itself, so
        that there is no gap; one that it does not cover is forgotten at once.
        """
        before = self._announced
        self._announced = announced
        self._signalled_at = now
        if self.source is None:
            self.forget()
            return
        if before == announced:
            return
        evidence = Evidence(companion=self.source.host)
        rank = self.rank_of(self.source, evidence)
        moved = before.signalling_host != announced.signalling_host
        if announced.secure != before.secure:
            rank = LatchRank.NONE
        if rank is LatchRank.NONE or (rank is LatchRank.OTHER and moved):
            self.forget()
        else:
            self.state = LatchState.HELD
            self.rank = rank

    def forget(self) -> None:
        """Goes back to having learned nothing."""
        self.state = LatchState.EMPTY
        self.source = None
        self.rank = LatchRank.NONE
        self._candidate = None

    def rank_of(self, source: Endpoint, evidence: Evidence) -> LatchRank:
        """What a source is worth under what is announced; NONE when it may not be learned."""
        announced = self._announced
        if announced.secure:
            return LatchRank.SRTP_AUTHENTICATED
        if announced.host is None:
            # Before the SDP says anything there is nothing to match a source with.
            return LatchRank.NONE
        if source == announced.remote:
            return LatchRank.SDP_EXACT
        if source.host == announced.host:
            return LatchRank.SDP_HOST
        if source.host == announced.signalling_host:
            return LatchRank.SIGNALLING_HOST
        if announced.learn_any and (
            evidence.sequence is not None or source.host == evidence.companion
        ):
            return LatchRank.OTHER
        return LatchRank.NONE

    def _claim(self, source: Endpoint, rank: LatchRank, evidence: Evidence, now: float) -> Claim:
        if source == self.source:
            if self.state is LatchState.HELD and now - self._signalled_at >= SETTLE_S:
                return Claim.SETTLED
            return Claim.SAME
        if rank is LatchRank.SRTP_AUTHENTICATED:
            return Claim.PROVEN if evidence.newest else Claim.LATE
        if rank is LatchRank.SDP_EXACT:
            return Claim.EXACT
        claim = self._refused(rank, evidence, now)
        return self._confirm(source, rank, evidence, now) if claim is None else claim

    def _refused(self, rank: LatchRank, evidence: Evidence, now: float) -> Claim | None:
        """What a source may not be learned for, whatever it shows; None when it may be."""
        if rank is LatchRank.NONE:
            self.refusal = Refusal.NOT_ANNOUNCED
            return Claim.STRANGER
        self.refusal = Refusal.NO_BETTER_PROOF
        if rank < self.rank:
            return Claim.STRANGER
        if rank is self.rank and self.state is LatchState.LATCHED:
            silence = RTCP_SILENT_S if evidence.sequence is None else SILENT_S
            if evidence.silent_s < silence:
                return Claim.EQUAL
        if rank is LatchRank.OTHER and now - self._signalled_at > UNANNOUNCED_WINDOW_S:
            self.refusal = Refusal.WINDOW_CLOSED
            return Claim.STRANGER
        return None

    def _confirm(self, source: Endpoint, rank: LatchRank, evidence: Evidence, now: float) -> Claim:
        """Watches one candidate: it must show a stream that no other source breaks in on.

        The latest one is watched, so that a stray packet costs the right source no more than its
        beginning; only a better one that still talks is not displaced.
        """
        sequence = evidence.sequence
        if sequence is None:
            vouched = source.host == evidence.companion
            return Claim.CONFIRMED if vouched else Claim.CANDIDATE
        candidate = self._candidate
        if candidate is not None and candidate.source == source and candidate.rank is rank:
            candidate.goes_on(sequence, evidence.ssrc, now)
            return Claim.CONFIRMED if candidate.is_confirmed() else Claim.CANDIDATE
        if candidate is None or rank >= candidate.rank or now - candidate.at >= PAUSE_S:
            self._candidate = _Candidate(source, rank, now, now, sequence, evidence.ssrc)
        return Claim.CANDIDATE


def draw_table() -> str:
    """The table as a Mermaid state diagram, for the design document."""
    lines = ["stateDiagram-v2", "    [*] --> EMPTY"]
    lines += [
        f"    {state.name} --> {after.name}: {claim.name} / {verdict.value}"
        for (state, claim), (after, verdict) in TABLE.items()
    ]
    lines += [f"    {state.name}: {state.name} - {state.value}" for state in LatchState]
    return "\n".join(lines) + "\n"
