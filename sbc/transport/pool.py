"""Which connections there are, to whom, and how many each source and network may have.

Sans-IO.

A connection is unproven until somebody accepted what came over it. The unproven ones of a source
make room for new ones, those first that brought nothing yet, and so do those of a network, the
oldest first: no number of them can shut out who comes next.

Spec: RFC 3261 §18 (connection reuse), RFC 5923 is not spoken: a connection that a stranger opened
is reused only for the very address it came from.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from sbc.prefixes import source_key
from sbc.sip.flow import Flow
from sbc.transport.limits import TransportLimits, TransportStatistics
from sbc.transport.sources import Source, Sources


class Numbered(Protocol):
    """What the pool wants to know of a connection."""

    @property
    def flow(self) -> Flow:
        """With the number that `Pool.next_number` gave."""

    @property
    def opened_by_us(self) -> bool:
        """Whether we opened it, which decides the cap it counts against."""

    @property
    def proven(self) -> bool:
        """Whether it need not make room for others; once it is, it stays so."""

    @property
    def engaged(self) -> bool:
        """Whether it brought what takes some effort: a TLS handshake, or a message."""

    def displace(self) -> None:
        """End, since another connection takes the place."""


C = TypeVar("C", bound=Numbered)


class _Share(Generic[C]):
    """The accepted connections of one network."""

    __slots__ = ("accepted", "by_source", "unproven")

    def __init__(self) -> None:
        self.accepted = 0
        self.unproven: dict[int, C] = {}
        """By number, the oldest first."""
        self.by_source: defaultdict[str, dict[int, C]] = defaultdict(dict)
        """The same, apart for each source that has any."""

    def doubt(self, connection: C) -> None:
        """Count a connection as unproven."""
        flow = connection.flow
        self.unproven[flow.connection] = connection
        self.by_source[source_key(flow.remote[0])][flow.connection] = connection

    def vouch(self, connection: C) -> None:
        """Count a connection as unproven no more; one that is not is no fault."""
        flow = connection.flow
        if self.unproven.pop(flow.connection, None) is not None:
            source = source_key(flow.remote[0])
            del self.by_source[source][flow.connection]
            if not self.by_source[source]:
                del self.by_source[source]


class Pool(Generic[C]):
    """Live connections by number and by remote address."""

    __slots__ = (
        "_by_number",
        "_by_remote",
        "_last_number",
        "_limits",
        "_opened",
        "_shares",
        "_sources",
        "_statistics",
        "_trusted",
    )

    def __init__(
        self,
        limits: TransportLimits,
        statistics: TransportStatistics,
        trusted: frozenset[str] = frozenset(),
    ) -> None:
        """An empty pool; `trusted` names networks whose connections need no proof."""
        self._limits = limits
        self._statistics = statistics
        self._trusted = trusted
        self._by_number: dict[int, C] = {}
        self._by_remote: dict[Flow, C] = {}
        self._shares: dict[str, _Share[C]] = {}
        self._sources = Sources(limits)
        self._opened = 0
        self._last_number = 0

    def __len__(self) -> int:
        return len(self._by_number)

    def __iter__(self) -> Iterator[C]:
        return iter(list(self._by_number.values()))

    def trust(self, networks: Iterable[str]) -> None:
        """Ask for no proof on these networks from now on."""
        self._trusted = frozenset(networks)

    def next_number(self) -> int:
        """A number that no connection of this process ever had, from 1."""
        self._last_number += 1
        return self._last_number

    def source(self, network: str, host: str) -> Source | None:
        """Whose budgets a connection draws from; None on a trusted network, which has none."""
        return None if network in self._trusted else self._sources.find(network, host)

    def may_accept(self, network: str, host: str, now: float) -> bool:
        """Whether one more connection from `host` is within the caps; counts refusals.

        Where a source or its network has no more room, an unproven connection of it is displaced.
        """
        limits, statistics = self._limits, self._statistics
        trusted = network in self._trusted
        source = self._sources.find(network, host)
        if not trusted and not source.arrivals.take(now):
            statistics.refused_rate += 1
            return False
        share = self._share(network)
        unproven = share.by_source.get(source_key(host), {})
        full = source.connections >= limits.connections_per_source
        if full and not unproven:
            statistics.refused_source_cap += 1
            return False
        if full or len(unproven) >= limits.unproven_per_source:
            idle = (one for one in unproven.values() if not one.engaged)
            self._displace(next(idle, None) or next(iter(unproven.values())))
        if share.accepted < limits.inbound_connections:
            return True
        if not share.unproven:
            statistics.refused_total_cap += 1
            return False
        self._displace(next(iter(share.unproven.values())))
        return True

    def may_open(self) -> bool:
        """Whether one more connection of our own is within the cap; counts refusals."""
        if self._opened >= self._limits.outbound_connections:
            self._statistics.open_refused_cap += 1
            return False
        return True

    def add(self, connection: C) -> None:
        """Count a connection and offer it for reuse; the newest to a remote is the one reused."""
        flow = connection.flow
        self._by_number[flow.connection] = connection
        self._by_remote[unnumbered(flow)] = connection
        if connection.opened_by_us:
            self._opened += 1
            return
        share = self._share(flow.network)
        share.accepted += 1
        if not connection.proven:
            share.doubt(connection)
        self._sources.arrived(flow.network, flow.remote[0])

    def proved(self, connection: C) -> None:
        """An accepted connection is proven from now on."""
        self._share(connection.flow.network).vouch(connection)

    def named(self, connection: C, before: Flow) -> None:
        """A connection's first bytes told its transport; its flow was `before` until then."""
        if self._by_number.get(before.connection) is not connection:
            return
        if self._by_remote.get(unnumbered(before)) is connection:
            del self._by_remote[unnumbered(before)]
        self._by_remote[unnumbered(connection.flow)] = connection

    def remove(self, connection: C) -> None:
        """Forget a connection; one that is not here is no fault."""
        flow = connection.flow
        if self._by_number.pop(flow.connection, None) is None:
            return
        if self._by_remote.get(unnumbered(flow)) is connection:
            del self._by_remote[unnumbered(flow)]
        if connection.opened_by_us:
            self._opened -= 1
            return
        share = self._share(flow.network)
        share.accepted -= 1
        share.vouch(connection)
        self._sources.left(flow.network, flow.remote[0])

    def find(self, flow: Flow) -> C | None:
        """The connection of a flow; a flow without number takes any to its remote address.

        The whole flow is compared: after a restart the same number may be somebody else's.
        """
        if not flow.connection:
            return self._by_remote.get(flow)
        connection = self._by_number.get(flow.connection)
        return connection if connection is not None and connection.flow == flow else None

    def _displace(self, connection: C) -> None:
        self._statistics.displaced_unproven += 1
        self.remove(connection)
        connection.displace()

    def _share(self, network: str) -> _Share[C]:
        share = self._shares.get(network)
        if share is None:
            share = self._shares[network] = _Share()
        return share


def unnumbered(flow: Flow) -> Flow:
    """The flow as it is known before its connection is opened."""
    return flow._replace(connection=0)
