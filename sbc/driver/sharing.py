"""In which order the peers of a route, a peer's targets and a target's places are tried.

Spec: RFC 2782 (SRV priority and weight), RFC 3263 §4.3.
"""

from collections.abc import Iterable
from itertools import groupby

from sbc.driver.present import Present
from sbc.registrar.grants import user_of
from sbc.routing.balance import UNRANKED, Balance, Option, Rank, Strategy, ordered
from sbc.routing.hops import Hop
from sbc.routing.model import Peer, Place, Route, Target
from sbc.sip.flow import Flow
from sbc.sip.message import Request


def peers_in_order(
    route: Route, peers: tuple[Peer, ...], request: Request, flow: Flow, present: Present
) -> list[Peer]:
    """The peers of a route, for one call.

    Raises:
        ParseError: the header that the route hashes on is malformed (400).
    """
    ranks = route.ranks or (UNRANKED,) * len(peers)
    options = [
        Option(peer, peer.name, rank, present.calls_with(peer.name))
        for peer, rank in zip(peers, ranks, strict=True)
    ]
    return ordered(options, route.balance.strategy, _key(route.balance, request, flow, present))


def flows_in_order(
    peer: Peer,
    targets: Iterable[tuple[Target, list[tuple[Place, Flow]]]],
    request: Request,
    flow: Flow,
    present: Present,
) -> list[tuple[Target, Flow]]:
    """A peer's targets with the flows to them, for one call.

    Args:
        targets: each with the places that it stands for, and the flow to each.

    Raises:
        ParseError: the header that the peer hashes on is malformed (400).
    """
    strategy = peer.balance.strategy
    key = _key(peer.balance, request, flow, present)
    options = [
        Option(
            (target, places),
            f"{target.host}:{target.port}:{target.transport}",
            target.rank,
            sum(present.calls_at(Hop(peer.name, to)) for _, to in places),
        )
        for target, places in targets
    ]
    return [
        (target, to)
        for target, places in ordered(options, strategy, key)
        for to in _places_in_order(places, strategy, key, present)
    ]


def _places_in_order(
    places: list[tuple[Place, Flow]], strategy: Strategy, key: bytes, present: Present
) -> list[Flow]:
    """By SRV priority and weight; addresses of one name stay as the resolver gave them."""
    names = groupby(places, key=lambda one: (one[0].name, one[0].priority, one[0].weight))
    options = []
    for (name, priority, weight), group in names:
        flows = [to for _, to in group]
        host, port = flows[0].remote
        options.append(Option(flows, f"{name}:{host}:{port}", Rank(priority, weight)))
    shared = key if strategy == "hash" else present.key
    return [to for flows in ordered(options, "weight", shared) for to in flows]


def _key(balance: Balance, request: Request, flow: Flow, present: Present) -> bytes:
    """What the order for a call comes of."""
    if balance.strategy != "hash":
        return present.key
    if balance.hash_on == "caller":
        uri = request.from_.uri
        text = f"{user_of(uri)}@{uri.host}"
    elif balance.hash_on == "called":
        text = user_of(request.uri)
    elif balance.hash_on == "call-id":
        text = request.call_id
    else:
        text = flow.remote[0]
    return text.encode("utf-8", "surrogateescape")
