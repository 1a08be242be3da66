"""A bucket of tokens: so many at once, and so many in a second.

Sans-IO.
"""


class Bucket:
    """One bucket of tokens, full at first.

    Args:
        rate: How many come in a second.
        burst: How many there are at most.
    """

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = self._tokens = burst
        self._at = 0.0

    def take(self, now: float) -> bool:
        """Take a token, if there is one."""
        tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        enough = tokens >= 1.0
        self._tokens = tokens - 1.0 if enough else tokens
        return enough
