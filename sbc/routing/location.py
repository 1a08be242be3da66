"""Where a target is, as far as it is known: what the resolver is asked for, and what it found.

Spec: RFC 3263 §4, RFC 7984 §4 (both families of one server are candidates).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from sbc.prefixes import is_numeric
from sbc.routing.facing import host_port
from sbc.routing.model import (
    DEFAULT_PORTS,
    Family,
    Network,
    Peer,
    Place,
    Target,
    TargetTransport,
)

Reach = tuple[tuple[TargetTransport, Family], ...]
"""What a network can open flows by, in the order of its listeners, each pair once."""


class Destination(NamedTuple):
    """A target as one network sees it: what is located."""

    network: str
    target: Target

    def __str__(self) -> str:
        port = f":{self.target.port}" if self.target.port is not None else ""
        transport = f";transport={self.target.transport}" if self.target.transport else ""
        return f"{self.target.host}{port}{transport} on {self.network}"


@dataclass(frozen=True, slots=True)
class Located:
    """What is known of a destination now."""

    places: tuple[Place, ...] = ()
    """Best first: by priority, then by weight; addresses of one server together."""
    trouble: str = ""
    """Why there are none, or why they may be out of date."""


UNKNOWN: Final = Located(trouble="it has not been looked up yet")

Locations = Mapping[Destination, Located]


def hosts_of(locations: Locations) -> set[str]:
    """Every address that is known of any destination."""
    return {place.host for known in locations.values() for place in known.places}


def place_text(place: Place) -> str:
    """A place as people write it: ``udp/192.0.2.1:5060``, with what SRV records say of it."""
    address = f"{place.transport}/{host_port(place.host, place.port)}"
    if not place.name:
        return address
    return f"{address} ({place.name}, priority {place.priority}, weight {place.weight})"


def reach_of(network: Network) -> Reach:
    """What a network can open flows by: browsers come to us, so WebSocket is not among it."""
    pairs = (
        (listener.transport, listener.family)
        for listener in network.listeners
        if listener.transport in ("udp", "tcp", "tls")
    )
    return tuple(dict.fromkeys(pairs))


def default_transport(reach: Reach) -> TargetTransport:
    """What is spoken where neither the operator nor DNS says: UDP wherever the network has it.

    Spec: RFC 3263 §4.1.
    """
    transports = [transport for transport, _ in reach]
    return "udp" if "udp" in transports or not transports else transports[0]


def numeric_place(target: Target, reach: Reach) -> Place | None:
    """The place of a target that needs no resolver; None for a name."""
    if not is_numeric(target.host):
        return None
    transport = target.transport or default_transport(reach)
    return Place(target.host, target.port or DEFAULT_PORTS[transport], transport)


def destinations(networks: Iterable[Network], peers: Iterable[Peer]) -> dict[Destination, Reach]:
    """Every name that is to be located, with what the peer's network can open."""
    reach = {network.name: reach_of(network) for network in networks}
    return {
        Destination(peer.network, target): reach[peer.network]
        for peer in peers
        for target in peer.targets
        if not is_numeric(target.host)
    }
