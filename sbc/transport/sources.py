"""What one source may bring over all its streams together: connections, messages, bytes.

Sans-IO. The table is bounded: sources with connections are, by the caps on those, and of those
without only the latest are remembered, so that hanging up and coming back renews no budget.

Spec: RFC 5853 §3.5 (access control), §3.1.1 (denial of service).
"""

from sbc.bucket import Bucket
from sbc.prefixes import source_key
from sbc.transport.limits import TransportLimits

REMEMBERED = 4096
"""Sources without a connection whose budgets are kept."""

BYTES_PER_UNIT = 2048
"""A message and a ping are a unit each, and so are this many bytes."""

OWN_UNITS = 8.0
"""What each connection may bring before it draws from its source's budget: a TLS handshake and a
registration with a password, whatever a neighbour at the same address does."""

MALFORMED_UNITS = 10.0
"""What a stream that is not SIP costs on top: the search for what may be answered is dear."""

PAUSE_S = 1.0
"""How long a source that overdrew its budget is not read."""

ANSWER_INTERVAL_S = 1.0


class Budget:
    """A token bucket that may be overdrawn by one turn, and then is not drawn from for a while."""

    __slots__ = ("_burst", "_left", "_rate", "_since", "overdrafts", "paused_until")

    def __init__(self, rate: float, burst: float) -> None:
        """A full one, of `burst` units, that regains `rate` units per second."""
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._since = 0.0
        self.paused_until = 0.0
        """When it may be drawn from again."""
        self.overdrafts = 0
        """How often it was overdrawn since it was full."""

    def spend(self, units: float, now: float) -> bool:
        """Draw units; False if that overdrew it, which begins a pause."""
        left = self._left + (now - self._since) * self._rate
        if left >= self._burst:
            left = self._burst
            self.overdrafts = 0
        self._since = now
        self._left = left = left - units
        if left >= 0:
            return True
        self.overdrafts += 1
        self.paused_until = now + max(PAUSE_S, -left / self._rate)
        return False


class Source:
    """One address of a network, or one IPv6 /64: its connections and its budgets.

    Proven connections draw from a budget of their own: whoever shares an address with a flood
    of strangers does not pay for it. New connections have one, too, that is never overdrawn: of
    those who want in, users and attackers, each has the same chance at any time.
    """

    __slots__ = ("_answer_at", "arrivals", "connections", "proven", "stranger")

    def __init__(self, limits: TransportLimits) -> None:
        self.connections = 0
        """Accepted and still there."""
        self.arrivals = Bucket(limits.arrivals_per_second, limits.arrivals_burst)
        self.stranger = Budget(limits.stranger_units_per_second, limits.stranger_burst)
        self.proven = Budget(limits.proven_units_per_second, limits.proven_burst)
        self._answer_at = 0.0

    def may_answer(self, now: float) -> bool:
        """Whether bytes without frames may be answered: at most once in a second."""
        if now < self._answer_at:
            return False
        self._answer_at = now + ANSWER_INTERVAL_S
        return True


class Sources:
    """Every source that has, or lately had, a connection."""

    __slots__ = ("_limits", "_present", "_remembered")

    def __init__(self, limits: TransportLimits) -> None:
        self._limits = limits
        self._present: dict[tuple[str, str], Source] = {}
        self._remembered: dict[tuple[str, str], Source] = {}

    def __len__(self) -> int:
        return len(self._present) + len(self._remembered)

    def find(self, network: str, host: str) -> Source:
        """The source of a numeric host; one never seen is made, and remembered."""
        key = (network, source_key(host))
        source = self._present.get(key) or self._remembered.get(key)
        if source is None:
            source = Source(self._limits)
            self._remember(key, source)
        return source

    def arrived(self, network: str, host: str) -> None:
        """Count a connection of a source."""
        source = self.find(network, host)
        key = (network, source_key(host))
        self._remembered.pop(key, None)
        self._present[key] = source
        source.connections += 1

    def left(self, network: str, host: str) -> None:
        """Count a connection no more that `arrived` counted."""
        key = (network, source_key(host))
        source = self._present[key]
        source.connections -= 1
        if not source.connections:
            del self._present[key]
            self._remember(key, source)

    def _remember(self, key: tuple[str, str], source: Source) -> None:
        if len(self._remembered) >= REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[key] = source
