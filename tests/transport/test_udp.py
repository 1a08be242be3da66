"""Real datagrams on loopback."""

import socket
import struct

import pytest
import trio

from sbc.sip.flow import Flow
from sbc.transport.keepalive import answer_stun_untrusted
from sbc.transport.limits import TransportLimits
from sbc.transport.udp import DATAGRAMS_PER_TURN
from tests.kit.patience import PATIENCE_S
from tests.transport.conftest import Start
from tests.transport.edge import OPTIONS, network, stranger

STUN = b"\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl"


async def test_a_datagram_arrives_with_its_flow_and_the_answer_leaves_by_it(start: Start) -> None:
    edge = await start(network(), echo=True)
    phone = await stranger()
    with phone, trio.fail_after(PATIENCE_S):
        await phone.sendto(OPTIONS, edge.address())
        answer, source = await phone.recvfrom(65535)
        assert (answer, source) == (OPTIONS, edge.address())
        flow = Flow("public", "udp", edge.address(), phone.getsockname())
    assert edge.messages == [(flow, OPTIONS)]
    assert edge.transports.statistics.messages_in == 1
    assert edge.transports.statistics.messages_out == 1


async def test_ipv6_is_heard_and_answered(start: Start) -> None:
    edge = await start(network(host="::1"), echo=True)
    phone = await stranger("::1")
    with phone, trio.fail_after(PATIENCE_S):
        await phone.sendto(OPTIONS, edge.address(host="::1"))
        answer, _ = await phone.recvfrom(65535)
    assert answer == OPTIONS
    assert edge.flow.remote[0] == "::1"
    assert len(edge.flow.remote) == 2


async def test_each_network_has_its_own_socket_and_name(start: Start) -> None:
    edge = await start(network("public"), network("lan", host="127.0.0.2"))
    phone = await stranger()
    with phone:
        await phone.sendto(OPTIONS, edge.address("lan"))
        await phone.sendto(OPTIONS, edge.address("public"))
        await edge.until(lambda: len(edge.messages) == 2)
    assert {flow.network for flow, _ in edge.messages} == {"public", "lan"}


async def test_both_families_may_share_a_port(start: Start) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    edge = await start(
        network("four", host="0.0.0.0", port=port), network("six", host="::", port=port)
    )
    phone = await stranger()
    with phone:
        await phone.sendto(OPTIONS, ("127.0.0.1", port))
        await edge.until(lambda: len(edge.messages) == 1)
        assert edge.flow.network == "four"
        assert edge.flow.remote == phone.getsockname()


async def test_a_flood_comes_in_bounded_batches(start: Start) -> None:
    edge = await start(network())
    count = DATAGRAMS_PER_TURN * 2 + 3
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
        for _ in range(count):
            flood.sendto(OPTIONS, edge.address())
    await edge.until(lambda: len(edge.messages) == count)
    assert max(edge.batches) == DATAGRAMS_PER_TURN


async def test_keepalives_are_answered_or_swallowed_below_sip(start: Start) -> None:
    edge = await start(network())
    phone = await stranger()
    with phone, trio.fail_after(PATIENCE_S):
        for padding in (b"", b"\r\n\r\n", b"\x00\x00\x00\x00"):
            await phone.sendto(padding, edge.address())
        await phone.sendto(STUN, edge.address())
        answer, _ = await phone.recvfrom(2048)
        assert answer == answer_stun_untrusted(STUN, phone.getsockname())
    assert edge.messages == []
    assert edge.transports.statistics.keepalives_in == 3
    assert edge.transports.statistics.stun_answered == 1


async def test_stun_answers_are_rationed(start: Start) -> None:
    edge = await start(network(), limits=TransportLimits(stun_answers_per_second=0))
    phone = await stranger()
    with phone:
        await phone.sendto(STUN, edge.address())
        await phone.sendto(OPTIONS, edge.address())
        await edge.until(lambda: len(edge.messages) == 1)
    assert edge.transports.statistics.stun_answered == 0
    assert edge.transports.statistics.stun_ignored == 1


async def test_garbage_that_is_neither_sip_nor_stun_is_passed_on_to_be_counted(
    start: Start,
) -> None:
    edge = await start(network())
    phone = await stranger()
    with phone:
        await phone.sendto(b"\x01garbage", edge.address())
        await edge.until(lambda: len(edge.messages) == 1)
    assert edge.messages[0][1] == b"\x01garbage"


