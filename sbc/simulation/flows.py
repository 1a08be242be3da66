"""Flows that simulated messages come on."""

from collections.abc import Iterable
from dataclasses import replace

from sbc.driver.in_force import InForce
from sbc.prefixes import is_numeric
from sbc.registrar.lives import GONE_CONNECTION
from sbc.routing.facing import family_of
from sbc.routing.model import Listener, Network
from sbc.sip.flow import Address, Flow, Transport

_UNSPECIFIED = frozenset({"0.0.0.0", "::"})
_PORTS: dict[Transport, int] = {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 80, "wss": 443}


def hearing(force: InForce, network: str, transport: Transport) -> InForce:
    """A configuration whose network takes messages by a transport, if need be by a new listener."""
    found = force.networks[network]
    if any(listener.transport == transport for listener in found.listeners):
        return force
    first = found.listeners[0]
    extra = Listener(transport, first.family, first.bind, _PORTS[transport], first.advertise)
    wider = replace(found, listeners=(*found.listeners, extra))
    networks = tuple(wider if one is found else one for one in force.settings.networks)
    settings = replace(force.settings, networks=networks)
    return replace(force, settings=settings, located={}, by_credentials={})


def flow_at(force: InForce, network: str, transport: Transport, remote: Address) -> Flow:
    """A flow from an address to a listener of a network."""
    listener = _listener(force.networks[network], transport, remote[0])
    connection = 0 if transport == "udp" else GONE_CONNECTION
    return Flow(network, transport, (listener.bind, listener.port), remote, connection)


def _listener(network: Network, transport: Transport, host: str) -> Listener:
    family = family_of(host)
    fitting = [one for one in network.listeners if one.transport == transport]
    same = [one for one in fitting if one.family == family]
    return (same or fitting or list(network.listeners))[0]


def home_of(force: InForce, host: str) -> str:
    """The network that messages of an address come on: its peer's, or the first untrusted one."""
    for peer in force.settings.peers:
        found = force.table.classify(peer.network, host)
        if found is not None:
            return found.network
    untrusted = [one.name for one in force.settings.networks if not one.trusted]
    return (untrusted or [one.name for one in force.settings.networks])[0]


class Directions:
    """Which way captured messages went."""

    def __init__(self, force: InForce, ours: Iterable[str] = (), network: str = "") -> None:
        """Know our side.

        Args:
            ours: Hosts that were ours when it was captured, beside those of the configuration.
            network: The one that everything came on; empty to tell by addresses.

        Raises:
            ValueError: one of the hosts is none.
        """
        self._ours = frozenset(ours)
        for host in self._ours:
            if not is_numeric(host):
                raise ValueError(f"{host!r} is no address")
        self._networks = [one for one in force.settings.networks if network in ("", one.name)]

    def inbound(
        self, transport: Transport, source: Address, to: Address, connection: int
    ) -> Flow | None:
        """The flow of what came to us; None for what did not."""
        found = self._at(transport, to, exactly=True)
        if found is None and self._at(transport, source, exactly=True) is None:
            found = self._at(transport, to, exactly=False)
        if found is None:
            return None
        network, listener = found
        return Flow(network.name, transport, (listener.bind, listener.port), source, connection)

    def _at(
        self, transport: Transport, address: Address, *, exactly: bool
    ) -> tuple[Network, Listener] | None:
        """The listener of ours at an address."""
        host, port = address
        for network in self._networks:
            for one in network.listeners:
                if one.transport != transport or one.port != port:
                    continue
                if host in (one.bind, one.advertise) or host in self._ours:
                    return network, one
                if not exactly and one.bind in _UNSPECIFIED and family_of(host) == one.family:
                    return network, one
        return None
