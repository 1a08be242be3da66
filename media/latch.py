"""Ranked latching: from which source one port takes media, and where it therefore sends.

A source is worth the proof it brings, not the moment it arrives: better proof always wins back,
equal proof never takes over unless signalling announced a change. One table decides; the engine
asks it only about packets that do not come from the source in use, so its speed is no concern.

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
CONFIRM_PACKETS = 4
"""RTP packets in sequence that an unannounced source must show before any of them is relayed."""
_CONFIRM_GAP_PACKETS = 16
_CANDIDATE_IDLE_S = 0.5


class LatchState(Enum):
    """Where one port's latch stands."""

    EMPTY = "nothing learned"
    WATCHING = "an unannounced source is being watched"
    LATCHED = "learned"
    HELD = "learned, and signalling announced a change"


class Claim(Enum):
    """What a packet's source can show for itself, measured against what is learned."""

    SAME = "the source in use"
    SETTLED = "the source in use, still there after the announced change"
    PROVEN = "authenticated and newer than everything before"
    LATE = "authenticated, but older than what came from elsewhere"
    BETTER = "better rank than the source in use"
    EQUAL = "equal rank to the source in use"
    CANDIDATE = "unannounced, may be learned here, not yet confirmed"
    CONFIRMED = "unannounced, may be learned here, a stream in sequence"
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
    (_EMPTY, Claim.BETTER): _LEARNED,
    (_EMPTY, Claim.CANDIDATE): (_WATCHING, LatchVerdict.WATCH),
    (_EMPTY, Claim.CONFIRMED): _LEARNED,
    (_EMPTY, Claim.STRANGER): (_EMPTY, LatchVerdict.REFUSE),
    (_WATCHING, Claim.BETTER): _LEARNED,
    (_WATCHING, Claim.CANDIDATE): (_WATCHING, LatchVerdict.WATCH),
    (_WATCHING, Claim.CONFIRMED): _LEARNED,
    (_WATCHING, Claim.STRANGER): (_WATCHING, LatchVerdict.REFUSE),
    (_LATCHED, Claim.SAME): (_LATCHED, LatchVerdict.ACCEPT),
    (_LATCHED, Claim.PROVEN): _LEARNED,
    (_LATCHED, Claim.LATE): (_LATCHED, LatchVerdict.ACCEPT),
    (_LATCHED, Claim.BETTER): _LEARNED,
    (_LATCHED, Claim.EQUAL): (_LATCHED, LatchVerdict.REFUSE),
    (_LATCHED, Claim.STRANGER): (_LATCHED, LatchVerdict.REFUSE),
    (_HELD, Claim.SAME): (_HELD, LatchVerdict.ACCEPT),
    (_HELD, Claim.SETTLED): _LEARNED,
    (_HELD, Claim.PROVEN): _LEARNED,
    (_HELD, Claim.LATE): (_HELD, LatchVerdict.ACCEPT),
    (_HELD, Claim.BETTER): _LEARNED,
    (_HELD, Claim.EQUAL): _LEARNED,
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
    """Its RTP sequence number; None for RTCP, which cannot confirm an unannounced source."""
    ssrc: int = 0
    companion: str | None = None
    """For RTCP on its own port: the host that RTP was learned from."""


class Latch:
    """The latch of one port.

    For a secure port only authenticated packets may be shown to it: learning comes after proof.
    """

    __slots__ = (
        "_announced",
        "_candidate",
        "_candidate_at",
        "_candidate_count",
        "_candidate_sequence",
        "_candidate_ssrc",
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
        self._candidate: Endpoint | None = None
        self._candidate_at = now
        self._candidate_count = 0
        self._candidate_sequence = 0
        self._candidate_ssrc = 0

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
        elif claim is Claim.EQUAL:
            self.refusal = Refusal.NO_BETTER_PROOF
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
        if rank is LatchRank.OTHER:
            return self._claim_of_unannounced(source, evidence, now)
        if rank > self.rank:
            return Claim.BETTER
        if rank is self.rank is not LatchRank.NONE:
            return Claim.EQUAL
        known = rank is not LatchRank.NONE
        self.refusal = Refusal.NO_BETTER_PROOF if known else Refusal.NOT_ANNOUNCED
        return Claim.STRANGER

    def _claim_of_unannounced(self, source: Endpoint, evidence: Evidence, now: float) -> Claim:
        if self.state is LatchState.LATCHED or self.rank > LatchRank.OTHER:
            if self.rank is LatchRank.OTHER:
                return Claim.EQUAL
            self.refusal = Refusal.NO_BETTER_PROOF
            return Claim.STRANGER
        if now - self._signalled_at > UNANNOUNCED_WINDOW_S:
            self.refusal = Refusal.WINDOW_CLOSED
            return Claim.STRANGER
        if evidence.sequence is None:
            return Claim.CONFIRMED
        return self._confirm(source, evidence.sequence, evidence.ssrc, now)

    def _confirm(self, source: Endpoint, sequence: int, ssrc: int, now: float) -> Claim:
        """Watches one candidate at a time: it must show a stream, not one lucky packet."""
        if source != self._candidate:
            if self._candidate is not None and now - self._candidate_at < _CANDIDATE_IDLE_S:
                return Claim.CANDIDATE
            self._candidate = source
            self._candidate_count = 0
        ahead = (sequence - self._candidate_sequence) & 0xFFFF
        in_sequence = ssrc == self._candidate_ssrc and 0 < ahead <= _CONFIRM_GAP_PACKETS
        self._candidate_count = self._candidate_count + 1 if in_sequence else 1
        self._candidate_sequence = sequence
        self._candidate_ssrc = ssrc
        self._candidate_at = now
        if self._candidate_count < CONFIRM_PACKETS:
            return Claim.CANDIDATE
        return Claim.CONFIRMED


def draw_table() -> str:
    """The table as a Mermaid state diagram, for the design document."""
    lines = ["stateDiagram-v2", "    [*] --> EMPTY"]
    lines += [
        f"    {state.name} --> {after.name}: {claim.name} / {verdict.value}"
        for (state, claim), (after, verdict) in TABLE.items()
    ]
    lines += [f"    {state.name}: {state.name} - {state.value}" for state in LatchState]
    return "\n".join(lines) + "\n"
