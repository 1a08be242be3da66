"""A Call: two legs and what they need relayed, as data.

Everything but `context` and `decided` is plain data, so that a call can be exported and restored
(`snapshot.py`). What happens to it is in `machine.py` and the files it names.
"""

from dataclasses import dataclass, field
from enum import Enum

from media.plan import MediaPlan
from media.types import FlowCounters, SideName
from sbc.b2bua.causes import Ending
from sbc.b2bua.commands import Command
from sbc.b2bua.context import Context
from sbc.b2bua.journal import Journal
from sbc.b2bua.leg import AckWait, Exchange, Fork, Leg, PassedOver, Refused
from sbc.b2bua.table import State
from sbc.policy.charges import Charge
from sbc.policy.explain import Decided
from sbc.routing.failover import DEFAULT_FAILOVER, Failover
from sbc.routing.hops import Hop, hop_of
from sbc.routing.model import MediaRules
from sbc.sip.flow import Flow
from sbc.sip.message import Request

A = SideName.A
B = SideName.B


class Timer(Enum):
    """The call's own timers; the value is what the journal says when one fires."""

    RING = "no sign of ringing"
    """100 came, or nothing, but no provisional response that rings."""
    TRY = "no response"
    """Nothing at all came back from the candidate being tried."""
    NO_ANSWER = "no answer"
    MAX_DURATION = "longest allowed duration reached"
    CANCEL = "no final response to the cancelled INVITE"
    """64*T1 after CANCEL (RFC 3261 §9.1)."""
    ACK_A = "2xx to A repeated"
    """When the next repetition of an unacknowledged 2xx is due."""
    ACK_B = "2xx to B repeated"
    REINVITE = "no final response to a re-INVITE"
    PASSED_OVER = "no final response from a candidate that was passed over"
    """64*T1 after its CANCEL."""
    LINGER = "no final response to an INVITE that a BYE overtook"
    """64*T1 after the BYE (RFC 3261 §15.1.2 wants a 487 to it)."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One place where the callee may be, in order of preference."""

    peer: str
    """Configured name; ``""`` for none."""
    flow: Flow
    request_uri: str
    our_host: str
    """The host that stands for callers toward this candidate."""
    their_host: str
    rules: MediaRules
    trusted: bool
    routes: tuple[str, ...] = ()
    """Route of the INVITE, the nearest hop first (RFC 3327 §5.2, RFC 3608 §6)."""
    note: str = ""
    """What was done to the called number for it; empty for nothing."""
    contact_user: str = "sbc"
    """User part of our Contact toward it."""
    failover: Failover = DEFAULT_FAILOVER
    """When the next candidate is tried in place of this one."""

    @property
    def hop(self) -> Hop:
        """Where it is, as health and live calls are kept by."""
        return hop_of(self.peer, self.flow)


@dataclass(slots=True)
class MediaPort:
    """Our end of one m-line toward one leg."""

    port: int
    """The even RTP port; RTCP is one above. 0 when given back."""
    network: str
    host: str
    """The address we bind."""
    advertise: str
    """The address SDP says."""


@dataclass(slots=True)
class MediaLine:
    """One m-line as both legs have it."""

    index: int
    kind: str
    a: MediaPort
    b: MediaPort

    def port(self, side: SideName) -> MediaPort:
        """Our end toward a leg."""
        return self.a if side is A else self.b


@dataclass(slots=True)
class MediaCounters:
    """What the relay counted for one m-line, noted when the call ended."""

    index: int
    clock_hz: int
    a: FlowCounters
    b: FlowCounters


@dataclass(slots=True)
class Call:
    """One call through the border."""

    name: str
    """What logs, CDR and the CLI call it."""
    context: Context
    a: Leg
    b: Leg
    candidates: tuple[Candidate, ...]
    started_at: float
    started_wall: float
    """Seconds since 1970, for people; `started_at` is the monotonic moment of it."""
    caller: str
    """User part the caller presented."""
    callee: str
    """User part that was dialled."""
    route: str
    """The rule that chose the candidates, for CDR and explanation."""
    max_forwards: int
    """Of the INVITE to a candidate: what the caller's had left, less one."""
    loop_mark: str
    """Part of our branches by which a looping INVITE is recognised (RFC 5393 §4.2)."""
    position: int = 0
    """The candidate being tried."""
    state: State = State.CALLING
    invite: Request | None = None
    """A's INVITE, until A has its final response."""
    asked: Request | None = None
    """That INVITE as the rules for headers leave it, which is what the callee hears of; None where
    it is as it came."""
    invite_key: str = ""
    setup: Exchange | None = None
    """Our INVITE to the candidate being tried."""
    exchanges: dict[str, Exchange] = field(default_factory=dict)
    """Later requests of ours that wait for their final response, by branch."""
    ack_waits: dict[SideName, AckWait] = field(default_factory=dict)
    """A leg's 2xx that is repeated until its ACK comes."""
    acks: dict[SideName, Request] = field(default_factory=dict)
    """The last ACK we sent on a leg, repeated when its 2xx is."""
    forks: list[Fork] = field(default_factory=list)
    passed_over: list[PassedOver] = field(default_factory=list)
    """Candidates that did not ring in time, each until the call ends."""
    refused: Refused | None = None
    """The best final response of the candidates that failed (RFC 3261 §16.7 step 6)."""
    timers: dict[Timer, float] = field(default_factory=dict)
    lines: list[MediaLine] = field(default_factory=list)
    plan: MediaPlan | None = None
    journal: Journal = field(default_factory=Journal)
    counters: list[MediaCounters] = field(default_factory=list)
    charge: Charge | None = None
    """Who pays what for it."""
    longest_s: float | None = None
    """Seconds that policy lets it last, where that is less than for every call."""
    answered_at: float | None = None
    ended_at: float | None = None
    ending: Ending | None = None
    decided: Decided | None = field(default=None, compare=False, repr=False)
    """Why it was let in, for questions; an export leaves it out."""
    now: float = 0.0
    """The moment of the event in work."""
    out: list[Command] = field(default_factory=list)
    """Commands of the event in work; always empty between events."""

    def leg(self, side: SideName) -> Leg:
        """The leg of that side."""
        return self.a if side is A else self.b

    def other(self, side: SideName) -> Leg:
        """The leg opposite to that side."""
        return self.b if side is A else self.a

    def side_asked(self, ref: str) -> SideName:
        """The leg that our request of that branch went to."""
        exchange = self.exchanges.get(ref)
        return B if exchange is None else exchange.to

    @property
    def candidate(self) -> Candidate:
        """The candidate being tried."""
        return self.candidates[self.position]

    def note(self, kind: str, text: str, side: SideName | None = None) -> None:
        """Add a line to the journal."""
        self.journal.note(self.now, kind, text, side.value if side is not None else "")

    def ends(self, ending: Ending) -> None:
        """Remember the first reason for the end; later ones are consequences of it."""
        if self.ending is None:
            self.ending = ending
            self.note("decision", f"ends: {ending.text} (by {ending.by}, {ending.by.origin})")
