"""Calls that are counted together: how many are live, what they may bring, and how fast they begin.

What is counted is the set of live calls itself, and their bandwidth the sum over that set, never a
counter of its own, so that neither can drift from what is true.
"""

from collections.abc import Hashable, Mapping
from typing import Final, Generic, Protocol, TypeVar

from sbc.policy.conditions import Evidence

MOST_RATES: Final = 65_536
"""Keys whose rate is remembered; the one that began a call longest ago is forgotten first."""

_NO_CALLS: Final[Mapping[str, int]] = {}


class Capped(Protocol):
    """How much there may be; None where nothing is said of it."""

    @property
    def max_calls(self) -> int | None:
        """Calls at once."""

    @property
    def calls_per_second(self) -> float | None:
        """How fast they may begin, for long."""

    @property
    def burst(self) -> int:
        """How many may begin at once."""

    @property
    def max_kbps(self) -> int | None:
        """Kilobits per second of all of them, in one direction."""


K = TypeVar("K", bound=Hashable)


class LiveCalls(Generic[K]):
    """The live calls of each key, by their names, with the kilobits per second they may bring."""

    __slots__ = ("_live", "_rates")

    def __init__(self) -> None:
        self._live: dict[K, dict[str, int]] = {}
        self._rates: dict[K, tuple[float, float]] = {}

    def of(self, key: K) -> Mapping[str, int]:
        """Those of a key."""
        return self._live.get(key, _NO_CALLS)

    def counts(self) -> dict[K, int]:
        """How many each key has that has any."""
        return {key: len(live) for key, live in self._live.items()}

    def objection(
        self, key: K, caps: Capped, now: float, kbps: int, whose: str = ""
    ) -> Evidence | None:
        """Which cap forbids one call more; None for none.

        Args:
            kbps: What it may bring.
            whose: Whose calls they are, as explanations say it behind a number.
        """
        live = self.of(key)
        if caps.max_calls is not None and len(live) >= caps.max_calls:
            return Evidence("calls", f"{len(live)}{whose}", f"below {caps.max_calls}")
        if caps.max_kbps is not None and sum(live.values()) + kbps > caps.max_kbps:
            brings = f"{sum(live.values()) + kbps} with this call{whose}"
            return Evidence("kbps", brings, f"at most {caps.max_kbps}")
        if caps.calls_per_second is not None and self._tokens(key, caps, now) < 1.0:
            return Evidence("calls_per_second", f"used up{whose}", f"{caps.calls_per_second:g}")
        return None

    def begin(self, key: K, caps: Capped, call: str, now: float, kbps: int) -> None:
        """Count a call from now on."""
        self._live.setdefault(key, {})[call] = kbps
        if caps.calls_per_second is None:
            return
        tokens = max(self._tokens(key, caps, now) - 1.0, 0.0)
        self._rates.pop(key, None)
        self._rates[key] = (tokens, now)
        if len(self._rates) > MOST_RATES:
            del self._rates[next(iter(self._rates))]

    def end(self, key: K, call: str) -> None:
        """A call ended; one that is not live is nothing to do."""
        live = self._live.get(key)
        if live is not None:
            live.pop(call, None)
            if not live:
                del self._live[key]

    def weigh(self, key: K, call: str, kbps: int) -> None:
        """What a live call may bring has changed; it stays, even above a cap."""
        live = self._live.get(key)
        if live is not None and call in live:
            live[call] = kbps

    def _tokens(self, key: K, caps: Capped, now: float) -> float:
        full = float(caps.burst)
        tokens, at = self._rates.get(key, (full, now))
        return min(full, tokens + (now - at) * (caps.calls_per_second or 0.0))
