"""How many calls a peer may have at once and begin per second, and what they may bring.

The number of calls is the size of the set of live calls, and their bandwidth the sum over that set,
never a counter of its own, so that neither can drift from what is true.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sbc.policy.access import BUILT_IN
from sbc.policy.call_limits import CallLimit, CallRoom
from sbc.policy.conditions import Evidence
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

_NEVER = (-2, 0, 0)
"""A second, how many calls began in it, and how many in the one before it."""


class PeerCaps:
    """The live calls of every peer, whichever side of a call it is on."""

    __slots__ = ("_begun", "_limits", "_live", "_rates", "_weighs", "room")

    def __init__(self, limits: Mapping[str, CallLimits]) -> None:
        self._live: dict[str, dict[str, int]] = {}
        self._rates: dict[str, tuple[float, float]] = {}
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
        live = self._live.get(peer, {})
        if call in live:
            return _decision(peer, limits, "live", ())
        tokens = self._tokens(peer, limits, limits.calls_per_second or 0.0, now)
        refusal = None if emergency else _objection(peer, limits, live, kbps, tokens)
        if refusal is not None:
            return refusal
        if limits.calls_per_second is not None:
            self._rates[peer] = (max(tokens - 1.0, 0.0), now)
        self._live.setdefault(peer, {})[call] = kbps
        self._count(peer, now)
        tested = () if limits.max_calls is None else (_calls(limits, len(live)),)
        return _decision(peer, limits, "limits", tested)

    def end(self, peer: str, call: str) -> None:
        """A call ended; one that is not live is nothing to do."""
        live = self._live.get(peer)
        if live is not None:
            live.pop(call, None)
            if not live:
                del self._live[peer]

    def calls(self, peer: str) -> int:
        """How many calls the peer has now."""
        return len(self._live.get(peer, ()))

    def weigh(self, peer: str, call: str, kbps: int) -> None:
        """What a live call may bring has changed; it stays, even above a cap."""
        live = self._live.get(peer, {})
        if call in live:
            live[call] = kbps

    def kbps(self, peer: str) -> int:
        """What the calls of a peer may bring now."""
        return sum(self._live.get(peer, {}).values())

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

    def _tokens(self, peer: str, limits: CallLimits, rate: float, now: float) -> float:
        tokens, at = self._rates.get(peer, (float(limits.burst), now))
        return min(float(limits.burst), tokens + (now - at) * rate)


def _objection(
    peer: str, limits: CallLimits, live: Mapping[str, int], kbps: int, tokens: float
) -> Decision | None:
    """Which cap forbids one more call."""
    if limits.max_calls is not None and len(live) >= limits.max_calls:
        return _refusal(peer, limits, "max_calls", _calls(limits, len(live)))
    if limits.max_kbps is not None:
        after = sum(live.values()) + kbps
        if after > limits.max_kbps:
            brings = Evidence("kbps", f"{after} with this call", f"at most {limits.max_kbps}")
            return _refusal(peer, limits, "max_kbps", brings)
    if limits.calls_per_second is not None and tokens < 1.0:
        rate = Evidence("calls_per_second", "used up", f"{limits.calls_per_second:g}")
        return _refusal(peer, limits, "calls_per_second", rate)
    return None


def _calls(limits: CallLimits, count: int) -> Evidence:
    return Evidence("calls", str(count), f"below {limits.max_calls}")


def _decision(peer: str, limits: CallLimits, what: str, tested: tuple[Evidence, ...]) -> Decision:
    return Decision("allow", f"{what} of peer {peer}", limits.where, tested=tested)


def _refusal(peer: str, limits: CallLimits, what: str, tested: Evidence) -> Decision:
    return Decision("reject", f"{what} of peer {peer}", limits.where, status=503, tested=(tested,))
