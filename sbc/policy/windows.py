"""Amounts of the last hour or day: a sliding sum in few steps, whatever the number of events."""

from typing import Final

HOUR_S: Final = 3600.0
DAY_S: Final = 86_400.0
STEPS: Final = 24
"""In which a span is told apart: what is older is forgotten up to one step late, never early."""


class Window:
    """What was added within a span of time."""

    __slots__ = ("_amounts", "_span_s", "_step_s")

    def __init__(self, span_s: float) -> None:
        self._span_s = span_s
        self._step_s = span_s / STEPS
        self._amounts: dict[int, float] = {}
        """By step."""

    def __len__(self) -> int:
        return len(self._amounts)

    def add(self, at: float, amount: float) -> None:
        """Count an amount at a moment; moments need not come in order."""
        step = int(at // self._step_s)
        amounts = self._amounts
        amounts[step] = amounts.get(step, 0.0) + amount
        if len(amounts) > STEPS + 1:
            first = max(amounts) - STEPS
            for old in [one for one in amounts if one < first]:
                del amounts[old]

    def spread(self, begin: float, end: float, amount: float) -> None:
        """Count an amount evenly over a time."""
        length = end - begin
        if length < 1.0:
            self.add(end, amount)
            return
        at = max(begin, end - self._span_s - self._step_s)
        while at < end:
            till = min(end, (at // self._step_s + 1.0) * self._step_s)
            self.add(at, amount * (till - at) / length)
            at = till

    def sum(self, now: float) -> float:
        """What was counted within the span before a moment."""
        first = int(now // self._step_s) - STEPS
        return sum(amount for step, amount in self._amounts.items() if step >= first)
