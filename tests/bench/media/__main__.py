"""Our relay beside rtpengine: what a packet, a call and its set-up cost each of them.

    python -m tests.bench.media                     everything, in about ten minutes
    python -m tests.bench.media --quick             fewer rounds and relays: two minutes
    python -m tests.bench.media --only drain        one part

Needs root, two cores, gcc and rtpengine (Debian: rtpengine-daemon), and the native engine built.
The last line is one JSON object with the figures. Definitions, goals and traps are in README.md
of the directory above.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from tests.bench.media import stepped
from tests.bench.media.control import control
from tests.bench.media.drain import drain_in_turn
from tests.bench.media.generator import Generator
from tests.bench.media.memory import memory
from tests.bench.media.modes import MODES, Mode
from tests.bench.media.relays import ALL, PYTHON, THEIRS, Place, missing_for
from tests.bench.media.report import goals
from tests.bench.media.telling import say
from tests.bench.media.wires import Wires
from tests.bench.media.workers import workers
from tests.bench.process import alone, raise_descriptor_limit
from tests.kit.hosts import Lab, missing_for_namespaces

PARTS = ("drain", "saturation", "usual", "control", "memory", "workers")
_PLAIN, _HALF_SECURE, _SECURE = "rtp_rtp", "srtp_rtp", "srtp_srtp"
_LONGEST_S = 1800


@dataclass(frozen=True, slots=True)
class Rounds:
    """How often each part is repeated."""

    drain: int
    saturation: int
    usual: int
    control: int
    workers: int
    window_s: float
    """Of a load step."""


STANDARD = Rounds(drain=60, saturation=3, usual=3, control=3, workers=15, window_s=1.0)
QUICK = Rounds(drain=20, saturation=1, usual=1, control=1, workers=5, window_s=0.6)


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything that is needed to measure."""

    wires: Wires
    generator: Generator
    relay_core: int
    load_core: int
    relays: Sequence[str]
    rounds: Rounds
    log: Path

    def run(self, part: str) -> dict[str, dict[str, dict[str, object]]]:
        """Measure one part and return its figures by mode and relay."""
        say(f"{part}:")
        measure, modes = self._measures()[part]
        return {name: measure(MODES[name], self._relays_in(name)) for name in modes}

    def _measures(self) -> dict[str, tuple["Measure", Sequence[str]]]:
        """What each part does in a mode, and the modes it does it in."""
        rounds = self.rounds
        places = [
            Place(self.wires.relay, (core,), self.log) for core in (self.relay_core, self.load_core)
        ]
        one = places[0]
        course = stepped.Course(one, self.generator, rounds.window_s)
        both = (_PLAIN, _SECURE)
        return {
            "drain": (
                lambda mode, names: drain_in_turn(self.wires, one, mode, names, rounds.drain),
                [*MODES],
            ),
            "saturation": (
                lambda mode, names: stepped.saturation(course, mode, names, rounds.saturation),
                [*MODES],
            ),
            "usual": (
                lambda mode, names: stepped.usual(course, mode, names, rounds.usual),
                (_PLAIN,),
            ),
            "control": (lambda mode, names: control(one, mode, names, rounds.control), both),
            "memory": (
                lambda mode, names: memory(self.wires, one, mode, names),
                (_PLAIN, _HALF_SECURE, _SECURE),
            ),
            "workers": (
                lambda mode, names: workers(
                    self.wires, places, mode, _multithreaded(names), rounds.workers
                ),
                both,
            ),
        }

    def _relays_in(self, mode: str) -> list[str]:
        """The engine in Python is measured in one mode: it is what runs where nothing else does."""
        return [name for name in self.relays if name != PYTHON or mode == _PLAIN]


Measure = Callable[[Mode, Sequence[str]], dict[str, dict[str, object]]]


def _multithreaded(names: Sequence[str]) -> list[str]:
    return [name for name in names if name not in {PYTHON, THEIRS}]


def missing(relays: Sequence[str]) -> str | None:
    """Why nothing can be measured here; None when it can."""
    if os.cpu_count() == 1:
        return "needs two cores"
    absent = [tool for tool in ("gcc", "taskset") if shutil.which(tool) is None]
    if absent:
        return "not installed: " + ", ".join(absent)
    return missing_for_namespaces() or missing_for(relays)


@contextlib.contextmanager
def ending_in_order() -> Iterator[None]:
    """Turn a signal to end, or too long a run, into an exception: it leaves nothing behind."""

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(f"ended by {signal.Signals(number).name}")

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, end)
    signal.alarm(_LONGEST_S)
    yield
    signal.alarm(0)


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=PARTS, action="append", help="one part; may be repeated")
    parser.add_argument("--quick", action="store_true", help="io_uring and rtpengine, few rounds")
    parser.add_argument("--relays", choices=ALL, nargs="+", help="these instead of all")
    parser.add_argument("--relay-core", type=int, default=0, help="core of the relay")
    parser.add_argument("--load-core", type=int, default=1, help="core of the generator")
    return parser.parse_args()


def main() -> None:
    """Measure what is asked for and print the figures."""
    chosen = arguments()
    relays = chosen.relays or (("io_uring", THEIRS) if chosen.quick else ALL)
    reason = missing(relays)
    if reason:
        sys.exit(f"nothing measured: {reason}")
    raise_descriptor_limit()
    os.sched_setaffinity(0, {chosen.load_core})
    figures = {}
    began = time.monotonic()
    with (
        alone(),
        ending_in_order(),
        tempfile.TemporaryDirectory(prefix="bench-") as made,
        Lab(Path(made)) as lab,
    ):
        directory = Path(made)
        wires = Wires(lab)
        bench = Bench(
            wires,
            Generator(wires, chosen.load_core, directory),
            chosen.relay_core,
            chosen.load_core,
            relays,
            QUICK if chosen.quick else STANDARD,
            directory / "relays.log",
        )
        for part in chosen.only or PARTS:
            figures[part] = bench.run(part)
    reached = goals(figures)
    say(f"{time.monotonic() - began:.0f} s")
    for goal in reached:
        say(str(goal))
    print(
        json.dumps({"bench": "media", "goals": {one.name: one.met for one in reached}, **figures})
    )


if __name__ == "__main__":
    main()
