"""Requests that were turned away: who is told, and what is kept for the operator's questions.

What strangers send is kept only as far as a ration allows, so that no flood of theirs costs much or
makes anybody else's refusals be forgotten. What peers, trusted networks, registered phones and
users are refused is kept apart; of their calls there is a record, too.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

from sbc.bucket import Bucket
from sbc.driver.callers import Caller
from sbc.driver.edges import told_of
from sbc.policy.explain import Decided
from sbc.policy.gate import Verdict
from sbc.prefixes import source_key
from sbc.routing.facing import host_port
from sbc.sip.errors import ParseError
from sbc.sip.flow import Flow
from sbc.sip.message import Request

MAX_KNOWN: Final = 500
MAX_STRANGERS: Final = 500
"""How many refused requests are remembered of whom we know, and of strangers."""

_PER_SECOND_KNOWN: Final = 50
_PER_SECOND_STRANGERS: Final = 20
_SOURCE_EVERY_S: Final = 1.0
_SOURCES: Final = 1024
"""Sources of which it is remembered when they were last taken note of."""
_LONGEST_TEXT: Final = 256
_CHALLENGES: Final = frozenset({401, 407})


class TurnedAway(NamedTuple):
    """A request that did not go on."""

    request: Request
    flow: Flow
    id: str
    """The tag that To has in the answer: by it both ends can speak of the same refusal."""
    status: int
    """Of the answer; 0 for silence."""
    why: str
    """For the operator; empty for a challenge, which is only a question."""
    decided: Decided | None = None
    """What policy said, as far as it was asked."""
    caller: Caller | None = None
    known: bool = False
    """Whether it came from a peer, a trusted network, a registered phone or a user."""


class Witness(Protocol):
    """Who is told what became of requests."""

    def limited(self, flow: Flow, verdict: Verdict) -> None:
        """A message was dropped before it was read."""

    def malformed(self, flow: Flow, error: ParseError) -> None:
        """A message could not be read."""

    def turned_away(self, turned: TurnedAway, now: float) -> None:
        """A request did not go on."""

    def let_in(self, request: Request, flow: Flow, caller: Caller) -> None:
        """A request went on, outside everything that was let in before."""


@dataclass(frozen=True, slots=True)
class RefusedRequest:
    """What is kept of a request that was turned away, and of a stranger's nothing at length."""

    id: str
    at: float
    """Seconds since 1970."""
    method: str
    network: str
    transport: str
    source: str
    """``host:port``."""
    call_id: str
    caller: str
    callee: str
    user_agent: str
    peer: str
    status: int
    """0 for silence."""
    why: str
    explanation: dict[str, Any] = field(default_factory=dict)
    """As `Decided.to_data` gives it; empty where policy was not what refused it."""


class RefusedRequests:
    """The witness of a serving process."""

    __slots__ = ("_known", "_known_ration", "_recorded", "_sources", "_strangers",
                 "_strangers_ration", "_wall", "unkept")  # fmt: skip

    def __init__(
        self, wall: Callable[[], float], recorded: Callable[[RefusedRequest], None]
    ) -> None:
        """Nothing was refused yet.

        Args:
            wall: Seconds since 1970.
            recorded: Told of each refused call that is to have a record.
        """
        self._wall = wall
        self._recorded = recorded
        self._known: OrderedDict[str, RefusedRequest] = OrderedDict()
        self._strangers: OrderedDict[str, RefusedRequest] = OrderedDict()
        self._known_ration = Bucket(_PER_SECOND_KNOWN, _PER_SECOND_KNOWN)
        self._strangers_ration = Bucket(_PER_SECOND_STRANGERS, _PER_SECOND_STRANGERS)
        self._sources: OrderedDict[str, float] = OrderedDict()
        self.unkept = 0
        """Refused requests of which nothing was kept."""

    def __iter__(self) -> Iterator[RefusedRequest]:
        kept = [*self._known.values(), *self._strangers.values()]
        return iter(sorted(kept, key=lambda one: one.at))

    def find(self, name: str) -> list[RefusedRequest]:
        """Those of a Call-ID or an id, the newest last."""
        return [one for one in self if name in (one.id, one.call_id)]

    def limited(self, flow: Flow, verdict: Verdict) -> None:
        """See `Witness`; that is counted, and no more."""

    def malformed(self, flow: Flow, error: ParseError) -> None:
        """See `Witness`; that is counted, and no more."""

    def let_in(self, request: Request, flow: Flow, caller: Caller) -> None:
        """See `Witness`; a call tells its own story."""

    def turned_away(self, turned: TurnedAway, now: float) -> None:
        """See `Witness`."""
        if turned.status in _CHALLENGES and not turned.why:
            return
        kept = self._known if turned.known else self._strangers
        if turned.id in kept:
            return  # sent again before our answer was there
        if not (
            self._known_ration.take(now) if turned.known else self._stranger_may(turned.flow, now)
        ):
            self.unkept += 1
            return
        refused = _refused(turned, self._wall())
        kept[turned.id] = refused
        if len(kept) > (MAX_KNOWN if turned.known else MAX_STRANGERS):
            kept.popitem(last=False)
        if turned.known and refused.method == "INVITE" and turned.decided is not None:
            self._recorded(refused)

    def _stranger_may(self, flow: Flow, now: float) -> bool:
        """Whether there is room for one more of a stranger: one a second and source, few of all."""
        source = source_key(flow.remote[0])
        last = self._sources.get(source)
        if last is not None and now - last < _SOURCE_EVERY_S:
            return False
        if not self._strangers_ration.take(now):
            return False
        self._sources[source] = now
        self._sources.move_to_end(source)
        if len(self._sources) > _SOURCES:
            self._sources.popitem(last=False)
        return True


def _refused(turned: TurnedAway, at: float) -> RefusedRequest:
    request, flow, caller = turned.request, turned.flow, turned.caller
    told = told_of(request, flow)
    return RefusedRequest(
        id=turned.id,
        at=at,
        method=_short(request.method),
        network=flow.network,
        transport=flow.transport,
        source=host_port(*flow.remote),
        call_id=_short(told["call_id"]),
        caller=_short(told["caller"]),
        callee=_short(told["callee"]),
        user_agent=_short(request.headers.first("user-agent")),
        peer="" if caller is None else caller.peer,
        status=turned.status,
        why=turned.why,
        explanation={} if turned.decided is None else turned.decided.to_data(),
    )


def _short(text: object) -> str:
    return "" if text is None else str(text)[:_LONGEST_TEXT]
