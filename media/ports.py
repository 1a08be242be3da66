"""The pool of RTP ports of one network.

Ports leave in no order that a stranger could count along, and rest after use, so that the late
packets of one call never arrive in the next. Sans-IO: time and entropy are handed in.
"""

from collections import deque

from media.errors import PortsExhausted

_MASK = (1 << 64) - 1


class PortPool:
    """Even RTP ports; the odd one above each belongs to it for RTCP.

    Spec: RFC 3550 §11.

    Raises:
        ValueError: The range holds no even port with its odd neighbour.
    """

    __slots__ = ("_free", "_high", "_low", "_quarantine_s", "_random", "_resting", "_taken")

    def __init__(self, low: int, high: int, quarantine_s: float, entropy: int) -> None:
        """Starts with every port free.

        Args:
            low: Lowest port that may be used.
            high: Highest port that may be used, RTCP included.
            quarantine_s: Seconds a port rests after use.
            entropy: 64 unpredictable bits.
        """
        self._low, self._high = _bounds(low, high)
        self._quarantine_s = quarantine_s
        self._random = entropy & _MASK
        self._free = list(range(self._low, self._high, 2))
        self._resting: deque[tuple[float, int]] = deque()
        self._taken: set[int] = set()

    @property
    def in_use(self) -> int:
        """How many ports are taken."""
        return len(self._taken)

    @property
    def capacity(self) -> int:
        """How many ports the range holds."""
        return (self._high - self._low + 1) // 2

    def free(self, now: float) -> int:
        """How many ports could be taken at `now` (monotonic seconds)."""
        self._wake(now)
        return len(self._free)

    def take(self, now: float) -> int:
        """Takes an RTP port; RTCP is the next higher one.

        Raises:
            PortsExhausted: None is free; the call is answered 503.
        """
        self._wake(now)
        free = self._free
        if not free:
            raise PortsExhausted(
                f"no free RTP port between {self._low} and {self._high}: {len(self._taken)} in "
                f"use, {len(self._resting)} resting for {self._quarantine_s:g} s after use; "
                f"widen the network's media port range"
            )
        chosen = self._draw() % len(free)
        port = free[chosen]
        free[chosen] = free[-1]
        free.pop()
        self._taken.add(port)
        return port

    def give_back(self, port: int, now: float, *, unused: bool = False) -> None:
        """Lets a port rest, then be taken again.

        Args:
            unused: Nothing ever arrived on it, so nothing late can: it needs no rest.

        Raises:
            KeyError: The port is not taken; a bug of the caller.
        """
        self._taken.remove(port)
        if not unused:
            self._resting.append((now + self._quarantine_s, port))
        elif self._low <= port < self._high:
            self._free.append(port)

    def resize(self, low: int, high: int, now: float) -> None:
        """Changes the range; ports in use outside it are kept until they are given back.

        Raises:
            ValueError: As for a new pool.
        """
        self._low, self._high = _bounds(low, high)
        self._wake(now)
        absent = self._taken | {port for _, port in self._resting}
        self._free = [port for port in range(self._low, self._high, 2) if port not in absent]

    def _wake(self, now: float) -> None:
        resting = self._resting
        while resting and resting[0][0] <= now:
            port = resting.popleft()[1]
            if self._low <= port < self._high:
                self._free.append(port)

    def _draw(self) -> int:
        """The next number of SplitMix64; latching, not secrecy of ports, keeps strangers out."""
        self._random = (self._random + 0x9E3779B97F4A7C15) & _MASK
        mixed = self._random
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return mixed ^ (mixed >> 31)


def _bounds(low: int, high: int) -> tuple[int, int]:
    """The range cut to whole pairs: an even lowest and an odd highest port."""
    even = low + low % 2
    odd = high if high % 2 else high - 1
    if not 0 < even < odd <= 65535:
        raise ValueError(f"no even RTP port with its RTCP port between {low} and {high}")
    return even, odd
