"""What the figures say: ratios to rtpengine, and the goals of the native engine."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.bench.media.modes import MODES
from tests.bench.media.relays import THEIRS

Figures = Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]]
"""Part, mode, relay, figure."""

_BEST = "io_uring"
_PLAIN, _SECURE = "rtp_rtp", "srtp_srtp"


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure, and what is wanted of it."""

    name: str
    measured: float
    wanted: float
    most: bool = False
    """Whether less is better."""

    @property
    def met(self) -> bool:
        """Whether the figure is good enough."""
        return self.measured <= self.wanted if self.most else self.measured >= self.wanted

    def __str__(self) -> str:
        relation = "at most" if self.most else "at least"
        verdict = "met" if self.met else "MISSED"
        return f"{self.name:34} {self.measured:8g}, wanted {relation} {self.wanted:g}: {verdict}"


def goals(figures: Figures) -> list[Goal]:
    """All goals that something was measured for, of the native engine on io_uring."""
    found = [
        Goal(f"{part} {mode.name}, times {THEIRS}", ratio, mode.goal)
        for part in ("saturation", "drain")
        for mode in MODES.values()
        if (ratio := ratio_of(figures, part, mode.name, _BEST)) is not None
    ]
    usual = figures.get("usual", {}).get(_PLAIN, {})
    if _BEST in usual and THEIRS in usual:
        theirs = usual[THEIRS]["p50_us"]
        found.append(Goal("latency p50 at 500 streams, µs", usual[_BEST]["p50_us"], theirs, True))
    wanted = (
        ("control", _PLAIN, "calls_per_cpu_s", 4000, False),
        ("control", _SECURE, "calls_per_cpu_s", 3000, False),
        ("memory", _PLAIN, "kb_per_call", 8, True),
        ("memory", _SECURE, "kb_per_call", 12, True),
        ("workers", _PLAIN, "ratio", 1.7, False),
    )
    for part, mode, figure, limit, most in wanted:
        measured = figures.get(part, {}).get(mode, {}).get(_BEST)
        if measured is not None:
            found.append(Goal(f"{part} {mode}, {figure}", measured[figure], limit, most))
    return found


def ratio_of(figures: Figures, part: str, mode: str, relay: str) -> float | None:
    """A relay's packets per CPU-second in those of rtpengine; None when one is missing.

    Rounds are compared one by one, for the machine changes its speed between them.
    """
    found = figures.get(part, {}).get(mode, {})
    if relay not in found or THEIRS not in found:
        return None
    ours, theirs = found[relay]["rounds"], found[THEIRS]["rounds"]
    return round(statistics.median(a / b for a, b in zip(ours, theirs, strict=False)), 2)
