"""Rounds of several relays, taken in turn, as medians and ratios."""

import statistics
from collections.abc import Mapping, Sequence

from tests.bench.media.relays import THEIRS


def compared(figure: str, rounds: Mapping[str, Sequence[float]]) -> dict[str, dict[str, object]]:
    """The median of each relay's rounds, and how it compares with rtpengine's.

    Rounds are compared one by one, for the machine changes its speed between them; `times` is the
    median of these ratios and `times_quartiles` tells how far they lie apart.

    Args:
        figure: what was measured, the name of the median.
        rounds: by relay; the same number of all.
    """
    theirs = rounds.get(THEIRS)
    found: dict[str, dict[str, object]] = {}
    for name, ours in rounds.items():
        found[name] = {figure: round(statistics.median(ours))}
        if theirs is not None and name != THEIRS:
            ratios = [our / their for our, their in zip(ours, theirs, strict=True)]
            found[name]["times"] = round(statistics.median(ratios), 2)
            found[name]["times_quartiles"] = quartiles(ratios)
    return found


def quartiles(values: Sequence[float]) -> list[float]:
    """The first and the third."""
    if len(values) == 1:
        return [round(values[0], 2)] * 2
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return [round(first, 2), round(third, 2)]
