"""A network that loses, doubles, delays and reorders, the same way for the same seed.

It carries payloads of any kind between sans-IO endpoints on a clock that jumps from one event
to the next: a test of half a minute of retransmissions takes milliseconds.
"""

import heapq
import random
from collections.abc import Hashable, Iterable, Mapping
from enum import Enum
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

Name = TypeVar("Name", bound=Hashable)
Payload = TypeVar("Payload")


class Endpoint(Protocol[Name, Payload]):
    """One end: a core, and whatever stands in for its driver.

    What it returns is posted in its name: pairs of destination and payload.
    """

    def receive(
        self, source: Name, payload: Payload, now: float
    ) -> Iterable[tuple[Name, Payload]]: ...

    def handle_timeout(self, now: float) -> Iterable[tuple[Name, Payload]]: ...

    def next_timeout(self) -> float | None: ...


class Fate(Enum):
    """What can be decided for one datagram by its number."""

    DROP = "drop"
    DUPLICATE = "duplicate"
    """A second copy arrives one slowest delay after the first."""
    REORDER = "reorder"
    """It arrives after what was posted shortly after it: ten times the slowest delay late."""
    PASS = "pass"
    """It is not touched, whatever the probabilities."""


class Posted(NamedTuple):
    """One entry of the record: what was posted, and when it arrives."""

    at: float
    source: Any
    destination: Any
    payload: Any
    arrivals: tuple[float, ...]


class TerribleNetwork(Generic[Name, Payload]):
    """Carries payloads between named endpoints until nothing happens any more."""

    def __init__(
        self,
        seed: int = 0,
        *,
        drop: float = 0.0,
        duplicate: float = 0.0,
        delay_s: tuple[float, float] = (0.01, 0.02),
        fates: Mapping[int, Fate] | None = None,
        now: float = 0.0,
    ) -> None:
        """Make a network without endpoints.

        Args:
            drop: Probability that a datagram is lost.
            duplicate: Probability that one that is not lost arrives twice.
            delay_s: Shortest and longest delay; each copy takes its own, so a wide range reorders.
            fates: What happens to the n-th posted datagram (from 0), in place of chance.
        """
        self.now = now
        self.record: list[Posted] = []
        """Everything ever posted, in order."""
        self._random = random.Random(seed)
        self._drop = drop
        self._duplicate = duplicate
        self._delay_s = delay_s
        self._fates = dict(fates or {})
        self._endpoints: dict[Name, Endpoint[Name, Payload]] = {}
        self._arrivals: list[tuple[float, int, Name, Name, Payload]] = []
        self._serial = 0

    def attach(self, name: Name, endpoint: Endpoint[Name, Payload]) -> None:
        """Let `endpoint` be reached as `name`. Datagrams to names nobody has are lost."""
        self._endpoints[name] = endpoint

    def post(self, source: Name, destination: Name, payload: Payload) -> None:
        """Send one datagram now."""
        arrivals = tuple(self.now + delay for delay in self._delays(len(self.record)))
        self.record.append(Posted(self.now, source, destination, payload, arrivals))
        for at in arrivals:
            self._serial += 1
            heapq.heappush(self._arrivals, (at, self._serial, source, destination, payload))

    def post_all(self, source: Name, posts: Iterable[tuple[Name, Payload]]) -> None:
        """Send what an endpoint returned."""
        for destination, payload in posts:
            self.post(source, destination, payload)

    def run(self, until: float) -> None:
        """Let everything happen that is due up to `until`, and leave the clock there.

        Arrivals come before timeouts of the same instant, endpoints in the order of attachment.
        """
        while (at := self._next_event()) is not None and at <= until:
            self.now = max(self.now, at)
            while self._arrivals and self._arrivals[0][0] <= self.now:
                _, _, source, destination, payload = heapq.heappop(self._arrivals)
                endpoint = self._endpoints.get(destination)
                if endpoint is not None:
                    self.post_all(destination, endpoint.receive(source, payload, self.now))
            for name, endpoint in self._endpoints.items():
                due = endpoint.next_timeout()
                if due is not None and due <= self.now:
                    self.post_all(name, endpoint.handle_timeout(self.now))
                    rest = endpoint.next_timeout()
                    assert rest is None or rest > self.now, f"{name} left a timeout due"
        self.now = max(self.now, until)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way and no endpoint waits for a timer."""
        return self._next_event() is None

    def _next_event(self) -> float | None:
        times = [self._arrivals[0][0]] if self._arrivals else []
        for endpoint in self._endpoints.values():
            due = endpoint.next_timeout()
            if due is not None:
                times.append(due)
        return min(times, default=None)

    def _delays(self, number: int) -> list[float]:
        """The delays of the copies of the datagram with that number; none when it is lost."""
        shortest, longest = self._delay_s
        # Chance is asked in any case, so that a fate changes nothing for the datagrams after it.
        lost = self._random.random() < self._drop
        twice = self._random.random() < self._duplicate
        first = self._random.uniform(shortest, longest)
        second = self._random.uniform(shortest, longest)
        match self._fates.get(number):
            case Fate.DROP:
                return []
            case Fate.DUPLICATE:
                return [first, first + longest]
            case Fate.REORDER:
                return [first + 10 * longest]
            case Fate.PASS:
                return [first]
        if lost:
            return []
        return [first, second] if twice else [first]
