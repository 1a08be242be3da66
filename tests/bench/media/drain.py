"""Packets per CPU-second of each relay while it works off a backlog; the relays take turns."""

from collections.abc import Sequence
from contextlib import ExitStack, closing

from tests.bench.media.backlog import Backlog, drain
from tests.bench.media.comparison import compared
from tests.bench.media.modes import Mode
from tests.bench.media.proc import softirq_thread
from tests.bench.media.relays import Place, running
from tests.bench.media.telling import say
from tests.bench.media.wires import Wires

_CALLS = 500
_DEPTH = 1
"""Packets in each socket: as in a relay that just follows. More, and reads are saved that real
traffic would cost."""
_WARM = 4


def drain_in_turn(
    wires: Wires, place: Place, mode: Mode, names: Sequence[str], rounds: int
) -> dict[str, dict[str, object]]:
    """The medians over the rounds, by relay."""
    softirq = [softirq_thread(core) for core in place.cores]
    done: dict[str, list[float]] = {name: [] for name in names}
    with ExitStack() as stack:
        backlogs = {}
        for slot, name in enumerate(names):
            relay = stack.enter_context(running(name, place, slot=slot))
            relay.prepare(mode, _CALLS)
            backlog = Backlog(wires, relay, mode, relay.open(), (_WARM + rounds) * _DEPTH)
            backlogs[name] = stack.enter_context(closing(backlog))
        for number in range(_WARM + rounds):
            for name, backlog in backlogs.items():
                drained = drain(wires, [backlog], _DEPTH, softirq)
                if number >= _WARM:
                    done[name].append(drained.packets_per_cpu_s)
    found = compared("packets_per_cpu_s", done)
    for name, figures in found.items():
        say(f"  {name:9} {mode.name:9} {figures}")
    return found
