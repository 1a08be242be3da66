"""How much faster two workers on two cores work off the same backlog than one on one core."""

import statistics
from collections.abc import Sequence
from contextlib import ExitStack, closing

from tests.bench.media.backlog import Backlog
from tests.bench.media.modes import Mode
from tests.bench.media.relays import Place, running
from tests.bench.media.telling import say
from tests.bench.media.wires import Wires

_CALLS = 1000
_DEPTH = 30
"""Packets in each socket: most of a second for one worker, so that the moment at which each
worker goes on does not matter."""


def workers(
    wires: Wires, one: Place, two: Place, mode: Mode, names: Sequence[str], rounds: int
) -> dict[str, dict[str, object]]:
    """Packets per second of wall time with one worker and with two, and their ratio, by relay."""
    found: dict[str, dict[str, object]] = {}
    for name in names:
        rates: tuple[list[float], list[float]] = ([], [])
        with ExitStack() as stack:
            backlogs = []
            for count, place in enumerate((one, two), start=1):
                relay = stack.enter_context(running(name, place, workers=count, slot=count))
                relay.prepare(mode, _CALLS)
                backlog = Backlog(wires, relay, mode, relay.open(), 1 + rounds * _DEPTH)
                backlogs.append(stack.enter_context(closing(backlog)))
                backlog.drain(1, ())
            for _ in range(rounds):
                for backlog, rate in zip(backlogs, rates, strict=True):
                    drained = backlog.drain(_DEPTH, ())
                    rate.append(drained.packets / drained.wall_s)
        ratios = [double / single for single, double in zip(*rates, strict=True)]
        found[name] = {
            "packets_per_s": [round(statistics.median(rate)) for rate in rates],
            "ratio": round(statistics.median(ratios), 2),
            "rounds": [round(ratio, 2) for ratio in ratios],
        }
        say(f"  {name:9} {mode.name:9} {found[name]}")
    return found
