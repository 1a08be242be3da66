"""Which peer a source is, and which peers a request goes to.

Both questions are answered from indexes built once: a source by its longest prefix, a number by
exact text, prefix and range. The first route of the configuration that matches wins, as if the
routes were tried one after the other.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sbc.prefixes import PrefixMap, single_host
from sbc.routing.did import DidTable
from sbc.routing.location import UNKNOWN, Destination, Locations
from sbc.routing.model import IpNetwork, Network, Peer, Route
from sbc.routing.patterns import (
    Exact,
    Glob,
    NumberPattern,
    Prefix,
    Range,
    domain_matches,
    parse_number_pattern,
)
from sbc.sip.flow import Flow


@dataclass(frozen=True, slots=True)
class RouteChoice:
    """Where a request goes and why."""

    route: Route | None
    """None when no route matches: 404."""
    peers: tuple[Peer, ...]
    """In the order to try. A peer of kind ``"endpoints"`` means: a binding of the callee."""
    why: str
    users: tuple[str, ...] = ()
    """Who is called at each of `peers`, where a DID table says it; empty for what was called."""


class RoutingTable:
    """Peers by source and routes by caller, number and domain. Immutable.

    Raises:
        KeyError, ValueError: a route names an unknown peer or holds a bad pattern; a bug, since
            the configuration was checked.
    """

    __slots__ = (
        "_by_network",
        "_by_peer",
        "_choices",
        "_dids",
        "_endpoints",
        "_learned",
        "_open",
        "_peers",
        "_proven",
        "_sources",
        "networks",
        "peers",
        "proving",
        "routes",
    )

    def __init__(
        self,
        networks: Sequence[Network],
        peers: Sequence[Peer],
        routes: Sequence[Route],
        dids: Iterable[DidTable] = (),
    ) -> None:
        self.networks = tuple(networks)
        self.peers = tuple(peers)
        self.routes = tuple(routes)
        self._peers = {peer.name: peer for peer in peers}
        self._dids = {table.name: table for table in dids}
        self._sources = _written_sources(self.peers)
        self._learned: dict[str, PrefixMap[Peer]] = {}
        self._proven = _peers_by_name(self.peers)
        asking = {
            network.name
            for network in self.networks
            if network.tls is not None and network.tls.client_certificates != "off"
        }
        self.proving = frozenset(network for network, _ in self._proven) & asking
        """Networks where peers can prove themselves by a certificate."""
        self._endpoints: dict[str, list[Peer]] = {}
        for peer in peers:
            if peer.kind == "endpoints":
                self._endpoints.setdefault(peer.network, []).append(peer)
        self._choices = tuple(
            RouteChoice(
                route,
                tuple(self._peers[name] for name in route.to),
                f"route {route.name!r} ({route.where})",
            )
            for route in routes
        )
        self._by_peer: dict[str, _RouteIndex] = {}
        self._by_network: dict[str, _RouteIndex] = {}
        self._open = _RouteIndex(self.routes, self._dids)
        for number, route in enumerate(routes):
            self._place(number, route)
        for index in (self._open, *self._by_peer.values(), *self._by_network.values()):
            index.finish()

    def _place(self, number: int, route: Route) -> None:
        if not route.from_peers and not route.from_networks:
            self._open.add(number)
        for name in route.from_peers:
            self._by_peer.setdefault(name, _RouteIndex(self.routes, self._dids)).add(number)
        for name in route.from_networks:
            self._by_network.setdefault(name, _RouteIndex(self.routes, self._dids)).add(number)

    def peer(self, name: str) -> Peer | None:
        """The peer of that name."""
        return self._peers.get(name)

    def with_locations(self, locations: Locations) -> "RoutingTable":
        """The same table, knowing the places of targets that are names.

        Their hosts become sources of the peers that have such a target, unless the operator wrote
        `sources`. What is missing adds nothing, and no answer of a name server takes away from
        another peer what the operator wrote.
        """
        table = RoutingTable.__new__(RoutingTable)
        table.networks = self.networks
        table.peers = self.peers
        table.routes = self.routes
        table._peers = self._peers
        table._proven = self._proven
        table.proving = self.proving
        table._endpoints = self._endpoints
        table._choices = self._choices
        table._dids = self._dids
        table._by_peer = self._by_peer
        table._by_network = self._by_network
        table._open = self._open
        table._sources = self._sources
        table._learned = _learned_sources(self.peers, locations)
        return table

    def classify(self, network: str, host: str) -> Peer | None:
        """The PBX or trunk that a source address on a network belongs to.

        Phones are known by their binding, not by this, and a peer that has to prove its name by
        what `sender` is told.
        """
        peer = None
        for sources in (self._sources.get(network), self._learned.get(network)):
            if sources is not None and peer is None:
                peer = sources.find(host)
        return None if peer is not None and peer.must_prove else peer

    def sender(self, flow: Flow, proven: tuple[str, ...]) -> Peer | None:
        """The PBX or trunk that sends what comes by a flow.

        What a certificate proves goes before the address: of who connected to us, or of the peer
        that we connected to.

        Args:
            proven: the names, and the pin, that the client's certificate of the connection proves.
        """
        opened_for = self._peers.get(flow.peer)
        if opened_for is not None and opened_for.network == flow.network:
            return opened_for
        by_address = self.classify(flow.network, flow.remote[0])
        claimants = [
            peer
            for name in proven
            for peer in self._proven.get((flow.network, name), ())
            if peer.tls is not None and peer.tls.are_met_by(proven)
        ]
        if not claimants or by_address in claimants:
            return by_address
        return claimants[0]

    def endpoints(self, network: str, domain: str | None = None) -> Peer | None:
        """The peer of kind ``"endpoints"`` that a phone on a network belongs to.

        One whose domain is the phone's comes before one that has no domain; a domain that no
        peer claims belongs to the first.
        """
        candidates = self._endpoints.get(network, [])
        for peer in candidates:
            if domain is not None and peer.domain == domain:
                return peer
        for peer in candidates:
            if peer.domain is None:
                return peer
        return candidates[0] if candidates else None

    def choose(
        self,
        peer: str | None,
        network: str,
        user: str | None,
        domain: str,
        method: str = "INVITE",
    ) -> RouteChoice:
        """The first route for a request.

        Args:
            peer: who sends it, if known.
            network: the network it came on.
            user: the called number: the unescaped user part of the Request-URI (of To for a
                REGISTER), if there is one.
            domain: host of that URI, lower case.
        """
        wanted = user or ""
        best = self._open.first(len(self.routes), wanted, domain, method)
        index = self._by_network.get(network)
        if index is not None:
            best = index.first(best, wanted, domain, method)
        index = self._by_peer.get(peer) if peer is not None else None
        if index is not None:
            best = index.first(best, wanted, domain, method)
        if best < len(self.routes):
            return self._told_by_dids(self._choices[best], wanted)
        caller = f"peer {peer!r}" if peer is not None else f"a stranger on network {network!r}"
        return RouteChoice(
            None,
            (),
            f"none of {len(self.routes)} routes takes {method} from {caller} "
            f"to {wanted!r} at {domain!r}",
        )

    def _told_by_dids(self, choice: RouteChoice, number: str) -> RouteChoice:
        """The choice as the route's DID table has it, if it has one."""
        route = choice.route
        if route is None or not route.dids:
            return choice
        found = self._dids[route.dids].places(number, route.to)
        assert found is not None, "a route with a table takes what the table holds"
        return RouteChoice(
            route,
            tuple(self._peers[step.peer] for step in found.steps),
            f"{choice.why}, DID {route.dids} {found.why}",
            tuple(step.user for step in found.steps),
        )


