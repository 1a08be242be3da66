"""Who is muted: sources far over their own budget, and nobody else, whoever's name is forged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.policy.admission import Admission, Verdict
from sbc.policy.conditions import asks
from sbc.policy.gate import FlowKey
from sbc.policy.model import PolicySet, RateLimit
from sbc.policy.mutes import AFTER_DROPS, AGAIN_AFTER_DROPS, MUTE_S, WATCHED, WITHIN_S, Mutes
from sbc.policy.rules import Action, Rule
from sbc.sip.flow import Flow

PEER, PHONE, US = "10.0.0.1", "198.51.100.9", ("203.0.113.1", 5060)
SOURCE = RateLimit("strangers", asks(), "source", 10.0, 20, "p:1")
FLOW = RateLimit("flows", asks(registered=False), "flow", 5.0, 10, "p:2")
SHARED = RateLimit("all", asks(), "network", 10.0, 20, "p:3")


class Kernel:
    """Remembers who is muted."""

    def __init__(self) -> None:
        self.muted: list[tuple[str, str, int, float]] = []
        self.released: list[str] = []

    def mute(self, network: str, host: str, port: int, seconds: float) -> None:
        self.muted.append((network, host, port, seconds))

    def release(self, network: str, host: str) -> None:
        self.released.append(host)


def the_peer(network: str, host: str) -> str | None:
    return "pbx" if host == PEER else None


def a_gate(*limits: RateLimit, trusted: bool = False) -> tuple[Admission, Kernel]:
    gate = Admission(PolicySet((), limits), {"outside": trusted}, the_peer)
    gate.mutes.kernel = kernel = Kernel()
    return gate, kernel


def flood(gate: Admission, host: str, port: int = 5060, count: int = 1000) -> None:
    for number in range(count):
        gate.admits_datagram("outside", (host, port), 1.0 + number / 10_000)


def test_a_source_far_over_its_budget_is_muted_for_a_short_while() -> None:
    gate, kernel = a_gate(SOURCE)
    flood(gate, "192.0.2.1", count=AFTER_DROPS + SOURCE.burst - 1)
    assert not kernel.muted
    flood(gate, "192.0.2.1", count=1)
    assert kernel.muted == [("outside", "192.0.2.1", 0, MUTE_S)]
    flood(gate, "2001:db8:1:2::5")
    assert kernel.muted[-1] == ("outside", "2001:db8:1:2", 0, MUTE_S)


def test_who_is_a_little_over_is_not_muted() -> None:
    gate, kernel = a_gate(SOURCE)
    for number in range(5000):
        gate.admits_datagram("outside", ("192.0.2.1", 5060), number / 50)
    assert not kernel.muted


def test_a_flow_over_its_own_budget_is_muted_and_its_address_is_not() -> None:
    gate, kernel = a_gate(FLOW, SOURCE)
    flood(gate, "192.0.2.1", 7777, 300)
    assert {(host, port) for _, host, port, _ in kernel.muted} == {("192.0.2.1", 7777)}


def test_behind_an_address_with_a_registered_phone_only_other_ports_are_muted() -> None:
    gate, kernel = a_gate(SOURCE)
    gate.vouch(Flow("outside", "udp", US, (PHONE, 1001)))
    flood(gate, PHONE, 6666)
    flood(gate, PHONE, 1001)
    assert {(host, port) for _, host, port, _ in kernel.muted} == {(PHONE, 6666)}


def test_a_forger_mutes_no_peer_and_nobody_on_a_trusted_network() -> None:
    gate, kernel = a_gate(SOURCE)
    flood(gate, PEER)
    assert not kernel.muted
    gate, kernel = a_gate(SOURCE, trusted=True)
    flood(gate, "192.0.2.1")
    assert not kernel.muted


def test_no_stranger_is_muted_for_what_all_strangers_used_up() -> None:
    gate, kernel = a_gate(SHARED)
    for number in range(20_000):
        gate.admits_datagram("outside", (f"192.0.2.{number % 8}", 5060), 1.0)
    assert not kernel.muted


def test_who_is_exempted_is_never_muted_and_who_is_blocked_is() -> None:
    from ipaddress import ip_network

    rules = (
        Rule("good", asks(source=ip_network("192.0.2.1")), Action("allow"), "p:1"),
        Rule("bad", asks(source=ip_network("192.0.2.0/24")), Action("block"), "p:2"),
    )
    policy = PolicySet((), (SOURCE,), {"sources": rules})
    gate = Admission(policy, {"outside": False}, the_peer)
    gate.mutes.kernel = kernel = Kernel()
    flood(gate, "192.0.2.1")
    assert not kernel.muted
    flood(gate, "192.0.2.2", 99)
    assert {(host, port) for _, host, port, _ in kernel.muted} == {("192.0.2.2", 99)}


class Throttling:
    """Blocks everybody."""

    def blocked(self, network: str, flow: FlowKey, now: float) -> Verdict | None:
        return Verdict(False, "throttled")


def test_a_registered_phone_that_is_throttled_is_still_heard_now_and_then() -> None:
    gate, kernel = a_gate(SOURCE)
    gate.blocklist = Throttling()
    gate.vouch(Flow("outside", "udp", US, (PHONE, 1001)))
    flood(gate, PHONE, 1001)
    assert not kernel.muted


@pytest.mark.parametrize("how", ["registers", "becomes a peer"])
def test_whoever_is_a_stranger_no_more_is_heard_at_once(how: str) -> None:
    gate, kernel = a_gate(SOURCE)
    flood(gate, PHONE)
    if how == "registers":
        gate.vouch(Flow("outside", "tcp", US, (PHONE, 1001), 5))
    else:
        gate.peers_moved(lambda network, host: "new" if host == PHONE else None, [PHONE])
    assert kernel.released == [PHONE]


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 0.004)), max_size=600))
def test_who_is_muted_had_so_many_drops_within_a_second(events: list[tuple[int, float]]) -> None:
    mutes, kernel = Mutes(), Kernel()
    mutes.kernel = kernel
    now, times = 0.0, dict[str, list[float]]()
    for source, pause in events:
        now += pause
        times.setdefault(str(source), []).append(now)
        mutes.dropped("n", str(source), 0, now)
        hosts = [host for _, host, _, _ in kernel.muted]
        if hosts.count(str(source)) == 1 and hosts[-1] == str(source):
            recent = [at for at in times[str(source)] if now - at <= WITHIN_S]
            assert len(recent) >= AFTER_DROPS


def test_who_goes_on_when_its_mute_is_over_is_muted_again_sooner_and_who_stopped_is_not() -> None:
    mutes = Mutes()
    mutes.kernel = kernel = Kernel()

    def drops(count: int, now: float) -> int:
        before = len(kernel.muted)
        for _ in range(count):
            mutes.dropped("n", "h", 0, now)
        return len(kernel.muted) - before

    assert drops(AFTER_DROPS, 1.0) == 1
    assert drops(AGAIN_AFTER_DROPS - 1, 1.0 + MUTE_S) == 0
    assert drops(1, 1.1 + MUTE_S) == 1
    assert drops(AFTER_DROPS - 1, 1.2 + 3 * MUTE_S) == 0
    assert drops(1, 1.2 + 3 * MUTE_S) == 1


def test_sources_that_are_watched_are_bounded() -> None:
    mutes = Mutes()
    mutes.kernel = Kernel()
    for number in range(3 * WATCHED):
        mutes.dropped("n", str(number), 0, 1.0)
    assert len(mutes._drops) == WATCHED
