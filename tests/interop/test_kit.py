"""The test kit is right before anything is said with it."""

import pytest

from tests.kit import sound
from tests.kit.baresip import Account, running_phone
from tests.kit.hosts import Host, Lab, wait_until
from tests.kit.leak import Side, find_leaks
from tests.kit.nat import INSIDE, OUTSIDE, NatKind, make_router
from tests.kit.patience import PATIENCE_S
from tests.kit.sipp import start_sipp
from tests.kit.wire import Capture, Datagram

pytestmark = pytest.mark.interop


def _home_and_two_servers(lab: Lab, kind: NatKind) -> tuple[Host, Host, Host]:
    home, internet = lab.switch("home"), lab.switch("internet")
    router = lab.host("router")
    router.join(home, "192.168.77.1/24", interface=INSIDE)
    router.join(internet, "203.0.113.20/24", interface=OUTSIDE)
    make_router(router, kind)
    phone = lab.host("phone")
    phone.join(home, "192.168.77.10/24")
    phone.route("192.168.77.1")
    servers = []
    for number in (1, 2):
        server = lab.host(f"server{number}")
        server.join(internet, f"203.0.113.{number}/24")
        servers.append(server)
    return phone, servers[0], servers[1]


def _received(host: Host, capture: Capture) -> list[Datagram]:
    return capture.datagrams(lambda datagram: not datagram.sent and datagram.destination == host.ip)


def _first_received(host: Host, capture: Capture) -> Datagram:
    what = f"a packet at {host.name}"
    return wait_until(lambda: _received(host, capture), within_s=PATIENCE_S, what=what)[0]


@pytest.mark.parametrize("kind", list(NatKind), ids=lambda kind: kind.name.lower())
def test_a_router_maps_ports_as_its_kind_says_and_refuses_strangers(
    lab: Lab, kind: NatKind
) -> None:
    phone, one, two = _home_and_two_servers(lab, kind)
    captures = [lab.keep(Capture(host)) for host in (phone, one, two)]
    inside = phone.udp_socket(phone.ip, 7000)
    inside.sendto(b"to one", (one.ip, 5060))
    inside.sendto(b"to two", (two.ip, 5060))

    seen = [_first_received(one, captures[1]), _first_received(two, captures[2])]

    assert {datagram.source for datagram in seen} == {"203.0.113.20"}
    same_port = seen[0].source_port == seen[1].source_port
    assert same_port == (kind is NatKind.PORT_RESTRICTED)
    if kind is NatKind.PORT_RESTRICTED:
        assert seen[0].source_port == 7000
    # A stranger's port is refused, the answer from the port that was asked comes through.
    public = (seen[0].source, seen[0].source_port)
    for port, payload in ((9999, b"stranger"), (5060, b"answer")):
        with one.udp_socket(one.ip, port) as server:
            server.sendto(payload, public)
    _first_received(phone, captures[0])
    assert [datagram.payload for datagram in _received(phone, captures[0])] == [b"answer"]
    inside.close()


def test_a_capture_joins_fragments(lab: Lab) -> None:
    internet = lab.switch("internet")
    one, two = lab.host("one"), lab.host("two")
    one.join(internet, "203.0.113.1/24", "2001:db8::1/64")
    two.join(internet, "203.0.113.2/24", "2001:db8::2/64")
    capture = lab.keep(Capture(two))
    long = bytes(range(256)) * 20
    for source, target in ((one.ip, two.ip), (one.ip6, two.ip6)):
        sender = one.udp_socket(source, 5060)
        sender.sendto(long, (target, 5060))
        sender.close()

    def arrived() -> bool:
        return len(capture.datagrams(lambda datagram: datagram.payload == long)) == 2

    wait_until(arrived, within_s=PATIENCE_S, what="both long datagrams, whole")


def test_a_capture_may_leave_out_what_is_received(lab: Lab) -> None:
    internet = lab.switch("internet")
    one, two = lab.host("one"), lab.host("two")
    one.join(internet, "203.0.113.1/24")
    two.join(internet, "203.0.113.2/24")
    whole, sent = lab.keep(Capture(one)), lab.keep(Capture(one, only_sent=True))
    here, there = one.udp_socket(one.ip, 7000), two.udp_socket(two.ip, 7000)
    here.sendto(b"sent", (two.ip, 7000))
    there.sendto(b"received", (one.ip, 7000))

    wait_until(lambda: len(whole.datagrams()) == 2, within_s=PATIENCE_S, what="both datagrams")
    assert [datagram.payload for datagram in sent.datagrams()] == [b"sent"]
    here.close()
    there.close()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_sipp_talks_to_sipp_and_the_oracle_sees_that_no_border_stands_between(
    lab: Lab, transport: str
) -> None:
    west, east, router = lab.switch("west"), lab.switch("east"), lab.host("router")
    router.join(west, "203.0.113.1/24")
    router.join(east, "10.20.0.1/24")
    router.set_kernel("net/ipv4/ip_forward", 1)
    caller, callee = lab.host("caller"), lab.host("callee")
    caller.join(west, "203.0.113.40/24")
    caller.route("203.0.113.1")
    callee.join(east, "10.20.0.2/24")
    callee.route("10.20.0.1")
    border = lab.keep(Capture(router))
    at_caller, at_callee = lab.keep(Capture(caller)), lab.keep(Capture(callee))

    answering = start_sipp(callee, "callee_answers.xml", tune="callee", transport=transport)
    calling = start_sipp(
        caller,
        "caller_calls.xml",
        tune="caller",
        transport=transport,
        target=f"{callee.ip}:5060",
    )
    assert calling.finish(within_s=PATIENCE_S).successful == 1
    assert answering.finish(within_s=PATIENCE_S).retransmissions == 0

    for host, capture, who in ((caller, at_caller, "callee"), (callee, at_callee, "caller")):
        heard = sound.heard_in_rtp(_received(host, capture))
        assert sound.seconds_of_tune(heard, sound.TUNES[who]) >= 2
    leaks = find_leaks(
        border,
        Side("west", ("203.0.113.0/24",), ("203.0.113.40",)),
        Side("east", ("10.20.0.0/24",), ("10.20.0.2",), ("no-such-name.invalid",)),
        known_to_both=[],
    )
    assert {
        "Call-ID",
        "tag",
        "branch",
        "host in Via",
        "host in a URI",
        "address",
        "product",
        "o= user name",
        "s= session name",
    } <= {leak.what for leak in leaks}
    assert "no-such-name.invalid" not in {leak.secret for leak in leaks}


@pytest.mark.parametrize("srtp", [False, True], ids=["plain", "srtp"])
def test_two_softphones_hear_each_other(lab: Lab, srtp: bool) -> None:
    internet = lab.switch("internet")
    phones = []
    for number, (user, tune) in enumerate((("alice", "caller"), ("bob", "callee")), start=1):
        host = lab.host(user)
        host.join(internet, f"203.0.113.{number}/24")
        host.route("203.0.113.254")
        account = Account(user, host.ip, srtp=srtp)
        phones.append(lab.keep(running_phone(host, account, tune=tune)))
    alice, bob = phones

    alice.dial("sip:bob@203.0.113.2")
    bob.in_call()
    alice.hears_tune("callee", 1.5, within_s=PATIENCE_S)
    bob.hears_tune("caller", 1.5, within_s=PATIENCE_S)
    alice.hang_up()
    bob.call_ended()
