"""How many calls a peer may have at once and begin per second, and what they may bring."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sbc.policy.access import BUILT_IN
from sbc.policy.call_limits import CallLimit, CallRoom
from sbc.policy.conditions import Evidence
from sbc.policy.live_calls import LiveCalls
from sbc.policy.model import Decision


class CallLimits(NamedTuple):
    """The caps of one peer; None for no cap."""

    max_calls: int | None = None
    calls_per_second: float | None = None
    burst: int = 10
    where: str = BUILT_IN
    """``file:line`` of the peer."""
    max_kbps: int | None = None
    """Kilobits per second of all its calls, in one direction."""


NO_LIMITS = CallLimits()

_CAPS = {"calls": "max_calls", "kbps": "max_kbps"}
"""The caps that are not called as what they limit."""

_NEVER = (-2, 0, 0)
"""A second, how many calls began in it, and how many in the one before it."""


class PeerCaps:
    """The live calls of every peer, whichever side of a call it is on."""

    __slots__ = ("_begun", "_limits", "_live", "_weighs", "room")

    def __init__(self, limits: Mapping[str, CallLimits]) -> None:
        self._live: LiveCalls[str] = LiveCalls()
        self._begun: dict[str, tuple[int, int, int]] = {}
        self.room = CallRoom()
        """The calls under the limits of policies."""
        self.apply(limits)

    def apply(
        self, limits: Mapping[str, CallLimits], of_policies: Iterable[CallLimit] = ()
    ) -> None:
        """Put other caps in force; live calls stay, even above a lower cap."""
        self._limits = dict(limits)
        self._weighs = any(one.max_kbps is not None for one in limits.values())
        self.room.apply(of_policies)

    @property
    def weighs(self) -> bool:
        """Whether it matters to anybody what calls may bring."""
        return self._weighs or self.room.weighs

    def limits(self, peer: str) -> CallLimits:
        """The caps of a peer."""
        return self._limits.get(peer, NO_LIMITS)

    def begin(
        self, peer: str, call: str, now: float, kbps: int = 0, *, emergency: bool = False
    ) -> Decision:
        """Let a call begin, or say with 503 which cap forbids it.

        A call that is live with the peer already is not counted twice. An emergency call is counted
        as all are, and forbidden by no cap.

        Args:
            kbps: What it may bring.
        """
        limits = self._limits.get(peer, NO_LIMITS)
        live = self._live.of(peer)
        if call in live:
            return _decision(peer, limits, "live", ())
        tested = None if emergency else self._live.objection(peer, limits, now, kbps)
        if tested is not None:
            return _refusal(peer, limits, tested)
        below = f"below {limits.max_calls}"
        found = () if limits.max_calls is None else (Evidence("calls", str(len(live)), below),)
        self._live.begin(peer, limits, call, now, kbps)
        self._count(peer, now)
        return _decision(peer, limits, "limits", found)

    def end(self, peer: str, call: str) -> None:
        """A call ended; one that is not live is nothing to do."""
        self._live.end(peer, call)

    def calls(self, peer: str) -> int:
        """How many calls the peer has now."""
        return len(self._live.of(peer))

    def weigh(self, peer: str, call: str, kbps: int) -> None:
        """What a live call may bring has changed; it stays, even above a cap."""
        self._live.weigh(peer, call, kbps)

    def kbps(self, peer: str) -> int:
        """What the calls of a peer may bring now."""
        return sum(self._live.of(peer).values())

    def begun(self, peer: str, now: float) -> int:
        """How many calls of a peer began in the last whole second."""
        second, count, before = self._begun.get(peer, _NEVER)
        age = int(now) - second
        return before if age == 0 else count if age == 1 else 0

    def _count(self, peer: str, now: float) -> None:
        second, count, before = self._begun.get(peer, _NEVER)
        if second == int(now):
            self._begun[peer] = (second, count + 1, before)
        else:
            self._begun[peer] = (int(now), 1, self.begun(peer, now))


def _decision(peer: str, limits: CallLimits, what: str, tested: tuple[Evidence, ...]) -> Decision:
    return Decision("allow", f"{what} of peer {peer}", limits.where, tested=tested)


def _refusal(peer: str, limits: CallLimits, tested: Evidence) -> Decision:
    what = _CAPS.get(tested.fact, tested.fact)
    return Decision("reject", f"{what} of peer {peer}", limits.where, status=503, tested=(tested,))
