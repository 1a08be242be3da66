"""The media ports of all networks, as calls take them."""

from collections.abc import Iterable

from media.ports import PortPool
from sbc.routing.model import Network

QUARANTINE_S = 10.0
"""How long a port rests after a call, so that its late packets die with it."""

Port = tuple[str, int]
"""Network and even port."""


class NetworkPorts:
    """One pool per network; pools keep their ports in use over a reload.

    Every port is held in the name of the call that was being served when it was taken, so that
    what a call leaves behind, by a fault of ours, is found when it ends.
    """

    __slots__ = ("_held", "_owners", "_pools", "_seed", "serving")

    def __init__(self, networks: Iterable[Network], seed: int) -> None:
        self._seed = seed
        self._pools: dict[str, PortPool] = {}
        self._held: dict[str, dict[Port, None]] = {}
        self._owners: dict[Port, str] = {}
        self.serving = ""
        """The call that takes ports now."""
        for network in networks:
            self._add(network)

    def take(self, network: str, now: float) -> int:
        """An even port of the network; the one above it is its RTCP port.

        Raises:
            PortsExhausted: none is free.
        """
        port = self._pools[network].take(now)
        place = (network, port)
        self._owners[place] = self.serving
        self._held.setdefault(self.serving, {})[place] = None
        return port

    def give_back(self, network: str, port: int, now: float, *, unused: bool = False) -> None:
        """Let a port rest, then be taken again; one that was `unused` needs no rest.

        Raises:
            KeyError: the port is not taken; a bug of the caller.
        """
        place = (network, port)
        owner = self._owners.pop(place)
        held = self._held[owner]
        del held[place]
        if not held:
            del self._held[owner]
        self._pools[network].give_back(port, now, unused=unused)

    def give_back_all(self, call: str, now: float) -> int:
        """Give back whatever a call still holds, and say how many ports that was."""
        places = list(self._held.get(call, ()))
        for network, port in places:
            self.give_back(network, port, now)
        return len(places)

    def resize(self, networks: Iterable[Network], now: float) -> None:
        """Put the ranges of a new configuration in force.

        The pool of a network that is no more stays, for the calls that still hold ports of it.
        """
        for network in networks:
            pool = self._pools.get(network.name)
            if pool is None:
                self._add(network)
            else:
                low, high = network.media_ports
                pool.resize(low, high, now)

    def in_use(self) -> dict[str, int]:
        """Ports taken, by network."""
        return {name: pool.in_use for name, pool in self._pools.items()}

    def _add(self, network: Network) -> None:
        low, high = network.media_ports
        seed = self._seed + len(self._pools)
        self._pools[network.name] = PortPool(low, high, QUARANTINE_S, seed)
