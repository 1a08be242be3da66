"""What the figures say: ratios to rtpengine, and the goals of the native engine."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.bench.media.modes import MODES
from tests.bench.media.relays import THEIRS

Figures = Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]]
"""Part, mode, relay, figure."""

_BEST = "io_uring"
_COSTS = ("drain", "saturation")
_PLAIN, _HALF_SECURE, _SECURE = "rtp_rtp", "srtp_rtp", "srtp_srtp"


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
    usual = figures.get("usual", {}).get(_PLAIN, {})
    their_p50_us = usual[THEIRS]["p50_us"] if THEIRS in usual else 0
    wanted = [
        *(
            (part, mode.name, "times", mode.goal, False)
            for part in _COSTS
            for mode in MODES.values()
        ),
        ("usual", _PLAIN, "p50_us", their_p50_us, True),
        ("control", _PLAIN, "calls_per_cpu_s", 4000, False),
        ("control", _SECURE, "calls_per_cpu_s", 3000, False),
        ("memory", _PLAIN, "kb_per_call", 8, True),
        ("memory", _HALF_SECURE, "kb_per_call", 12, True),
        ("memory", _SECURE, "kb_per_call", 12, True),
        ("workers", _PLAIN, "ratio", 1.7, False),
        ("workers", _SECURE, "ratio", 1.7, False),
        ("workers", _PLAIN, "of_two_processes", 0.85, False),
        ("workers", _SECURE, "of_two_processes", 0.85, False),
    ]
    found = []
    for part, mode, figure, limit, most in wanted:
        measured = figures.get(part, {}).get(mode, {}).get(_BEST, {}).get(figure)
        if measured is not None:
            found.append(Goal(f"{part} {mode}, {figure}", measured, limit, most))
    return found
