"""The order of a call's candidates: routes' peers, peers' targets, targets' places."""

from collections import Counter

import pytest

from sbc.driver.callers import identify
from sbc.driver.in_force import InForce
from sbc.driver.placing import candidates_for, hops_of
from sbc.driver.present import IDLE, Present
from sbc.driver.sharing import flows_in_order
from sbc.registrar.registrar import Registrar
from sbc.routing.balance import Balance, Rank
from sbc.routing.model import Peer, Place, Target
from sbc.sip.flow import Flow
from sbc.sip.message import Request
from sbc.sip.parser import parse_message_untrusted
from tests.kit.switchboard import PBX_FLOW, a_configuration, a_message, in_force

TEXT = """\
networks:
  outside: {bind: 203.0.113.10, listen: udp/5060, media_ports: 30000-39999}
  inside: {trust: trusted, bind: 192.168.1.2, listen: udp/5062, media_ports: 20000-29999}
peers:
  pbx: {kind: pbx, network: inside, address: 192.168.1.5}
  one:
    kind: trunk
    network: outside
    address:
      - {address: 192.0.2.11, priority: 1}
      - 192.0.2.10
      - {address: 192.0.2.12, priority: 1, drain: true}
    failover: {codes: 404, timeout: 2}
  two:
    kind: trunk
    network: outside
    balance: BALANCE
    hash_on: HASH_ON
    address: [{address: 192.0.2.20, weight: 3}, 192.0.2.21]
routes:
  - {from: pbx, number: "1*", to: one}
  - {from: pbx, number: "2*", to: two, failover: {budget: 9}}
  - {from: pbx, number: "3*", to: [{peer: one, priority: 5}, two], failover: {timeout: 1}}
  - {from: pbx, number: "4*", to: [one, two], balance: least-calls}
policies: ../policies/edge-default.yaml
"""
INSIDE = PBX_FLOW._replace(local=("192.168.1.2", 5062))


def force(balance: str = "order", hash_on: str = "caller") -> InForce:
    return in_force(a_configuration(TEXT.replace("BALANCE", balance).replace("HASH_ON", hash_on)))


def hosts(force: InForce, number: str = "2", present: Present = IDLE, **more: object) -> list[str]:
    """The hosts to try, without what is the same in all."""
    return [
        one.flow.remote[0].removeprefix("192.0.2.") for one in tried(force, number, present, **more)
    ]


def tried(force, number="2", present=IDLE, **more):  # type: ignore[no-untyped-def]  # see hosts
    registrar = Registrar(force.settings, b"s" * 32, 1)
    request = parse_message_untrusted(
        a_message("INVITE", uri=f"sip:{number}@192.168.1.2", to="sip:x@y", **more)
    )
    assert isinstance(request, Request)
    caller = identify(force, registrar, request, INSIDE)
    placed = candidates_for(force, registrar, caller, request, INSIDE, present)
    assert isinstance(placed, tuple), placed
    return placed[1]


def keyed(number: int) -> Present:
    return Present(key=b"key %d" % number)


def test_priorities_of_targets_come_before_how_they_are_written_and_drained_ones_are_left_out():
    assert hosts(force(), "1") == ["10", "11"]


def test_priorities_of_peers_come_before_how_they_are_written():
    assert hosts(force(), "3") == ["20", "21", "10", "11"]


def test_a_hop_that_is_down_comes_last_and_is_not_left_out():
    def usable(hop):
        return hop.flow.remote[0] != "192.0.2.20"

    assert hosts(force(), "3", Present(usable=usable)) == ["21", "10", "11", "20"]


def test_what_is_said_of_failover_the_route_says_before_the_peer():
    by_number = {number: tried(force(), number)[-1].failover for number in "123"}
    assert (by_number["1"].codes, by_number["1"].timeout_s) == (frozenset({404}), 2.0)
    assert (by_number["2"].timeout_s, by_number["2"].budget_s) == (4.0, 9.0)
    assert (by_number["3"].codes, by_number["3"].timeout_s) == (frozenset({404}), 1.0)


def test_by_weight_each_call_is_shared_anew():
    sharing = force("weight")
    firsts = Counter(hosts(sharing, present=keyed(n))[0] for n in range(400))
    assert 260 < firsts["20"] < 340


