"""How much faster two workers on two cores work off the same backlog than one on one core.

No generator needs a core meanwhile. Where other work takes cores away, wall time shows it most
with two workers; the CPU time of the busier worker does not, and is what the backlog takes when
each worker has a core for itself.
"""

import os
import statistics
from collections.abc import Sequence
from contextlib import ExitStack, closing

from tests.bench.media.backlog import Backlog
from tests.bench.media.comparison import quartiles
from tests.bench.media.modes import Mode
from tests.bench.media.proc import thread_cpu_s
from tests.bench.media.relays import Place, Relay, running
from tests.bench.media.telling import say
from tests.bench.media.wires import Wires

_CALLS = 1000
_DEPTH = 30
"""Packets in each socket: a fifth of a second for one worker, so that the moment at which each
worker goes on does not matter."""
_WARM = 2


def workers(
    wires: Wires, host_cores: tuple[Place, Place], mode: Mode, names: Sequence[str], rounds: int
) -> dict[str, dict[str, object]]:
    """Packets per second with one worker and with two, and their ratio, by engine.

    Args:
        wires: the network.
        host_cores: where one worker runs, and where two do.
        mode: what is relayed.
        names: engines that can have several workers.
        rounds: how often each backlog is made.
    """
    found: dict[str, dict[str, object]] = {}
    for name in names:
        with ExitStack() as stack:
            backlogs = [
                _backlog(stack, wires, place, mode, name, count, rounds)
                for count, place in enumerate(host_cores, start=1)
            ]
            drained = [[backlog.drain(_DEPTH, ()) for backlog in backlogs] for _ in range(rounds)]
        ratios = [one.busiest_s / two.busiest_s for one, two in drained]
        found[name] = {
            "ratio": round(statistics.median(ratios), 2),
            "ratio_quartiles": quartiles(ratios),
            "wall_ratio": round(
                statistics.median(one.wall_s / two.wall_s for one, two in drained), 2
            ),
            "packets_per_s": [
                round(statistics.median(one.packets / one.busiest_s for one in column))
                for column in zip(*drained, strict=True)
            ],
        }
        say(f"  {name:9} {mode.name:9} {found[name]}")
    return found


def _backlog(
    stack: ExitStack, wires: Wires, place: Place, mode: Mode, name: str, count: int, rounds: int
) -> Backlog:
    """A relay with so many workers, each on a core of its own, that has seen all its calls."""
    relay = stack.enter_context(running(name, place, workers=count, slot=count))
    relay.prepare(mode, _CALLS)
    backlog = Backlog(wires, relay, mode, relay.open(), _WARM + rounds * _DEPTH)
    stack.enter_context(closing(backlog))
    before = thread_cpu_s(relay.pid)
    for _ in range(_WARM):
        backlog.drain(1, ())
    _spread(relay, before, count)
    return backlog


def _spread(relay: Relay, before: dict[int, float], count: int) -> None:
    """Hold the busiest threads to one core each: two that wake on one core stay there a while."""
    used = {one: now - before.get(one, 0.0) for one, now in thread_cpu_s(relay.pid).items()}
    busiest = sorted(used, key=lambda one: used[one])[-count:]
    cores = sorted(os.sched_getaffinity(relay.pid))
    for thread, core in zip(busiest, cores, strict=True):
        os.sched_setaffinity(thread, {core})
