"""Which peer a source is and which route a request takes."""

from dataclasses import replace
from ipaddress import ip_network
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.routing.location import Destination, Located
from sbc.routing.model import Network, Peer, Place, Route, Target
from sbc.routing.patterns import domain_matches, number_matches, parse_number_pattern
from sbc.routing.table import RoutingTable
from sbc.routing.tls import PIN_PREFIX, PeerTls
from sbc.sip.flow import Flow

NETWORKS = tuple(Network(name, (), (), (30000, 30999)) for name in ("outside", "inside"))
PBX = Peer("pbx", "pbx", "inside", (Target("192.0.2.10"),))
SPARE = Peer("spare", "pbx", "inside", (Target("pbx2.example.com"),))
TRUNK = Peer(
    "trunk",
    "trunk",
    "outside",
    (Target("sip.carrier.example"),),
    (ip_network("198.51.100.0/24"), ip_network("2001:db8:5::/48")),
    sources_given=True,
)
SECOND_TRUNK = Peer(
    "second", "trunk", "outside", (), (ip_network("198.51.100.128/25"),), sources_given=True
)
PHONES = Peer("phones", "endpoints", "outside")
GUESTS = Peer("guests", "endpoints", "outside", domain="guests.example.com")
PEERS = (PBX, SPARE, TRUNK, SECOND_TRUNK, PHONES, GUESTS)

ROUTES = (
    Route("registrations", ("pbx",), from_networks=("outside",), methods=("REGISTER",)),
    Route("service", ("spare",), numbers=("600", "601")),
    Route("phones out", ("trunk", "second"), from_peers=("phones",), numbers=("+*",)),
    Route("phones in", ("pbx", "spare"), from_peers=("phones",)),
    Route("emergency", ("trunk",), from_peers=("pbx",), numbers=("110-112",)),
    Route("carrier domain", ("trunk",), from_peers=("pbx",), domains=("*.carrier.example",)),
    Route("long", ("second",), from_networks=("inside",), numbers=("0049*",)),
    Route("short", ("trunk",), from_networks=("inside",), numbers=("00*", "9???")),
    Route("to phones", ("phones",), from_peers=("pbx",)),
)
TABLE = RoutingTable(NETWORKS, PEERS, ROUTES)


@pytest.mark.parametrize(
    ("network", "host", "expected"),
    [
        ("inside", "192.0.2.10", PBX),
        ("outside", "192.0.2.10", None),
        ("outside", "198.51.100.1", TRUNK),
        ("outside", "198.51.100.200", SECOND_TRUNK),
        ("outside", "198.51.101.1", None),
        ("outside", "2001:db8:5:1::9", TRUNK),
        ("outside", "2001:db8:6::9", None),
        ("outside", "carrier.example", None),
        ("outside", "fe80::1%eth0", None),
        ("outside", "", None),
        ("elsewhere", "192.0.2.10", None),
    ],
)
def test_a_source_is_the_peer_of_its_longest_prefix(
    network: str, host: str, expected: Peer | None
) -> None:
    assert TABLE.classify(network, host) == expected


def test_addresses_behind_names_become_sources_unless_sources_were_written() -> None:
    table = TABLE.with_locations(
        {
            Destination("inside", SPARE.targets[0]): Located(
                (Place("192.0.2.11", 5060, "udp"), Place("2001:db8::11", 5060, "udp"))
            ),
            Destination("outside", TRUNK.targets[0]): Located((Place("203.0.113.9", 5060, "udp"),)),
        }
    )
    assert table.classify("inside", "192.0.2.11") is SPARE
    assert table.classify("inside", "2001:db8::11") is SPARE
    assert table.classify("inside", "192.0.2.10") is PBX
    assert table.classify("outside", "203.0.113.9") is None
    assert TABLE.classify("inside", "192.0.2.11") is None
    assert table.choose("pbx", "inside", "112", "x").peers == (TRUNK,)


