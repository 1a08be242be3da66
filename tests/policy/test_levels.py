"""Every level of the rate limits: who pays for whom, and who does not."""

from dataclasses import dataclass
from ipaddress import ip_network

import pytest

from sbc.policy.admission import ADMITTED, Admission, Verdict
from sbc.policy.conditions import Test as Condition
from sbc.policy.conditions import asks, conditions
from sbc.policy.facts import FACTS, Facts
from sbc.policy.gate import FlowKey
from sbc.policy.matchers import Amount
from sbc.policy.model import Level, PolicySet, RateLimit
from sbc.policy.rules import Action, Rule
from sbc.policy.world import World
from sbc.sip.flow import Flow

UNTRUSTED = asks(trust="untrusted")
NAT = "198.51.100.9"
US = ("203.0.113.1", 5060)


@dataclass(frozen=True)
class Registry:
    """Where addresses are, by how they begin."""

    asns: tuple[tuple[str, int], ...] = ()

    def country(self, host: str) -> str:
        return "RU" if host.startswith("192.0.2.") else "DE"

    def asn(self, host: str) -> int:
        return next((asn for prefix, asn in self.asns if host.startswith(prefix)), 0)


def a_limit(
    per: Level, burst: int, rate: float = 1.0, shadow: bool = False, **wanted: object
) -> RateLimit:
    when = asks(trust="untrusted", **wanted)
    name = f"{'shadow ' if shadow else ''}{per}"
    return RateLimit(name, when, per, rate, burst, "p:1", shadow)


def the_peer(network: str, host: str) -> str | None:
    return "trunk" if host.startswith("10.0.0.") or host == "peer trunk" else None


def a_gate(
    *limits: RateLimit, sources: tuple[Rule, ...] = (), world: World | None = None
) -> Admission:
    policy = PolicySet((), limits, {"sources": sources})
    return Admission(policy, {"outside": False}, the_peer, world=world)


def ask(gate: Admission, host: str, port: int = 5060, now: float = 1.0) -> bool:
    return gate.admits_datagram("outside", (host, port), now) != "away"


def asked(gate: Admission, host: str, count: int, port: int = 5060, now: float = 1.0) -> int:
    return sum(ask(gate, host, port, now) for _ in range(count))


def a_phone(port: int, host: str = NAT, connection: int = 0) -> Flow:
    transport = "tls" if connection else "udp"
    return Flow("outside", transport, US, (host, port), connection)


def test_each_port_of_an_address_has_a_flow_budget_and_all_share_that_of_the_source() -> None:
    gate = a_gate(a_limit("flow", 5), a_limit("source", 12))
    assert [asked(gate, NAT, 10, port) for port in (1001, 1002, 1003, 1004)] == [5, 5, 2, 0]


@pytest.mark.parametrize(
    ("hosts", "stranger"),
    [
        (("192.0.2.1", "192.0.2.9", "192.0.2.200"), "192.0.3.1"),
        (("2001:db8:1:1::1", "2001:db8:1:2::1", "2001:db8:1:ffff::1"), "2001:db8:2::1"),
    ],
)
def test_a_prefix_is_one_budget(hosts: tuple[str, ...], stranger: str) -> None:
    gate = a_gate(a_limit("prefix", 8))
    assert sum(asked(gate, host, 5) for host in hosts) == 8
    assert asked(gate, stranger, 20) == 8


def test_an_autonomous_system_is_one_budget_and_who_is_in_none_has_none() -> None:
    places = Registry((("192.0.2.", 64500), ("198.51.100.", 64500), ("100.64.", 64501)))
    gate = a_gate(a_limit("asn", 8), world=World(places=places))
    assert asked(gate, "192.0.2.1", 5) + asked(gate, "198.51.100.7", 5) == 8
    assert asked(gate, "100.64.0.1", 20) == 8
    assert asked(gate, "9.9.9.9", 20) == 20


def test_a_peer_is_one_budget_whatever_addresses_it_has() -> None:
    gate = a_gate(a_limit("peer", 8))
    assert asked(gate, "10.0.0.1", 5) + asked(gate, "10.0.0.2", 5) == 8
    assert asked(gate, "192.0.2.1", 20) == 20


def test_who_is_known_pays_for_no_stranger_unless_a_limit_asks_for_it() -> None:
    shared = (a_limit("prefix", 5), a_limit("network", 5))
    gate = a_gate(*shared)
    gate.vouch(a_phone(1001))
    assert asked(gate, NAT, 20, port=1001) == 20
    assert asked(gate, "10.0.0.1", 20) == 20
    assert asked(gate, NAT, 20, port=1002) == 5
    gate = a_gate(a_limit("prefix", 5, registered=True), a_limit("network", 7, known_peer=True))
    gate.vouch(a_phone(1001))
    assert asked(gate, NAT, 20, port=1001) == 5
    assert asked(gate, "10.0.0.1", 20) == 7
    assert asked(gate, NAT, 20, port=1002) == 20


