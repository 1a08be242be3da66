"""What traffic really used of a limit, and which limit would have suited it.

Counted per source and minute: how many messages came, and how deep they drew on the bucket. The
numbers are kept to two digits, so that there are few of them whatever anybody sends.
"""

from collections import Counter
from math import ceil
from typing import NamedTuple

WINDOW_S = 60.0
"""How long the messages of one source are counted together."""

ENOUGH = 100
"""From so many minutes of sources on a limit may be suggested."""

SPARE = 2.0
"""A suggested limit allows this many times what nearly everybody (99.9 %) used."""

_LEAST_BURST = 10
_LEAST_RATE = 1.0


class Quantiles(NamedTuple):
    """How much half of the sources used at most in a minute, 99 % and 99.9 % of them, and all."""

    p50: int
    p99: int
    p999: int
    most: int


class Suggestion(NamedTuple):
    """A limit that suits what was used."""

    rate: float
    burst: int


class Usage:
    """What the sources of one limit used of it.

    Args:
        burst: the most that can be drawn at once.
    """

    __slots__ = ("_at_once", "_burst", "_per_minute", "minutes")

    def __init__(self, burst: int) -> None:
        self._burst = burst
        self._at_once: Counter[int] = Counter()
        self._per_minute: Counter[int] = Counter()
        self.minutes = 0
        """Minutes in which a source sent something, over all sources."""

    def add(self, messages: int, depth: float) -> None:
        """Count one minute of one source.

        Args:
            messages: how many were let in.
            depth: how many tokens were missing in the bucket at most.
        """
        self.minutes += 1
        self._per_minute[two_digits(messages)] += 1
        self._at_once[min(self._burst, two_digits(ceil(depth)))] += 1

    @property
    def at_once(self) -> Quantiles:
        """Messages at once, beyond what the rate allows."""
        return _quantiles(self._at_once)

    @property
    def per_minute(self) -> Quantiles:
        """Messages in a minute."""
        return _quantiles(self._per_minute)

    def merge(self, other: "Usage") -> None:
        """Count what others used too."""
        self.minutes += other.minutes
        self._at_once.update(other._at_once)
        self._per_minute.update(other._per_minute)

    def suggestion(self) -> Suggestion | None:
        """The limit that lets nearly everybody do twice what it did; None before enough is known.

        Whoever exhausted its bucket may have needed any number: then it is more than the burst.
        """
        if self.minutes < ENOUGH:
            return None
        rate = max(_LEAST_RATE, ceil(self.per_minute.p999 * SPARE / WINDOW_S))
        return Suggestion(rate, max(_LEAST_BURST, two_digits(ceil(self.at_once.p999 * SPARE))))


def two_digits(value: int) -> int:
    """A whole number, rounded up to two digits."""
    step: int = 10 ** max(0, len(str(value)) - 2)
    return -(-value // step) * step


def _quantiles(counted: Counter[int]) -> Quantiles:
    values = sorted(counted.items())
    total = counted.total()
    found: list[int] = []
    for share in (0.5, 0.99, 0.999):
        seen = 0
        for value, count in values:
            seen += count
            if seen >= share * total:
                found.append(value)
                break
    if not found:
        return Quantiles(0, 0, 0, 0)
    return Quantiles(found[0], found[1], found[2], values[-1][0])