@pytest.mark.parametrize("order", [1, -1])
def test_no_answer_of_a_name_server_takes_an_address_from_the_peer_it_was_written_for(
    order: int,
) -> None:
    neighbour = replace(SPARE, name="neighbour", network="outside")
    table = RoutingTable(NETWORKS, (PBX, SPARE, TRUNK, neighbour)[::order], ())
    found = Located((Place("192.0.2.10", 5060, "udp"), Place("198.51.100.1", 5060, "udp")))
    located = {Destination(peer.network, peer.targets[0]): found for peer in (SPARE, neighbour)}
    table = table.with_locations(located)
    assert table.classify("inside", "192.0.2.10") is PBX
    assert table.classify("outside", "198.51.100.1") is TRUNK
    assert table.classify("inside", "198.51.100.1") is SPARE


NAMED = Peer(
    "named", "trunk", "outside", (), (ip_network("198.51.100.7"),), tls=PeerTls(("a.example",))
)
STRICT = Peer(
    "strict",
    "trunk",
    "outside",
    (),
    (ip_network("198.51.100.8"),),
    tls=PeerTls(("b.example", "192.0.2.8"), name_required=True),
)
PINNED = Peer("pinned", "trunk", "outside", tls=PeerTls(("c.example",), pins=("KEY1", "KEY2")))
TWIN = Peer(
    "twin", "trunk", "outside", (), (ip_network("198.51.100.9"),), tls=PeerTls(("a.example",))
)
PROVING = RoutingTable(NETWORKS, (TRUNK, NAMED, STRICT, PINNED, TWIN), ())
KEY1, KEY3 = PIN_PREFIX + "KEY1", PIN_PREFIX + "KEY3"


def by_tls(host: str, network: str = "outside", peer: str = "") -> Flow:
    return Flow(network, "tls", ("203.0.113.10", 5061), (host, 40000), 7, peer)


@pytest.mark.parametrize(
    ("flow", "proven", "expected"),
    [
        # What is proven goes before the address, on the peer's network only.
        (by_tls("203.0.113.99"), ("a.example", KEY3), NAMED),
        (by_tls("198.51.100.1"), ("a.example",), NAMED),
        (by_tls("203.0.113.99", "inside"), ("a.example",), None),
        (by_tls("203.0.113.99"), ("x.example", "a.example"), NAMED),
        # Who proves nothing, or somebody nobody knows, is known by the address.
        (by_tls("198.51.100.7"), (), NAMED),
        (by_tls("198.51.100.7"), ("x.example",), NAMED),
        (by_tls("203.0.113.99"), ("x.example",), None),
        (by_tls("203.0.113.99"), ("*.a.example", "sub.a.example"), None),
        # Unless the peer is one that has to prove its name.
        (by_tls("198.51.100.8"), (), None),
        (by_tls("198.51.100.8"), ("x.example",), None),
        (by_tls("198.51.100.8"), ("b.example",), STRICT),
        (by_tls("203.0.113.99"), ("b.example",), STRICT),
        (by_tls("203.0.113.99"), ("192.0.2.8",), STRICT),
        (by_tls("198.51.100.8")._replace(transport="udp", connection=0), (), None),
        # A pinned peer needs its key too.
        (by_tls("203.0.113.99"), ("c.example", KEY1), PINNED),
        (by_tls("203.0.113.99"), ("c.example", KEY3), None),
        (by_tls("203.0.113.99"), ("c.example",), None),
        (by_tls("203.0.113.99"), (KEY1,), None),
        # Two peers of one name are told apart by their address.
        (by_tls("198.51.100.9"), ("a.example",), TWIN),
        # A connection that we opened is to whom we opened it for.
        (by_tls("203.0.113.99", peer="strict"), (), STRICT),
        (by_tls("203.0.113.99", "inside", peer="strict"), (), None),
        (by_tls("198.51.100.7", peer="gone"), (), NAMED),
    ],
)
def test_a_tls_identity_goes_before_an_address(
    flow: Flow, proven: tuple[str, ...], expected: Peer | None
) -> None:
    assert PROVING.sender(flow, proven) == expected


def test_the_address_of_a_peer_that_has_to_prove_its_name_is_nobodys() -> None:
    assert PROVING.classify("outside", "198.51.100.8") is None
    assert PROVING.classify("outside", "198.51.100.6") is TRUNK


@given(st.tuples(st.text(max_size=20), st.text(max_size=20)))
def test_names_that_nobody_has_prove_nobody(proven: tuple[str, str]) -> None:
    assert PROVING.sender(by_tls("203.0.113.99"), proven) is None


