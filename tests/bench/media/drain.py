"""Packets per CPU-second of each relay while it works off a backlog; the relays take turns."""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

from tests.bench.media.backlog import Backlog, Drained
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


@dataclass(frozen=True, slots=True)
class Course:
    """Where backlogs are made."""

    wires: Wires
    place: Place
    relay_core: int

    def drain(self, mode: Mode, names: Sequence[str], rounds: int) -> dict[str, dict[str, object]]:
        """The medians over the rounds, by relay."""
        softirq = (softirq_thread(self.relay_core),)
        done: dict[str, list[float]] = {name: [] for name in names}
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
                    done[name].append(_complete(name, backlog.drain(_DEPTH, softirq)))
        found = compared("packets_per_cpu_s", done)
        for name, figures in found.items():
            say(f"  {name:9} {mode.name:9} {figures}")
        return found

    def _backlog(
        self, stack: ExitStack, mode: Mode, name: str, slot: int, most_rounds: int
    ) -> Backlog:
        relay = stack.enter_context(running(name, self.place, slot=slot))
        relay.prepare(mode, _CALLS)
        backlog = Backlog(self.wires, relay, mode, relay.open(), most_rounds)
        return stack.enter_context(closing(backlog))


def _complete(name: str, drained: Drained) -> float:
    """Packets per CPU-second; a relay that loses some of so short a queue is not measured.

    Raises:
        RuntimeError: it lost some.
    """
    if drained.lost:
        raise RuntimeError(f"{name} lost {drained.lost} packets of a backlog")
    return drained.packets_per_cpu_s
