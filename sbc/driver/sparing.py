"""Who is never banned: whom we need, and who is ourselves."""

from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from typing import Final

from sbc.driver.in_force import InForce
from sbc.prefixes import IpNetwork, single_host
from sbc.routing.model import Peer

_OURSELVES: Final = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def never_banned(
    force: InForce, hosts: Iterable[tuple[str, str]]
) -> Iterator[tuple[IpNetwork, str]]:
    """Prefixes that no ban may hold, each with its reason.

    Args:
        hosts: more of them, numeric, each with its reason.
    """
    rules = force.policy.bans
    if rules is not None:
        yield from ((prefix, f"never_ban ({rules.where}) holds {prefix}") for prefix in rules.never)
    yield from ((prefix, "it is this machine") for prefix in _OURSELVES)
    ours = [(host, "it is an address of ours") for host, _ in force.ours]
    for host, why in (*ours, *_peers_hosts(force), *hosts):
        prefix = single_host(host.partition("%")[0])
        if prefix is not None and not prefix.network_address.is_unspecified:
            yield prefix, why
    for peer in force.settings.peers:
        yield from ((source, _named(peer)) for source in peer.sources)


def _peers_hosts(force: InForce) -> Iterator[tuple[str, str]]:
    for peer in force.settings.peers:
        yield from ((target.host, _named(peer)) for target in peer.targets)
    for destination, located in force.locations.items():
        for place in located.places:
            yield place.host, f"it is where {destination} is"


def _named(peer: Peer) -> str:
    return f"it is peer {peer.name!r}"
