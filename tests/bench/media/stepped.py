"""Packets per CPU-second of each relay at saturation: rates grow until one is too high for it.

Every step has a fresh relay, so no queue of one spoils the next, and the relays take turns at each
step, so that a slow minute of the machine is a slow minute of all of them.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from tests.bench.media.comparison import compared
from tests.bench.media.generator import Counts, Generator
from tests.bench.media.modes import Mode, wrong_packets
from tests.bench.media.proc import softirq_thread, steal_s
from tests.bench.media.relays import Place, running
from tests.bench.media.telling import say

STREAMS = 500
USUAL_RATE = 50_000.0
"""Packets per second of so many streams, 50 each way: where a relay of this size runs all day."""
_WARM_S = 0.4
_LEAST_RATE = USUAL_RATE / 10
_LEAST_KEPT = 0.995
_LEAST_OFFERED = 0.97
_MOST_P50_US = 10_000
_GAP_P50_US = 3_000
"""Where packets are missing at the end but the median packet did not wait, no queue grew: the
relay was kept from working for a moment."""
_MOST_STEAL = 0.02
_SATURATED = 0.93
_NARROW = 1.1
_NEAR = 1.08
_MOST_GROWTH = 2.0
_EAGER = 1.25
"""A packet costs less the more there are, so a relay carries more than its load promises."""


class Verdict(Enum):
    """What a step says of the rate it ran at."""

    CLEAN = "clean"
    """The relay followed."""
    SATURATED = "saturated"
    """It did not, and had its core for itself."""
    DISTURBED = "disturbed"
    """Nothing: the relay or the generator did not have its core for itself."""


@dataclass(frozen=True, slots=True)
class Step:
    """One load step on one fresh relay."""

    relay: str
    asked_per_s: float
    counts: Counts
    relay_cpu_s: float
    """In the window, with what the kernel put off and did on the relay's core."""
    steal_s: float
    """Of the relay's core, in the whole step."""

    @property
    def kept(self) -> float:
        """Packets that came out in the window for each that went in."""
        return self.counts.arrived / max(1, self.counts.sent)

    @property
    def share(self) -> float:
        """Cores that the relay used."""
        return self.relay_cpu_s / self.counts.window_s

    @property
    def starved(self) -> bool:
        """Whether the generator could not offer the rate: higher ones are out of its reach."""
        return self.counts.sent < _LEAST_OFFERED * self.asked_per_s * self.counts.window_s

    @property
    def packets_per_cpu_s(self) -> float:
        """Packets that came out for each CPU-second of the relay."""
        return self.counts.arrived / max(1e-9, self.relay_cpu_s)

    @property
    def verdict(self) -> Verdict:
        """What the step says; see README.md for the reasons."""
        if self.steal_s > _MOST_STEAL * self.counts.window_s or self.counts.unseen:
            return Verdict.DISTURBED
        if self.kept >= _LEAST_KEPT and self.counts.p50_us <= _MOST_P50_US:
            return Verdict.CLEAN
        if self.share < _SATURATED or self.counts.p50_us < _GAP_P50_US:
            return Verdict.DISTURBED
        return Verdict.SATURATED


@dataclass(slots=True)
class Climb:
    """The steps of one relay in one round."""

    rate: float
    """Of the next step."""
    near: bool = False
    """Whether the climb begins near the summit, known from an earlier round."""
    best: Step | None = None
    failing: float = math.inf
    done: bool = False

    def take(self, step: Step) -> None:
        """Learn from a step and choose the next rate; a disturbed one counts as failed."""
        if step.verdict is Verdict.CLEAN:
            self.best = step
            self.done = step.starved
        else:
            self.failing = self.rate
            self.done = self.rate < _LEAST_RATE
        reached = self.best.asked_per_s if self.best else 0.0
        self.done = self.done or self.failing <= _NARROW * reached
        if self.failing == math.inf:
            self.rate *= _NEAR if self.near else _growth(step.share)
        else:
            lowest = self.failing / (_NEAR if self.near else _MOST_GROWTH)
            self.rate = max(lowest, math.sqrt(reached * self.failing))