def test_of_each_level_the_first_limit_that_fits_counts() -> None:
    narrow, wide = a_limit("source", 3, source_country="RU"), a_limit("source", 9)
    gate = a_gate(narrow, wide, a_limit("network", 100), world=World(places=Registry()))
    assert asked(gate, "192.0.2.1", 20) == 3
    assert asked(gate, "8.8.8.8", 20) == 9


def test_behind_one_address_an_attacker_uses_up_strangers_budgets_and_no_users() -> None:
    gate = a_gate(a_limit("source", 100, 20.0, registered=True), a_limit("source", 60, 20.0))
    users = range(20_000, 20_500)
    for port in users:
        gate.vouch(a_phone(port))
    for second in range(30):
        now = 10.0 + second
        asked(gate, NAT, 2000, port=6666, now=now)
        assert all(asked(gate, NAT, 2, port, now) == 2 for port in users)
    assert gate.admits_datagram("outside", (NAT, 6666), 39.0) == "away"


def test_what_is_forged_in_a_phones_address_costs_that_phone_nothing() -> None:
    gate = a_gate(a_limit("source", 10, registered=True), a_limit("source", 10))
    gate.vouch(a_phone(1001))
    assert sum(ask(gate, NAT, port) for port in range(2000, 3000)) == 10
    assert asked(gate, NAT, 20, port=1001) == 10


def test_no_datagram_is_in_the_name_of_a_phone_on_a_stream() -> None:
    gate = a_gate(a_limit("source", 10, registered=True), a_limit("source", 10))
    phone = a_phone(1001, connection=7)
    gate.vouch(phone)
    assert asked(gate, NAT, 100, port=1001) == 10
    assert sum(gate.admit(phone, NAT, 1.0).admitted for _ in range(100)) == 10
    another = a_phone(1001, connection=8)
    assert not gate.admit(another, NAT, 1.0).admitted


def test_a_peer_on_a_stream_is_counted_by_the_name_it_proves() -> None:
    gate = a_gate(a_limit("source", 10))
    flows = [a_phone(port, connection=port) for port in (1, 2)]
    passed = [gate.admit(flow, "peer trunk", 1.0).admitted for flow in flows for _ in range(10)]
    assert sum(passed) == 10


def test_a_shadow_drops_nothing_and_counts_what_it_would_drop() -> None:
    gate = a_gate(a_limit("source", 3, shadow=True), a_limit("source", 9))
    assert asked(gate, "192.0.2.1", 20) == 9
    shadow, limit = (buckets for _, buckets in gate.buckets())
    assert (shadow.denied, limit.denied) == (17, 11)
    alone = a_gate(a_limit("source", 3, shadow=True))
    assert asked(alone, "192.0.2.1", 20) == 20


def test_a_source_may_be_blocked_or_exempted_whatever_the_limits_say() -> None:
    rules = (
        Rule("friend", asks(source=ip_network("192.0.2.7")), Action("allow"), "p:2"),
        Rule("bad", asks(source=ip_network("192.0.2.0/24")), Action("block"), "p:3"),
    )
    gate = a_gate(a_limit("source", 3), sources=rules)
    assert asked(gate, "192.0.2.7", 50) == 50
    assert asked(gate, "192.0.2.8", 50) == 0
    assert asked(gate, "192.0.3.8", 50) == 3
    assert gate.admit(a_phone(1, "192.0.2.8"), "192.0.2.8", 1.0) == Verdict(
        False, "bad", "p:3", "sources"
    )
    assert gate.exempts("outside", "192.0.2.7", 1.0)
    assert not gate.exempts("outside", "192.0.2.8", 1.0)
    gate.apply(PolicySet((), (a_limit("source", 3),)), {"outside": False}, the_peer)
    assert asked(gate, "192.0.2.8", 50) == 3


@pytest.mark.parametrize(
    ("wanted", "tls", "tcp"),
    [({"transport": "tcp"}, True, False), ({"transport": ["tcp", "tls"]}, False, False)],
)
def test_a_blocked_source_gets_no_connection(
    wanted: dict[str, object], tls: bool, tcp: bool
) -> None:
    bad = Rule("bad", asks(source=ip_network("192.0.2.0/24"), **wanted), Action("block"), "p:3")
    gate = a_gate(sources=(bad,))
    remote = ("192.0.2.8", 1234)
    assert gate.admits_connection("outside", remote, "tls", 1.0) is tls
    assert gate.admits_connection("outside", remote, "tcp", 1.0) is tcp
    assert gate.admits_connection("outside", ("192.0.3.8", 1), "tcp", 1.0)
    assert ask(gate, "192.0.2.8")


