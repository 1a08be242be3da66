"""Which connections there are, to whom, and how many each source may have.

Sans-IO.

Spec: RFC 3261 §18 (connection reuse), RFC 5923 is not spoken: a connection that a stranger opened
is reused only for the very address it came from.
"""

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from sbc.sip.flow import Flow
from sbc.transport.addresses import source_key
from sbc.transport.limits import TransportLimits, TransportStatistics


class Numbered(Protocol):
    """What the pool wants to know of a connection."""

    @property
    def flow(self) -> Flow:
        """With the number that `Pool.next_number` gave."""

    @property
    def opened_by_us(self) -> bool:
        """Whether we opened it, which decides the cap it counts against."""


C = TypeVar("C", bound=Numbered)


class Pool(Generic[C]):
    """Live connections by number and by remote address."""

    __slots__ = (
        "_by_number",
        "_by_remote",
        "_inbound",
        "_last_number",
        "_limits",
        "_per_source",
        "_statistics",
    )

    def __init__(self, limits: TransportLimits, statistics: TransportStatistics) -> None:
        """An empty pool."""
        self._limits = limits
        self._statistics = statistics
        self._by_number: dict[int, C] = {}
        self._by_remote: dict[Flow, C] = {}
        self._per_source: dict[str, int] = {}
        self._inbound = 0
        self._last_number = 0

    def __len__(self) -> int:
        return len(self._by_number)

    def __iter__(self) -> Iterator[C]:
        return iter(list(self._by_number.values()))

    def next_number(self) -> int:
        """A number that no connection of this process ever had, from 1."""
        self._last_number += 1
        return self._last_number

    def may_accept(self, host: str) -> bool:
        """Whether one more connection from `host` is within the caps; counts refusals."""
        if self._inbound >= self._limits.inbound_connections:
            self._statistics.refused_total_cap += 1
            return False
        if self._per_source.get(source_key(host), 0) >= self._limits.connections_per_source:
            self._statistics.refused_source_cap += 1
            return False
        return True

    def may_open(self) -> bool:
        """Whether one more connection of our own is within the cap; counts refusals."""
        if len(self._by_number) - self._inbound >= self._limits.outbound_connections:
            self._statistics.open_refused_cap += 1
            return False
        return True

    def add(self, connection: C) -> None:
        """Count a connection and offer it for reuse; the newest to a remote is the one reused."""
        flow = connection.flow
        self._by_number[flow.connection] = connection
        self._by_remote[unnumbered(flow)] = connection
        if not connection.opened_by_us:
            self._inbound += 1
            key = source_key(flow.remote[0])
            self._per_source[key] = self._per_source.get(key, 0) + 1

    def remove(self, connection: C) -> None:
        """Forget a connection; one that is not here is no fault."""
        flow = connection.flow
        if self._by_number.pop(flow.connection, None) is None:
            return
        if self._by_remote.get(unnumbered(flow)) is connection:
            del self._by_remote[unnumbered(flow)]
        if not connection.opened_by_us:
            self._inbound -= 1
            key = source_key(flow.remote[0])
            self._per_source[key] -= 1
            if not self._per_source[key]:
                del self._per_source[key]

    def find(self, flow: Flow) -> C | None:
        """The connection of a flow; a flow without number takes any to its remote address.

        The whole flow is compared: after a restart the same number may be somebody else's.
        """
        if not flow.connection:
            return self._by_remote.get(flow)
        connection = self._by_number.get(flow.connection)
        return connection if connection is not None and connection.flow == flow else None


def unnumbered(flow: Flow) -> Flow:
    """The flow as it is known before its connection is opened."""
    return Flow(flow.network, flow.transport, flow.local, flow.remote)