class Question(NamedTuple):
    peer: str | None
    network: str
    user: str | None
    domain: str
    method: str


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (Question(None, "outside", "100", "example.com", "REGISTER"), "registrations"),
        (Question("phones", "outside", "100", "example.com", "REGISTER"), "registrations"),
        (Question(None, "outside", "600", "example.com", "INVITE"), "service"),
        (Question("phones", "outside", "+4930", "example.com", "INVITE"), "phones out"),
        (Question("phones", "outside", "100", "example.com", "INVITE"), "phones in"),
        (Question("phones", "outside", None, "example.com", "OPTIONS"), "phones in"),
        (Question("pbx", "inside", "111", "example.com", "INVITE"), "emergency"),
        (Question("pbx", "inside", "113", "example.com", "INVITE"), "to phones"),
        (Question("pbx", "inside", "113", "a.carrier.example", "INVITE"), "carrier domain"),
        (Question("pbx", "inside", "004930", "example.com", "INVITE"), "long"),
        (Question("pbx", "inside", "004830", "example.com", "INVITE"), "short"),
        (Question("spare", "inside", "9123", "example.com", "INVITE"), "short"),
        (Question("spare", "inside", "9x", "example.com", "INVITE"), None),
        (Question(None, "outside", "100", "example.com", "INVITE"), None),
        (Question("trunk", "outside", "100", "example.com", "INVITE"), None),
    ],
)
def test_the_first_route_that_matches_is_taken(question: Question, expected: str | None) -> None:
    choice = TABLE.choose(*question)
    assert (choice.route.name if choice.route else None) == expected
    if choice.route is not None:
        assert tuple(target.name for target in choice.peers) == choice.route.to
        assert repr(choice.route.name) in choice.why
    else:
        assert choice.peers == ()
        assert str(len(ROUTES)) in choice.why


def test_phones_belong_to_the_endpoints_of_their_domain() -> None:
    assert TABLE.endpoints("outside", "guests.example.com") is GUESTS
    assert TABLE.endpoints("outside", "other.example.com") is PHONES
    assert TABLE.endpoints("outside") is PHONES
    assert TABLE.endpoints("inside") is None
    lone = RoutingTable(NETWORKS, (GUESTS,), ())
    assert lone.endpoints("outside", "other.example.com") is GUESTS


def _first_by_trying_each(routes: tuple[Route, ...], question: Question) -> Route | None:
    peer, network, user, domain, method = question
    for route in routes:
        from_any = not route.from_peers and not route.from_networks
        if not (from_any or peer in route.from_peers or network in route.from_networks):
            continue
        if route.methods and method not in route.methods:
            continue
        if route.domains and not any(domain_matches(text, domain) for text in route.domains):
            continue
        patterns = [parse_number_pattern(text) for text in route.numbers]
        if not patterns or any(number_matches(pattern, user or "") for pattern in patterns):
            return route
    return None


def _subsets(*values: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), max_size=2, unique=True).map(tuple)


A_ROUTE = st.builds(
    Route,
    st.just(""),
    st.just(("pbx",)),
    _subsets("pbx", "phones"),
    _subsets("inside", "outside"),
    _subsets("INVITE", "REGISTER"),
    _subsets("1", "12", "1*", "*", "12*", "10-15", "12-14", "10-19", "?2", "*2", "1?*"),
    _subsets("a.example", "*.a.example", "b.example"),
)


@given(
    st.lists(A_ROUTE, max_size=12),
    st.builds(
        Question,
        st.sampled_from([None, "pbx", "phones"]),
        st.sampled_from(["inside", "outside"]),
        st.sampled_from(["", "1", "12", "13", "16", "2", "122", "1x"]),
        st.sampled_from(["a.example", "x.a.example", "b.example", "c.example"]),
        st.sampled_from(["INVITE", "REGISTER", "OPTIONS"]),
    ),
)
def test_the_index_agrees_with_trying_each_route_in_order(
    routes: list[Route], question: Question
) -> None:
    named = tuple(replace(route, name=str(number)) for number, route in enumerate(routes))
    chosen = RoutingTable(NETWORKS, PEERS, named).choose(*question)
    assert chosen.route == _first_by_trying_each(named, question)
