"""Moments that lie apart: what keeps those that came together from coming back together."""

_RANGE = 2**31


class Spread:
    """A sequence of numbers that look like chance and are the same for the same seed.

    They need not be unguessable: nothing is kept secret by them.
    """

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed % _RANGE

    def fraction(self) -> float:
        """The next number, from 0 to below 1."""
        self._state = (self._state * 1103515245 + 12345) % _RANGE
        return self._state / _RANGE

    def shortened(self, life_s: int) -> int:
        """A life that was granted, less up to a tenth; never below 1."""
        return max(1, life_s - int(life_s * self.fraction() / 10))

    def later(self, wait_s: int) -> int:
        """A wait, or up to twice as long."""
        return wait_s + round(wait_s * self.fraction())