def _written_sources(peers: Iterable[Peer]) -> dict[str, PrefixMap[Peer]]:
    """The peers of each network by the addresses that the operator wrote."""
    entries: dict[str, list[tuple[IpNetwork, Peer]]] = {}
    for peer in peers:
        here = entries.setdefault(peer.network, [])
        here.extend((source, peer) for source in peer.sources)
        if not peer.sources_given:
            hosts = [single_host(target.host) for target in peer.targets]
            here.extend((source, peer) for source in hosts if source is not None)
    return {network: PrefixMap(pairs) for network, pairs in entries.items() if pairs}


def _learned_sources(peers: Iterable[Peer], locations: Locations) -> dict[str, PrefixMap[Peer]]:
    """The peers of each network by the addresses that their names stand for."""
    entries: dict[str, list[tuple[IpNetwork, Peer]]] = {}
    for peer in peers:
        for target in () if peer.sources_given else peer.targets:
            for place in locations.get(Destination(peer.network, target), UNKNOWN).places:
                source = single_host(place.host)
                if source is not None:
                    entries.setdefault(peer.network, []).append((source, peer))
    return {network: PrefixMap(pairs) for network, pairs in entries.items()}


def _peers_by_name(peers: Iterable[Peer]) -> dict[tuple[str, str], list[Peer]]:
    """The peers that a name on a network may prove, in the order of the configuration."""
    found: dict[tuple[str, str], list[Peer]] = {}
    for peer in peers:
        for name in peer.tls.names if peer.tls is not None else ():
            found.setdefault((peer.network, name), []).append(peer)
    return found


