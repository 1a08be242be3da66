"""The timers of SIP transactions, their values, and the one heap that holds all deadlines.

Spec: RFC 3261 §17 and Table 4, RFC 6026 §8.11 (L, M), RFC 4320 §4 (late 100, no late final).
"""

import heapq
import math
from collections.abc import Hashable
from enum import StrEnum
from typing import Final, Generic, TypeVar

T1: Final = 0.5
"""Estimate of the round trip."""
T2: Final = 4.0
"""Longest interval between retransmissions of a non-INVITE request or of a final response."""
T4: Final = 5.0
"""How long the network may keep a datagram."""
TIMEOUT: Final = 64 * T1
"""How long a client transaction waits, and so how long a server transaction is of use."""
LATE_TRYING: Final = 3.5
"""When Timer E has just been reset to T2: 0.5 + 1 + 2 seconds (RFC 4320 §4.1)."""


class Timer(StrEnum):
    """The timers by the RFC's letters, and the two that RFC 4320 describes without a letter."""

    A = "Timer A"
    """Resends an INVITE; doubles from T1. Not over reliable transports."""
    B = "Timer B"
    """Gives up an INVITE that nobody answered at all."""
    D = "Timer D"
    """Keeps the ACK of a non-2xx ready for retransmitted responses."""
    E = "Timer E"
    """Resends a non-INVITE request; doubles from T1 to T2. Not over reliable transports."""
    F = "Timer F"
    """Gives up a non-INVITE request."""
    G = "Timer G"
    """Resends a non-2xx final response to INVITE; doubles from T1 to T2. Not over reliable ones."""
    H = "Timer H"
    """Gives up waiting for the ACK of a non-2xx."""
    I = "Timer I"  # noqa: E741 - the RFC's own letter
    """Absorbs retransmitted ACKs."""
    J = "Timer J"
    """Answers retransmitted non-INVITE requests."""
    K = "Timer K"
    """Absorbs retransmitted final responses to a non-INVITE request."""
    L = "Timer L"
    """Absorbs retransmitted INVITEs after a 2xx."""
    M = "Timer M"
    """Passes retransmitted 2xx and those of other branches."""
    LATE_TRYING = "Late 100"
    """Sends 100 to a non-INVITE request that the user has not answered (RFC 4320 §4.1)."""
    EXPIRY = "Expiry"
    """Ends a non-INVITE server transaction that was never answered: its client has given up, and
    nothing may be sent any more (RFC 4320 §4.2)."""


UNRELIABLE_S: Final[dict[Timer, float]] = {
    Timer.A: T1,
    Timer.B: TIMEOUT,
    Timer.D: 32.0,
    Timer.E: T1,
    Timer.F: TIMEOUT,
    Timer.G: T1,
    Timer.H: TIMEOUT,
    Timer.I: T4,
    Timer.J: TIMEOUT,
    Timer.K: T4,
    Timer.L: TIMEOUT,
    Timer.M: TIMEOUT,
    Timer.LATE_TRYING: LATE_TRYING,
    Timer.EXPIRY: TIMEOUT,
}
"""Seconds of each timer over UDP; the first interval of those that back off."""

RELIABLE_S: Final[dict[Timer, float | None]] = {
    **UNRELIABLE_S,
    Timer.A: None,
    Timer.D: 0.0,
    Timer.E: None,
    Timer.G: None,
    Timer.I: 0.0,
    Timer.J: 0.0,
    Timer.K: 0.0,
}
"""The same over TCP; None is never started, zero goes off at once."""

LONGEST_INTERVAL_S: Final[dict[Timer, float]] = {Timer.A: math.inf, Timer.E: T2, Timer.G: T2}
"""The timers that back off, and where their doubling ends."""


K = TypeVar("K", bound=Hashable)


class Deadlines(Generic[K]):
    """Deadlines by key in one heap with lazy removal.

    Setting and cancelling never search. What was cancelled stays in the heap until it comes to
    the top or until stale entries outnumber live ones, so the heap is at most about twice as long
    as there are live deadlines.
    """

    __slots__ = ("_heap", "_live", "_serial")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, K]] = []
        # By serial, not by identity of the entry: a compiler may unbox tuples.
        self._live: dict[K, int] = {}
        self._serial = 0

    def __len__(self) -> int:
        """How many deadlines are set."""
        return len(self._live)

    def set(self, key: K, at: float) -> None:
        """Let `key` be due at `at` (monotonic seconds), in place of its earlier deadline if any."""
        self._serial += 1
        self._live[key] = self._serial
        heapq.heappush(self._heap, (at, self._serial, key))
        if len(self._heap) > 2 * len(self._live) + _SLACK:
            self._rebuild()

    def cancel(self, key: K) -> None:
        """Forget the deadline of `key`; one that is not set is no error."""
        live = self._live
        if live.pop(key, None) is not None and len(self._heap) > 2 * len(live) + _SLACK:
            self._rebuild()

    def next(self) -> float | None:
        """When the earliest deadline is due, or None when nothing is set."""
        heap, live = self._heap, self._live
        while heap:
            entry = heap[0]
            if live.get(entry[2]) == entry[1]:
                return entry[0]
            heapq.heappop(heap)
        return None

    def pop_due(self, now: float) -> list[K]:
        """Take out all keys due at `now` or before, earliest first; ties as they were set."""
        heap, live = self._heap, self._live
        due: list[K] = []
        while heap and heap[0][0] <= now:
            entry = heapq.heappop(heap)
            key = entry[2]
            if live.get(key) == entry[1]:
                del live[key]
                due.append(key)
        return due

    def _rebuild(self) -> None:
        live = self._live
        self._heap = [entry for entry in self._heap if live.get(entry[2]) == entry[1]]
        heapq.heapify(self._heap)


_SLACK: Final = 64
"""Stale entries that are not worth a rebuild."""
