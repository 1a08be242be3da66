"""How many calls a peer may have at once and begin per second.

The number of calls is the size of the set of live calls, never a counter of its own, so that it
cannot drift from what is true.
"""

from collections.abc import Mapping
from typing import NamedTuple

from sbc.policy.access import BUILT_IN
from sbc.policy.model import Decision, Evidence


class CallLimits(NamedTuple):
    """The caps of one peer; None for no cap."""

    max_calls: int | None = None
    calls_per_second: float | None = None
    burst: int = 10
    where: str = BUILT_IN
    """``file:line`` of the peer."""


NO_LIMITS = CallLimits()


class PeerCaps:
    """The live calls of every peer, whichever side of a call it is on."""

    __slots__ = ("_limits", "_live", "_rates")

    def __init__(self, limits: Mapping[str, CallLimits]) -> None:
        self._limits = dict(limits)
        self._live: dict[str, set[str]] = {}
        self._rates: dict[str, tuple[float, float]] = {}

    def apply(self, limits: Mapping[str, CallLimits]) -> None:
        """Put other caps in force; live calls stay, even above a lower cap."""
        self._limits = dict(limits)

    def begin(self, peer: str, call: str, now: float) -> Decision:
        """Let a call begin, or say with 503 which cap forbids it.

        A call that is live with the peer already is not counted twice.
        """
        limits = self._limits.get(peer, NO_LIMITS)
        live = self._live.setdefault(peer, set())
        if call in live:
            return _decision(peer, limits, "live", ())
        count = len(live)
        tested = Evidence("calls", str(count), f"below {limits.max_calls}")
        if limits.max_calls is not None and count >= limits.max_calls:
            return _refusal(peer, limits, "max_calls", tested)
        if limits.calls_per_second is not None:
            tokens = self._tokens(peer, limits, limits.calls_per_second, now)
            if tokens < 1.0:
                rate = Evidence("calls_per_second", "used up", f"{limits.calls_per_second:g}")
                return _refusal(peer, limits, "calls_per_second", rate)
            self._rates[peer] = (tokens - 1.0, now)
        live.add(call)
        return _decision(peer, limits, "limits", () if limits.max_calls is None else (tested,))

    def end(self, peer: str, call: str) -> None:
        """A call ended; one that is not live is nothing to do."""
        live = self._live.get(peer)
        if live is not None:
            live.discard(call)
            if not live:
                del self._live[peer]

    def calls(self, peer: str) -> int:
        """How many calls the peer has now."""
        return len(self._live.get(peer, ()))

    def _tokens(self, peer: str, limits: CallLimits, rate: float, now: float) -> float:
        tokens, at = self._rates.get(peer, (float(limits.burst), now))
        return min(float(limits.burst), tokens + (now - at) * rate)


def _decision(peer: str, limits: CallLimits, what: str, tested: tuple[Evidence, ...]) -> Decision:
    return Decision("allow", f"{what} of peer {peer}", limits.where, tested=tested)


def _refusal(peer: str, limits: CallLimits, what: str, tested: Evidence) -> Decision:
    return Decision("reject", f"{what} of peer {peer}", limits.where, status=503, tested=(tested,))
