"""How much faster two workers on two cores work off the same backlog than one on one core.

No generator needs a core meanwhile. The CPU time of the busier worker is what the backlog takes
when each worker has a core for itself; the clock would show what else runs on the machine, most of
all where two cores must be free. What the machine itself loses when both cores work shows in two
processes with one worker each, which share nothing but the kernel.
"""

import os
import statistics
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace

from tests.bench.media.backlog import Backlog, Drained, drain
from tests.bench.media.comparison import quartiles
from tests.bench.media.modes import Mode
from tests.bench.media.proc import thread_cpu_s
from tests.bench.media.relays import Place, Relay, running
from tests.bench.media.telling import say
from tests.bench.media.wires import Wires

_CALLS = 2000
_DEPTH = 3
"""Packets in each socket: some 40 ms for one worker, so that the moment at which each worker goes
on matters little, and not so many that they come from memory instead of the cores' caches."""
_WARM = 2


def workers(
    wires: Wires, cores: Sequence[Place], mode: Mode, names: Sequence[str], rounds: int
) -> dict[str, dict[str, object]]:
    """Packets per second with one worker and with two, and their ratio, by engine.

    Args:
        wires: the network.
        cores: two places of one core each.
        mode: what is relayed.
        names: engines that can have several workers.
        rounds: how often each backlog is made.
    """
    found: dict[str, dict[str, object]] = {}
    both = replace(cores[0], cores=(*cores[0].cores, *cores[1].cores))
    for name in names:
        with ExitStack() as stack:
            made = _Backlogs(stack, wires, mode, name, rounds)
            arrangements = (
                [made.backlog(cores[0], workers=1, calls=_CALLS)],
                [made.backlog(both, workers=2, calls=_CALLS)],
                [made.backlog(place, workers=1, calls=_CALLS // 2) for place in cores],
            )
            drained = [
                tuple(drain(wires, backlogs, _DEPTH) for backlogs in arrangements)
                for _ in range(rounds)
            ]
        found[name] = _figures(drained)
        say(f"  {name:9} {mode.name:9} {found[name]}")
    return found


def _figures(drained: Sequence[tuple[Drained, ...]]) -> dict[str, object]:
    """From rounds of one worker, two workers, and two processes."""
    ratios = [one.busiest_s / two.busiest_s for one, two, _ in drained]
    return {
        "ratio": round(statistics.median(ratios), 2),
        "ratio_quartiles": quartiles(ratios),
        "of_two_processes": round(
            statistics.median(apart.busiest_s / two.busiest_s for _, two, apart in drained), 2
        ),
        "two_processes_ratio": round(
            statistics.median(one.busiest_s / apart.busiest_s for one, _, apart in drained), 2
        ),
        "packets_per_s": [
            round(statistics.median(one.packets / one.busiest_s for one in column))
            for column in zip(*drained, strict=True)
        ],
    }


class _Backlogs:
    """Makes relays of one kind that have seen all their calls."""

    def __init__(self, stack: ExitStack, wires: Wires, mode: Mode, name: str, rounds: int) -> None:
        self._stack = stack
        self._wires = wires
        self._mode = mode
        self._name = name
        self._most_rounds = _WARM + rounds * _DEPTH
        self._made = 0

    def backlog(self, place: Place, *, workers: int, calls: int) -> Backlog:
        """A new relay with so many workers, each on a core of its own."""
        running_one = running(self._name, place, workers=workers, slot=self._made)
        self._made += 1
        relay = self._stack.enter_context(running_one)
        relay.prepare(self._mode, calls)
        made = Backlog(self._wires, relay, self._mode, relay.open(), self._most_rounds)
        self._stack.enter_context(closing(made))
        before_s = thread_cpu_s(relay.pid)
        for _ in range(_WARM):
            drain(self._wires, [made], 1)
        _spread(relay, before_s, workers)
        return made


def _spread(relay: Relay, before_s: dict[int, float], workers: int) -> None:
    """Hold the busiest threads to one core each: two that wake on one core stay there a while."""
    used_s = {one: now_s - before_s.get(one, 0.0) for one, now_s in thread_cpu_s(relay.pid).items()}
    busiest = sorted(used_s, key=lambda one: used_s[one])[-workers:]
    for thread, core in zip(busiest, sorted(os.sched_getaffinity(relay.pid)), strict=True):
        os.sched_setaffinity(thread, {core})