def _growth(share: float) -> float:
    return min(_MOST_GROWTH, max(_NARROW, _EAGER / max(share, 0.01)))


@dataclass(frozen=True, slots=True)
class Course:
    """Where steps are made."""

    place: Place
    """Of one core."""
    generator: Generator
    window_s: float

    def step(self, name: str, mode: Mode, rate: float) -> Step:
        """One step, made again when it was disturbed.

        Raises:
            RuntimeError: the relay delivered other packets than the phones sent.
        """
        step = self._once(name, mode, rate)
        return self._once(name, mode, rate) if step.verdict is Verdict.DISTURBED else step

    def _once(self, name: str, mode: Mode, rate: float) -> Step:
        core = self.place.cores[0]
        with running(name, self.place) as relay:
            relay.prepare(mode, STREAMS)
            calls = relay.open()
            stolen = steal_s(core)
            counts = self.generator.load(
                mode,
                calls,
                packets_per_s=rate,
                warm_s=_WARM_S,
                window_s=self.window_s,
                pids=(relay.pid, softirq_thread(core)),
            )
            stolen = steal_s(core) - stolen
        wrong = wrong_packets(mode, calls, counts.samples)
        if wrong or not counts.samples:
            raise RuntimeError(f"{name}, {mode.name}: {wrong} of {len(counts.samples)} are wrong")
        step = Step(name, rate, counts, sum(counts.cpu_s), stolen)
        say(_line(mode, step))
        return step


def usual(
    course: Course, mode: Mode, names: Sequence[str], rounds: int
) -> dict[str, dict[str, object]]:
    """Cost and latency at the usual rate, medians over the rounds, by relay."""
    steps: dict[str, list[Step]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            steps[name].append(course.step(name, mode, USUAL_RATE))
    costs = {name: [step.packets_per_cpu_s for step in made] for name, made in steps.items()}
    found = compared("packets_per_cpu_s", costs)
    for name, made in steps.items():
        found[name]["p50_us"] = statistics.median(step.counts.p50_us for step in made)
        found[name]["p99_us"] = statistics.median(step.counts.p99_us for step in made)
    return found


def saturation(
    course: Course, mode: Mode, names: Sequence[str], rounds: int
) -> dict[str, dict[str, object]]:
    """Packets per CPU-second in the highest clean step, medians over the rounds, by relay."""
    summits: dict[str, list[Step]] = {name: [] for name in names}
    for number in range(rounds):
        say(f"{mode.name}: round {number + 1} of {rounds}")
        climbs = {
            name: Climb(made[-1].asked_per_s, near=True) if made else Climb(USUAL_RATE)
            for name, made in summits.items()
        }
        while waiting := [name for name in names if not climbs[name].done]:
            for name in waiting:
                climbs[name].take(course.step(name, mode, climbs[name].rate))
        for name, climb in climbs.items():
            if climb.best is None:
                raise RuntimeError(f"{name} follows at no rate in {mode.name}")
            summits[name].append(climb.best)
    costs = {name: [step.packets_per_cpu_s for step in made] for name, made in summits.items()}
    found = compared("packets_per_cpu_s", costs)
    for name, made in summits.items():
        found[name]["packets_per_s"] = round(statistics.median(step.asked_per_s for step in made))
        say(f"  {name:9} {mode.name:9} {found[name]}")
    return found


def _line(mode: Mode, step: Step) -> str:
    counts = step.counts
    return (
        f"  {step.verdict.value:9} {step.relay:9} {mode.name:9} {step.asked_per_s:7.0f}/s, "
        f"kept {step.kept:6.1%}, p50 {counts.p50_us / 1000:6.2f} ms, "
        f"p99 {counts.p99_us / 1000:6.2f} ms, {step.share:4.2f} cores, "
        f"{step.packets_per_cpu_s:6.0f} packets/CPU-s, {step.steal_s:.2f} s stolen"
    )
