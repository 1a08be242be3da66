"""The media ports of all networks, as calls take them."""

from collections.abc import Iterable

from media.ports import PortPool
from sbc.routing.model import Network

QUARANTINE_S = 10.0
"""How long a port rests after a call, so that its late packets die with it."""


class NetworkPorts:
    """One pool per network; pools keep their ports in use over a reload."""

    __slots__ = ("_pools",)

    def __init__(self, networks: Iterable[Network], seed: int) -> None:
        self._pools: dict[str, PortPool] = {}
        for number, network in enumerate(networks):
            low, high = network.media_ports
            self._pools[network.name] = PortPool(low, high, QUARANTINE_S, seed + number)

    def take(self, network: str, now: float) -> int:
        """An even port of the network; the one above it is its RTCP port.

        Raises:
            PortsExhausted: none is free.
        """
        return self._pools[network].take(now)

    def give_back(self, network: str, port: int, now: float) -> None:
        """Let a port rest, then be taken again."""
        self._pools[network].give_back(port, now)

    def resize(self, networks: Iterable[Network], now: float) -> None:
        """Put the ranges of a new configuration in force."""
        for network in networks:
            low, high = network.media_ports
            self._pools[network.name].resize(low, high, now)

    def in_use(self) -> dict[str, int]:
        """Ports taken, by network."""
        return {name: pool.in_use for name, pool in self._pools.items()}
