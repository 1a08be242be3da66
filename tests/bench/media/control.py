"""Calls that each relay sets up, answers and tears down per CPU-second; the relays take turns."""

from collections.abc import Sequence

from tests.bench.media.comparison import compared
from tests.bench.media.modes import Mode
from tests.bench.media.relays import Place, running
from tests.bench.media.telling import say

_CALLS = 2000


def control(
    place: Place, mode: Mode, names: Sequence[str], rounds: int
) -> dict[str, dict[str, object]]:
    """The median over the rounds, by relay; each round has a fresh one."""
    rates: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            with running(name, place) as relay:
                rates[name].append(_CALLS / relay.control(mode, _CALLS))
            say(f"  {name:9} {mode.name:9} {rates[name][-1]:6.0f} calls/CPU-s")
    return compared("calls_per_cpu_s", rates)