async def test_a_closed_port_is_reported_when_the_error_quotes_what_we_sent(start: Start) -> None:
    edge = await start(network())
    gone = await stranger()
    address = gone.getsockname()
    gone.close()
    flow = Flow("public", "udp", edge.address(), address)
    edge.transports.send(flow, OPTIONS)
    await edge.until(lambda: len(edge.failures) == 1)
    assert edge.failures == [(flow, "ICMP: Connection refused")]
    assert edge.transports.statistics.icmp_reported == 1


async def test_an_error_that_quotes_no_branch_of_ours_proves_nothing(start: Start) -> None:
    edge = await start(network())
    gone = await stranger()
    address = gone.getsockname()
    gone.close()
    edge.transports.send(Flow("public", "udp", edge.address(), address), b"\r\n\r\n")
    phone = await stranger()
    with phone:
        await phone.sendto(OPTIONS, edge.address())
        await edge.until(lambda: len(edge.messages) == 1)
        with trio.fail_after(PATIENCE_S):
            while not edge.transports.statistics.icmp_unproven:
                await trio.lowlevel.checkpoint()
    assert edge.failures == []


async def test_icmp_failures_are_rationed(start: Start) -> None:
    edge = await start(network(), limits=TransportLimits(icmp_failures_per_second=0))
    gone = await stranger()
    address = gone.getsockname()
    gone.close()
    edge.transports.send(Flow("public", "udp", edge.address(), address), OPTIONS)
    with trio.fail_after(PATIENCE_S):
        while not edge.transports.statistics.icmp_suppressed:
            await trio.lowlevel.checkpoint()
    assert edge.failures == []


async def test_an_error_about_one_datagram_does_not_stop_the_next_to_somebody_else(
    start: Start,
) -> None:
    edge = await start(network())
    gone, phone = await stranger(), await stranger()
    address = gone.getsockname()
    gone.close()
    with phone, trio.fail_after(PATIENCE_S):
        edge.transports.send(Flow("public", "udp", edge.address(), address), OPTIONS)
        edge.transports.send(Flow("public", "udp", edge.address(), phone.getsockname()), OPTIONS)
        assert (await phone.recvfrom(65535))[0] == OPTIONS


@pytest.mark.parametrize("host", ["pbx.example", "2001:db8::1", ""])
async def test_a_host_that_is_no_address_of_the_family_is_refused_without_a_lookup(
    start: Start, host: str
) -> None:
    edge = await start(network())
    flow = Flow("public", "udp", edge.address(), (host, 5060))
    edge.transports.send(flow, OPTIONS)
    assert edge.failures == [], "a failure is never told from inside send"
    await edge.until(lambda: len(edge.failures) == 1)
    assert edge.failures[0][0] == flow


async def test_a_message_larger_than_a_datagram_is_a_failure(start: Start) -> None:
    edge = await start(network())
    flow = Flow("public", "udp", edge.address(), ("127.0.0.1", 9))
    edge.transports.send(flow, bytes(70_000))
    await edge.until(lambda: len(edge.failures) == 1)
    assert edge.failures == [(flow, "Message too long")]


async def test_a_flow_of_a_socket_that_is_gone_fails(start: Start) -> None:
    edge = await start(network())
    flow = Flow("public", "udp", ("192.0.2.1", 5060), ("127.0.0.1", 9))
    edge.transports.send(flow, OPTIONS)
    await edge.until(lambda: len(edge.failures) == 1)
    assert edge.failures == [(flow, "no such socket")]


async def test_what_leaves_is_marked_for_signalling(start: Start) -> None:
    edge = await start(network(dscp=26), echo=True)
    phone = await stranger()
    phone.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    with phone, trio.fail_after(PATIENCE_S):
        await phone.sendto(OPTIONS, edge.address())
        _, ancillary, _, _ = await phone.recvmsg(65535, 64)
    assert ancillary == [(socket.IPPROTO_IP, socket.IP_TOS, struct.pack("B", 26 << 2))]


async def test_a_small_receive_buffer_is_something_the_operator_hears_of(start: Start) -> None:
    edge = await start(network(), limits=TransportLimits(receive_buffer_bytes=2**31 - 1))
    assert "net.core.rmem_max" in edge.transports.warnings[0]
    assert (
        await start(network(), limits=TransportLimits(receive_buffer_bytes=65536))
    ).transports.warnings == []
