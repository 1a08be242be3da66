"""RFC 3263 as equations: a target, what the network reaches, a zone; questions and places."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.resolver.locate import MOST_ADDRESSES, MOST_SERVERS, MOST_SERVICES, locate
from sbc.resolver.records import Answer, Naptr, Record, Srv
from sbc.routing.location import Located, Reach
from sbc.routing.model import Place, Target, TargetTransport
from tests.resolver.zone import Zone, asked_and_found, naptr, srv

UDP4: Reach = (("udp", 4),)
BOTH4: Reach = (("udp", 4), ("tcp", 4))
ALL4: Reach = (("udp", 4), ("tcp", 4), ("tls", 4))
DUAL: Reach = (("udp", 4), ("udp", 6))
DUAL6: Reach = (("udp", 6), ("udp", 4))

SRV_OF: dict[TargetTransport, str] = {
    "udp": "_sip._udp.x.example",
    "tcp": "_sip._tcp.x.example",
    "tls": "_sips._tcp.x.example",
}


def places(target: Target, reach: Reach, zone: Zone) -> tuple[Place, ...]:
    return asked_and_found(locate(target, reach), zone)[1].places


def trouble(target: Target, reach: Reach, zone: Zone) -> str:
    return asked_and_found(locate(target, reach), zone)[1].trouble


def questions(target: Target, reach: Reach, zone: Zone) -> list[str]:
    return asked_and_found(locate(target, reach), zone)[0]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (Target("192.0.2.1"), Place("192.0.2.1", 5060, "udp")),
        (Target("2001:db8::1", 5070), Place("2001:db8::1", 5070, "udp")),
        (Target("192.0.2.1", None, "tls"), Place("192.0.2.1", 5061, "tls")),
    ],
)
def test_a_numeric_target_is_its_own_place_and_nobody_is_asked(
    target: Target, expected: Place
) -> None:
    assert asked_and_found(locate(target, ALL4), {}) == ([], Located((expected,)))


def test_a_port_means_that_only_addresses_are_asked_for() -> None:
    zone: Zone = {("x.example", "A"): ["192.0.2.1"], (SRV_OF["udp"], "SRV"): [srv("no.example")]}
    assert asked_and_found(locate(Target("x.example", 5070), BOTH4), zone) == (
        ["A of x.example"],
        Located((Place("192.0.2.1", 5070, "udp"),)),
    )


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_a_transport_means_that_naptr_is_not_asked_for(transport: TargetTransport) -> None:
    zone: Zone = {
        (SRV_OF[transport], "SRV"): [srv("one.example", port=5099)],
        ("one.example", "A"): ["192.0.2.1"],
    }
    assert asked_and_found(locate(Target("x.example", None, transport), ALL4), zone) == (
        [f"SRV of {SRV_OF[transport]}", "A of one.example"],
        Located((Place("192.0.2.1", 5099, transport, 0, 1, "one.example"),)),
    )


def test_naptr_chooses_the_transport_that_the_domain_likes_best_of_those_we_reach() -> None:
    """The example of RFC 3263 §4.1."""
    zone: Zone = {
        ("example.com", "NAPTR"): [
            naptr(100, "SIP+D2U", "_sip._udp.example.com"),
            naptr(90, "SIP+D2T", "_sip._tcp.example.com"),
            naptr(50, "SIPS+D2T", "_sips._tcp.example.com"),
        ],
        ("_sip._tcp.example.com", "SRV"): [srv("server1.example.com"), srv("server2.example.com")],
        ("_sip._udp.example.com", "SRV"): [srv("server1.example.com")],
        ("server1.example.com", "A"): ["192.0.2.1"],
        ("server2.example.com", "A"): ["192.0.2.2"],
    }
    assert asked_and_found(locate(Target("example.com"), BOTH4), zone) == (
        [
            "NAPTR of example.com",
            "SRV of _sip._tcp.example.com",
            "SRV of _sip._udp.example.com",
            "A of server1.example.com",
            "A of server2.example.com",
        ],
        Located(
            (
                Place("192.0.2.1", 5060, "tcp", 0, 1, "server1.example.com"),
                Place("192.0.2.2", 5060, "tcp", 0, 1, "server2.example.com"),
            )
        ),
    )


def test_a_network_with_tls_uses_it_where_the_domain_prefers_it() -> None:
    zone: Zone = {
        ("x.example", "NAPTR"): [
            naptr(2, "SIP+D2U", "u.example"),
            naptr(1, "sips+d2t", "s.example"),
        ],
        ("u.example", "SRV"): [srv("one.example")],
        ("s.example", "SRV"): [srv("one.example", port=5061)],
        ("one.example", "A"): ["192.0.2.1"],
    }
    assert places(Target("x.example"), ALL4, zone) == (
        Place("192.0.2.1", 5061, "tls", 0, 1, "one.example"),
    )


def test_a_secure_target_uses_nothing_but_secure_services() -> None:
    zone: Zone = {
        ("x.example", "NAPTR"): [naptr(1, "SIP+D2T", "t.example")],
        ("t.example", "SRV"): [srv("one.example")],
        ("x.example", "A"): ["192.0.2.9"],
    }
    assert asked_and_found(locate(Target("x.example"), (("tls", 4),)), zone) == (
        ["NAPTR of x.example", "SRV of _sips._tcp.x.example", "A of x.example"],
        Located((Place("192.0.2.9", 5061, "tls"),)),
    )


@pytest.mark.parametrize(
    "record",
    [
        Naptr(1, 1, "s", "E2U+sip", "", "bad.example"),
        Naptr(1, 1, "s", "SIP+D2S", "", "bad.example"),
        Naptr(1, 1, "u", "SIP+D2U", "", "bad.example"),
        Naptr(1, 1, "", "SIP+D2U", "", "bad.example"),
        Naptr(1, 1, "s", "SIP+D2U", "!^.*$!sip:info@example.com!", "bad.example"),
        Naptr(1, 1, "s", "SIP+D2U", "", ""),
    ],
)
def test_naptr_records_that_do_not_apply_are_passed_over(record: Naptr) -> None:
    zone: Zone = {("x.example", "NAPTR"): [record, naptr(9, "SIP+D2U", "good.example")]}
    assert questions(Target("x.example"), UDP4, zone)[1] == "SRV of good.example"


def test_without_naptr_each_transport_is_asked_for_and_udp_comes_first() -> None:
    tcp: Zone = {
        (SRV_OF["tcp"], "SRV"): [srv("two.example")],
        ("two.example", "A"): ["192.0.2.2"],
    }
    asked = ["NAPTR of x.example", *(f"SRV of {name}" for name in SRV_OF.values())]
    assert asked_and_found(locate(Target("x.example"), ALL4), tcp) == (
        [*asked, "A of two.example"],
        Located((Place("192.0.2.2", 5060, "tcp", 0, 1, "two.example"),)),
    )
    both: Zone = {**tcp, (SRV_OF["udp"], "SRV"): [srv("two.example")]}
    assert places(Target("x.example"), ALL4, both) == (
        Place("192.0.2.2", 5060, "udp", 0, 1, "two.example"),
    )


def test_without_any_srv_the_name_itself_has_the_address() -> None:
    zone: Zone = {("x.example", "A"): ["192.0.2.1", "192.0.2.2"]}
    assert places(Target("x.example"), ALL4, zone) == (
        Place("192.0.2.1", 5060, "udp"),
        Place("192.0.2.2", 5060, "udp"),
    )
    assert places(Target("x.example"), (("tcp", 4),), zone)[0].transport == "tcp"


def test_servers_come_by_priority_then_weight_and_addresses_of_one_together() -> None:
    zone: Zone = {
        (SRV_OF["udp"], "SRV"): [
            srv("backup.example", 65535, 0),
            srv("small.example", 10, 20),
            srv("big.example", 10, 60),
            srv("idle.example", 10, 0),
        ],
        ("backup.example", "A"): ["192.0.2.4"],
        ("small.example", "A"): ["192.0.2.2"],
        ("big.example", "A"): ["192.0.2.1", "192.0.2.11"],
        ("idle.example", "A"): ["192.0.2.3"],
    }
    assert places(Target("x.example", None, "udp"), UDP4, zone) == (
        Place("192.0.2.1", 5060, "udp", 10, 60, "big.example"),
        Place("192.0.2.11", 5060, "udp", 10, 60, "big.example"),
        Place("192.0.2.2", 5060, "udp", 10, 20, "small.example"),
        Place("192.0.2.3", 5060, "udp", 10, 0, "idle.example"),
        Place("192.0.2.4", 5060, "udp", 65535, 0, "backup.example"),
    )


def test_both_families_are_candidates_the_one_of_our_first_listener_first() -> None:
    zone: Zone = {
        (SRV_OF["udp"], "SRV"): [srv("one.example", 1), srv("two.example", 2)],
        ("one.example", "A"): ["192.0.2.1"],
        ("one.example", "AAAA"): ["2001:db8::1"],
        ("two.example", "AAAA"): ["2001:db8::2"],
    }
    target = Target("x.example", None, "udp")
    four = Place("192.0.2.1", 5060, "udp", 1, 1, "one.example")
    six = four._replace(host="2001:db8::1")
    last = Place("2001:db8::2", 5060, "udp", 2, 1, "two.example")
    assert places(target, DUAL, zone) == (four, six, last)
    assert places(target, DUAL6, zone) == (six, four, last)
    assert places(target, UDP4, zone) == (four,)


def test_a_family_that_the_network_does_not_have_is_not_asked_for() -> None:
    assert questions(Target("x.example", 5060), (("tcp", 6), ("udp", 4)), {}) == ["A of x.example"]


def test_a_dot_for_a_server_says_that_there_is_none() -> None:
    zone: Zone = {(SRV_OF["udp"], "SRV"): [srv("")], ("x.example", "A"): ["192.0.2.1"]}
    target = Target("x.example")
    assert places(target, UDP4, zone) == ()
    assert trouble(target, UDP4, zone) == "its SRV records say that it offers no SIP"
    more: Zone = {
        **zone,
        (SRV_OF["tcp"], "SRV"): [srv("one.example")],
        ("one.example", "A"): ["192.0.2.1"],
    }
    assert places(target, BOTH4, more) == (Place("192.0.2.1", 5060, "tcp", 0, 1, "one.example"),)


def test_a_name_without_records_says_so() -> None:
    assert trouble(Target("x.example"), DUAL, {}) == "DNS has no A or AAAA record of x.example"


def test_silence_about_what_is_best_is_no_reason_to_take_what_is_second() -> None:
    silent: Zone = {("x.example", "NAPTR"): "no answer", ("x.example", "A"): ["192.0.2.1"]}
    assert asked_and_found(locate(Target("x.example"), ALL4), silent) == (
        ["NAPTR of x.example"],
        Located(),
    )
    half: Zone = {
        ("x.example", "NAPTR"): [naptr(1, "SIPS+D2T", "s.x"), naptr(2, "SIP+D2U", "u.x")],
        ("s.x", "SRV"): "no answer",
        ("u.x", "SRV"): [srv("one.example")],
    }
    assert places(Target("x.example"), ALL4, half) == ()


def test_silence_about_one_server_leaves_the_others() -> None:
    zone: Zone = {
        (SRV_OF["udp"], "SRV"): [srv("one.example"), srv("two.example")],
        ("one.example", "A"): "no answer",
        ("two.example", "A"): ["192.0.2.2"],
    }
    assert places(Target("x.example", None, "udp"), UDP4, zone) == (
        Place("192.0.2.2", 5060, "udp", 0, 1, "two.example"),
    )


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "255.255.255.255", "224.0.0.1", "ff02::1", "fe80::1", "::ffff:1.2.3.4"],
)
def test_addresses_of_no_machine_are_left_out(host: str) -> None:
    kind = "AAAA" if ":" in host else "A"
    zone: Zone = {("x.example", kind): [host]}
    assert places(Target("x.example", 5060), DUAL, zone) == ()


def test_two_records_of_one_server_are_one_place_with_the_better_rank() -> None:
    zone: Zone = {
        (SRV_OF["udp"], "SRV"): [srv("one.example", 1), srv("alias.example", 2)],
        ("one.example", "A"): ["192.0.2.1"],
        ("alias.example", "A"): ["192.0.2.1"],
    }
    assert places(Target("x.example", None, "udp"), UDP4, zone) == (
        Place("192.0.2.1", 5060, "udp", 1, 1, "one.example"),
    )


def test_a_network_without_a_listener_asks_for_no_address() -> None:
    target = Target("x.example", 5061, "tls")
    assert asked_and_found(locate(target, UDP4), {}) == (
        [],
        Located(trouble="the network has no tls listener"),
    )


NAMES = st.sampled_from(["x.example", "", "a.example", "b.example", *SRV_OF.values()])
NUMBERS = st.integers(0, 65535)
RECORDS: st.SearchStrategy[Record] = st.one_of(
    st.builds(
        Naptr,
        NUMBERS,
        NUMBERS,
        st.sampled_from(["s", "S", "a", ""]),
        st.sampled_from(["SIP+D2U", "SIP+D2T", "SIPS+D2T", "x"]),
        st.sampled_from(["", "!a!b!"]),
        st.one_of(NAMES, st.integers(0, 999).map(lambda n: f"n{n}.example")),
    ),
    st.builds(Srv, NUMBERS, NUMBERS, NUMBERS, st.integers(0, 99).map(lambda n: f"h{n}.example")),
    st.ip_addresses().map(str),
)


@given(
    st.sampled_from([None, "udp", "tcp", "tls"]),
    st.sampled_from([ALL4, DUAL, DUAL6, BOTH4, ()]),
    st.lists(st.lists(RECORDS, max_size=80), min_size=1, max_size=5),
)
def test_whatever_is_answered_questions_and_places_have_a_bound(
    transport: TargetTransport | None, reach: Reach, answers: list[list[Record]]
) -> None:
    locating, asked, found = locate(Target("x.example", None, transport), reach), 0, Located()
    try:
        wanted = next(locating)
        while True:
            said = [tuple(answers[(asked + n) % len(answers)]) for n in range(len(wanted))]
            asked += len(wanted)
            wanted = locating.send([Answer(records, 0.0) for records in said])
    except StopIteration as end:
        found = end.value
    assert asked <= 1 + MOST_SERVICES + 2 * MOST_SERVERS
    assert len(found.places) <= 2 * MOST_SERVERS * MOST_ADDRESSES
    assert list(found.places) == sorted(found.places, key=lambda one: (one.priority, -one.weight))
    assert all(0 < one.port < 65536 for one in found.places)
    assert all((one.transport, 6 if ":" in one.host else 4) in reach for one in found.places)
