"""Packets per CPU-second of each relay while it works off a backlog; the relays take turns."""

import statistics
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

from tests.bench.media.backlog import Backlog, Drained
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


@dataclass(frozen=True, slots=True)
class Course:
    """Where backlogs are made."""

    wires: Wires
    place: Place
    relay_core: int

    def drain(self, mode: Mode, names: Sequence[str], rounds: int) -> dict[str, dict[str, object]]:
        """The medians over the rounds, by relay."""
        softirq = (softirq_thread(self.relay_core),)
        done: dict[str, list[Drained]] = {name: [] for name in names}
        with ExitStack() as stack:
            backlogs = {
                name: self._backlog(stack, mode, name, slot, (_WARM + rounds) * _DEPTH)
                for slot, name in enumerate(names)
            }
            for _ in range(_WARM):
                for backlog in backlogs.values():
                    backlog.drain(_DEPTH, softirq)
            for _ in range(rounds):
                for name, backlog in backlogs.items():
                    done[name].append(backlog.drain(_DEPTH, softirq))
        found = {name: _figures(drained) for name, drained in done.items()}
        for name, figures in found.items():
            say(f"  {name:9} {mode.name:9} {figures['packets_per_cpu_s']} packets/CPU-s")
        return found

    def _backlog(
        self, stack: ExitStack, mode: Mode, name: str, slot: int, most_rounds: int
    ) -> Backlog:
        relay = stack.enter_context(running(name, self.place, slot=slot))
        relay.prepare(mode, _CALLS)
        backlog = Backlog(self.wires, relay, mode, relay.open(), most_rounds)
        return stack.enter_context(closing(backlog))


def _figures(done: Sequence[Drained]) -> dict[str, object]:
    return {
        "packets_per_cpu_s": round(statistics.median(one.packets_per_cpu_s for one in done)),
        "lost": sum(one.lost for one in done),
        "rounds": [round(one.packets_per_cpu_s) for one in done],
    }