def test_what_depends_on_the_time_of_day_is_asked_again() -> None:
    wall = [0.0]
    night = conditions([Condition("time", FACTS["time"], Amount(above=100.0, below=None))])
    rule = Rule("night", night, Action("block"), "p:1")
    gate = Admission(
        PolicySet((), (), {"sources": (rule,)}),
        {"outside": False},
        the_peer,
        wall=lambda: wall[0],
    )
    assert ask(gate, "192.0.2.1", now=0.0)
    wall[0] = 200.0
    assert not ask(gate, "192.0.2.1", now=40.0)


class Banned:
    """Bans one address."""

    def blocked(self, network: str, flow: FlowKey, now: float) -> Verdict | None:
        return Verdict(False, "ban") if flow[0] == "192.0.2.66" else None


def test_who_is_banned_is_turned_away_before_any_budget_unless_a_rule_exempts_him() -> None:
    gate = a_gate(a_limit("source", 3))
    gate.blocklist = Banned()
    assert asked(gate, "192.0.2.66", 3) == 0
    assert gate.admit(a_phone(1, "192.0.2.66"), "192.0.2.66", 1.0).rule == "ban"
    assert not gate.admits_connection("outside", ("192.0.2.66", 1), "tcp", 1.0)
    assert asked(gate, "192.0.2.67", 5) == 3
    exempt = Rule("x", asks(source=ip_network("192.0.2.66")), Action("allow"), "p:1")
    gate.apply(PolicySet((), (), {"sources": (exempt,)}), {"outside": False}, the_peer)
    assert asked(gate, "192.0.2.66", 3) == 3


def facts(method: str = "REGISTER", host: str = NAT, **more: object) -> Facts:
    return Facts("outside", False, host, method, **more)  # type: ignore[arg-type]  # a test's words


def test_a_user_has_one_budget_wherever_it_calls_from_and_strangers_have_none() -> None:
    gate = a_gate(a_limit("user", 3))

    def passed(user: str, host: str) -> int:
        flow = a_phone(1, host)
        return sum(
            gate.admit_request(facts("INVITE", host), flow, user, 1.0).admitted for _ in range(2)
        )

    assert passed("alice", "192.0.2.1") + passed("alice", "192.0.2.2") == 3
    assert passed("bob", "192.0.2.1") == 2
    assert passed("", "192.0.2.1") == 2


def test_each_method_of_a_source_has_its_budget_where_a_limit_asks_for_it() -> None:
    limit = RateLimit("r", asks(method="REGISTER"), "method", 1.0, 3, "p:9")
    gate = a_gate(limit)
    flow = a_phone(1)
    verdicts = [gate.admit_request(facts(), flow, "", 1.0) for _ in range(5)]
    assert verdicts == [ADMITTED] * 3 + [Verdict(False, "r", "p:9", "method")] * 2
    assert gate.admit_request(facts("OPTIONS"), flow, "", 1.0) is ADMITTED
    assert gate.admit_request(facts(host="192.0.2.1"), flow, "", 1.0) is ADMITTED
    registered = [
        gate.admit_request(facts(registered=True), a_phone(port), "u", 1.0).admitted
        for port in (7, 8)
        for _ in range(4)
    ]
    assert registered == [True, True, True, False] * 2


def test_made_up_methods_and_long_names_take_no_more_than_their_places() -> None:
    gate = Admission(PolicySet((), (a_limit("method", 3),)), {"outside": False}, the_peer, 16)
    for number in range(1000):
        gate.admit_request(facts(f"M{number:040}"), a_phone(1), "", 1.0)
    assert gate.remembered <= 16


class Moving:
    """A database in whose place another comes."""

    def __init__(self) -> None:
        self.number = 64500

    def country(self, host: str) -> str:
        return ""

    def asn(self, host: str) -> int:
        return self.number


def test_what_a_database_says_is_asked_again_after_a_while() -> None:
    places = Moving()
    gate = a_gate(a_limit("asn", 5), world=World(places=places))
    assert asked(gate, "192.0.2.1", 9, now=1.0) == 5
    places.number = 64501
    assert asked(gate, "192.0.2.1", 9, now=1.5) == 0
    assert asked(gate, "192.0.2.1", 9, now=40.0) == 5