@pytest.mark.parametrize(
    ("hash_on", "more"),
    [
        ("caller", {"from_user": "bob"}),
        ("call-id", {"call_id": "another"}),
        ("called", {"number": "25"}),
    ],
)
def test_by_hash_only_what_is_hashed_decides(hash_on, more):
    sharing = force("hash", hash_on)
    orders = {tuple(hosts(sharing, present=keyed(n))) for n in range(20)}
    assert len(orders) == 1
    ((key, value),) = more.items()
    others = {tuple(hosts(sharing, **{key: f"{value}{n}"})) for n in range(40)}
    assert len(others) == 2


def test_by_least_calls_the_idlest_is_first():
    def at(hop):
        return {"192.0.2.20": 7, "192.0.2.21": 2}[hop.flow.remote[0]]

    assert hosts(force("least-calls"), present=Present(calls_at=at)) == ["21", "20"]
    more = Present(calls_at=lambda hop: 2 * at(hop) if hop.flow.remote[0][-1] == "1" else at(hop))
    assert hosts(force("least-calls"), present=more) == ["20", "21"]


def test_a_route_shares_by_the_calls_of_its_peers():
    busy = Present(calls_with=lambda peer: {"one": 2, "two": 1}[peer])
    assert hosts(force(), "4", busy) == ["20", "21", "10", "11"]


def test_the_hops_are_those_that_calls_may_go_to():
    assert sorted(hop.flow.remote[0] for hop in hops_of(force())) == [
        "192.0.2.10", "192.0.2.11", "192.0.2.12", "192.0.2.20", "192.0.2.21", "192.168.1.5",
    ]  # fmt: skip


class TestPlaces:
    """SRV records as the resolver gives them."""

    def order(self, *places: Place, strategy: str = "order", key: bytes = b"") -> list[str]:
        peer = Peer("p", "trunk", "outside", balance=Balance(strategy))  # type: ignore[arg-type]  # a word of the test
        ways = [
            (place, Flow("outside", "udp", ("0.0.0.0", 5060), (place.host, place.port)))
            for place in places
        ]
        request = parse_message_untrusted(a_message("INVITE"))
        assert isinstance(request, Request)
        targets = [(Target("p.example"), ways)]
        found = flows_in_order(peer, targets, request, INSIDE, Present(key=key))
        return [flow.remote[0] for _, flow in found]

    def test_addresses_of_one_name_stay_in_order(self):
        places = [Place(host, 5060, "udp") for host in ("9", "1", "5")]
        assert all(self.order(*places, key=b"%d" % n) == ["9", "1", "5"] for n in range(20))

    def test_lower_priorities_come_first_and_weights_share(self):
        places = (
            Place("a1", 5060, "udp", 10, 3, "a"),
            Place("a2", 5060, "udp", 10, 3, "a"),
            Place("b", 5060, "udp", 10, 1, "b"),
            Place("c", 5060, "udp", 20, 9, "c"),
        )
        orders = Counter(tuple(self.order(*places, key=b"%d" % n)) for n in range(400))
        assert set(orders) == {("a1", "a2", "b", "c"), ("b", "a1", "a2", "c")}
        assert 260 < orders["a1", "a2", "b", "c"] < 340

    def test_who_is_bound_to_a_target_is_bound_to_its_place_too(self):
        places = [Place(host, 5060, "udp", 1, 1, host) for host in "abcd"]
        orders = {tuple(self.order(*places, strategy="hash", key=b"%d" % n)) for n in range(20)}
        assert len(orders) == 1


def test_targets_share_by_their_own_weight_however_many_places_they_have():
    targets = [
        (Target("many", rank=Rank(0, 1)), [a_place(f"10.0.0.{n}") for n in range(5)]),
        (Target("single", rank=Rank(0, 1)), [a_place("10.0.1.1")]),
    ]
    peer = Peer("p", "trunk", "outside", balance=Balance("weight"))
    request = parse_message_untrusted(a_message("INVITE"))
    assert isinstance(request, Request)
    firsts = Counter(
        flows_in_order(peer, targets, request, INSIDE, keyed(n))[0][1].remote[0] == "10.0.1.1"
        for n in range(400)
    )
    assert 150 < firsts[True] < 250


def a_place(host: str) -> tuple[Place, Flow]:
    return Place(host, 5060, "udp"), Flow("outside", "udp", ("0.0.0.0", 5060), (host, 5060))