class _RouteIndex:
    """Routes of one kind of caller, by what they say about the number, else about the domain.

    Every list holds positions in the configuration, ascending.
    """

    __slots__ = (
        "_dids",
        "_domains",
        "_exact",
        "_general",
        "_globs",
        "_prefixes",
        "_range_entries",
        "_range_segments",
        "_routes",
    )

    def __init__(self, routes: Sequence[Route], dids: Mapping[str, DidTable]) -> None:
        self._routes = routes
        self._dids = dids
        self._exact: dict[str, list[int]] = {}
        self._prefixes: dict[int, dict[str, list[int]]] = {}
        self._range_entries: dict[int, list[tuple[Range, int]]] = {}
        self._range_segments: dict[int, tuple[list[str], list[list[int]]]] = {}
        self._globs: list[tuple[Glob, int]] = []
        self._domains: dict[str, list[int]] = {}
        self._general: list[int] = []

    def add(self, number: int) -> None:
        """Index the route at a position; positions come in ascending order."""
        route = self._routes[number]
        if route.numbers:
            for text in route.numbers:
                self._add_number(parse_number_pattern(text), number)
        elif route.domains and not any(domain.startswith("*.") for domain in route.domains):
            for domain in route.domains:
                self._domains.setdefault(domain, []).append(number)
        else:
            self._general.append(number)

    def _add_number(self, pattern: NumberPattern, number: int) -> None:
        if isinstance(pattern, Exact):
            self._exact.setdefault(pattern.text, []).append(number)
        elif isinstance(pattern, Prefix):
            level = self._prefixes.setdefault(len(pattern.text), {})
            level.setdefault(pattern.text, []).append(number)
        elif isinstance(pattern, Range):
            self._range_entries.setdefault(len(pattern.low), []).append((pattern, number))
        else:
            self._globs.append((pattern, number))

    def finish(self) -> None:
        """Lay out the ranges, after the last route was added."""
        for length, entries in self._range_entries.items():
            self._range_segments[length] = _segments(entries)

    def first(self, best: int, user: str, domain: str, method: str) -> int:
        """The first position before `best` whose route matches, else `best`."""
        best = self._first_of(self._exact.get(user), best, user, domain, method)
        for length, level in self._prefixes.items():
            if length <= len(user):
                best = self._first_of(level.get(user[:length]), best, user, domain, method)
        segments = self._range_segments.get(len(user))
        if segments is not None:
            best = self._first_of(_holders(segments, user), best, user, domain, method)
        best = self._first_of(self._domains.get(domain), best, user, domain, method)
        best = self._first_of(self._general, best, user, domain, method)
        for glob, number in self._globs:
            if number >= best:
                break
            if glob.holds(user) and self._fits(number, user, domain, method):
                return number
        return best

    def _first_of(
        self, positions: list[int] | None, best: int, user: str, domain: str, method: str
    ) -> int:
        if positions is not None:
            for number in positions:
                if number >= best:
                    break
                if self._fits(number, user, domain, method):
                    return number
        return best

    def _fits(self, number: int, user: str, domain: str, method: str) -> bool:
        route = self._routes[number]
        if route.methods and method not in route.methods:
            return False
        if route.dids and self._dids[route.dids].find(user) is None:
            return False
        if not route.domains:
            return True
        return any(domain_matches(pattern, domain) for pattern in route.domains)


def _holders(segments: tuple[list[str], list[list[int]]], user: str) -> list[int] | None:
    starts, holders = segments
    at = bisect_right(starts, user) - 1
    if at < 0 or not Range(user, user).holds(user):
        return None
    return holders[at]


def _segments(entries: list[tuple[Range, int]]) -> tuple[list[str], list[list[int]]]:
    """Cut overlapping ranges into adjoining pieces, each with the routes that hold it."""
    cuts = sorted(
        {entry.low for entry, _ in entries} | {_after(entry.high) for entry, _ in entries}
    )
    position = {cut: at for at, cut in enumerate(cuts)}
    holders: list[list[int]] = [[] for _ in cuts]
    for entry, number in entries:
        for at in range(position[entry.low], position[_after(entry.high)]):
            if not holders[at] or holders[at][-1] != number:
                holders[at].append(number)
    return cuts, holders


def _after(number: str) -> str:
    """The least text of any kind that sorts behind a number of this length."""
    return number + "\x00"
