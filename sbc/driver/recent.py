"""Calls that ended lately, kept for the operator's questions."""

from collections import deque
from collections.abc import Iterator

from sbc.b2bua.call import Call

MAX_CALLS = 200
MAX_BYTES = 4 * 1024 * 1024
"""Most that the journals of all of them may hold: about 200 ordinary calls."""


class RecentCalls:
    """The last calls that ended, oldest first; bounded by number and by bytes."""

    __slots__ = ("_calls", "_max_bytes", "_max_calls", "bytes")

    def __init__(self, max_calls: int = MAX_CALLS, max_bytes: int = MAX_BYTES) -> None:
        self._calls: deque[tuple[Call, int]] = deque()
        self._max_calls = max_calls
        self._max_bytes = max_bytes
        self.bytes = 0
        """What the journals kept now hold."""

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[Call]:
        return iter([call for call, _ in self._calls])

    def append(self, call: Call) -> None:
        """Keep a call that ended; the oldest make room."""
        size = call.journal.size
        self._calls.append((call, size))
        self.bytes += size
        while len(self._calls) > self._max_calls or self.bytes > self._max_bytes:
            self.bytes -= self._calls.popleft()[1]
