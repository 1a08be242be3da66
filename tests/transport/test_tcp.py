"""Real streams on loopback."""

import errno
import socket
import struct

import pytest
import trio
from trio.testing import MockClock

from sbc.sip.flow import Flow
from sbc.sip.parser import Limits
from sbc.transport import tcp
from sbc.transport.limits import TransportLimits
from tests.kit.patience import PATIENCE_S
from tests.transport.conftest import Start
from tests.transport.edge import OPTIONS, Edge, network

TCP = network(transport="tcp")


async def dial(edge: Edge) -> trio.SocketStream:
    return await trio.open_tcp_stream(*edge.address())


async def closed_by_us(stream: trio.SocketStream) -> bool:
    """Wait for the end of what we send; True if it was an end and not another message."""
    try:
        return await stream.receive_some() == b""
    except trio.BrokenResourceError:
        return True


def outbound(edge: Edge, remote: tuple[str, int]) -> Flow:
    return Flow("public", "tcp", edge.address(host=remote[0]), remote)


async def test_a_message_arrives_with_a_numbered_flow_and_the_answer_leaves_by_it(
    start: Start,
) -> None:
    edge = await start(TCP, echo=True)
    async with await dial(edge) as phone:
        await phone.send_all(OPTIONS)
        with trio.fail_after(PATIENCE_S):
            assert await phone.receive_some() == OPTIONS
        assert edge.flow == Flow(
            "public", "tcp", edge.address(), phone.socket.getsockname(), connection=1
        )
        assert edge.transports.connections == 1
    await edge.until(lambda: len(edge.closed) == 1)
    assert edge.closed == [edge.flow]
    assert edge.transports.connections == 0
    assert edge.failures == []


async def test_messages_may_come_byte_by_byte_and_many_at_once(start: Start) -> None:
    edge = await start(TCP)
    async with await dial(edge) as phone:
        for octet in OPTIONS:
            await phone.send_all(bytes([octet]))
        await phone.send_all(OPTIONS * 3)
        await edge.until(lambda: len(edge.messages) == 4)
    assert {data for _, data in edge.messages} == {OPTIONS}
    assert len({flow for flow, _ in edge.messages}) == 1


async def test_a_ping_is_answered_with_a_pong(start: Start) -> None:
    edge = await start(TCP)
    async with await dial(edge) as phone:
        await phone.send_all(b"\r\n\r\n")
        with trio.fail_after(PATIENCE_S):
            assert await phone.receive_some() == b"\r\n"
    assert edge.messages == []
    assert edge.transports.statistics.keepalives_in == 1
    assert edge.transports.statistics.messages_out == 0


async def test_the_pong_to_our_ping_is_not_half_a_ping(start: Start) -> None:
    edge = await start(TCP)
    async with await dial(edge) as phone:
        await phone.send_all(OPTIONS)
        await edge.until(lambda: len(edge.messages) == 1)
        edge.transports.send(edge.flow, b"\r\n\r\n")
        with trio.fail_after(PATIENCE_S):
            assert await phone.receive_some() == b"\r\n\r\n"
        await phone.send_all(b"\r\n\r\n\r\n" + OPTIONS)
        await edge.until(lambda: len(edge.messages) == 2)
        with trio.fail_after(PATIENCE_S):
            assert await phone.receive_some() == b"\r\n"
    assert edge.transports.statistics.keepalives_in == 2


async def test_a_first_request_opens_one_connection_and_the_next_reuses_it(start: Start) -> None:
    edge = await start(TCP)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listeners[0] as pbx:
        flow = outbound(edge, pbx.socket.getsockname())
        edge.transports.send(flow, OPTIONS)
        edge.transports.send(flow, OPTIONS)
        with trio.fail_after(PATIENCE_S):
            async with await pbx.accept() as stream:
                received = b""
                while len(received) < 2 * len(OPTIONS):
                    received += await stream.receive_some()
                edge.transports.send(flow, OPTIONS)
                assert await stream.receive_some() == OPTIONS
                await stream.send_all(OPTIONS)
                await edge.until(lambda: len(edge.messages) == 1)
                assert edge.flow == flow._replace(connection=1)
                assert stream.socket.getpeername()[0] == edge.address()[0]
    assert edge.transports.statistics.opened == 1


async def test_who_sent_without_number_hears_that_the_connection_is_gone(start: Start) -> None:
    edge = await start(TCP)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listeners[0] as pbx:
        flow = outbound(edge, pbx.socket.getsockname())
        edge.transports.send(flow, OPTIONS)
        with trio.fail_after(PATIENCE_S):
            await (await pbx.accept()).aclose()
        await edge.until(lambda: len(edge.failures) == 1)
    assert edge.closed == [flow._replace(connection=1)]
    assert edge.failures[0][0] == flow


async def test_a_connection_that_nobody_accepts_is_a_failure(start: Start) -> None:
    edge = await start(TCP)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        flow = outbound(edge, nobody.getsockname())
        edge.transports.send(flow, OPTIONS)
        await edge.until(lambda: len(edge.failures) == 1)
    assert edge.failures == [(flow, "cannot be opened: Connection refused")]
    assert edge.transports.statistics.connect_failures == 1
    assert edge.transports.connections == 0


async def test_a_connection_that_is_not_answered_is_given_up(
    start: Start, jumping_clock: MockClock
) -> None:
    edge = await start(TCP, limits=TransportLimits(connect_s=3))
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()):
            flow = outbound(edge, full.getsockname())
            began = trio.current_time()
            edge.transports.send(flow, OPTIONS)
            await edge.until(lambda: len(edge.failures) == 1)
    assert edge.failures == [(flow, "cannot be opened: Connection timed out")]
    assert trio.current_time() - began == pytest.approx(3, abs=0.1)


async def test_a_flow_whose_connection_is_gone_fails_and_opens_no_other(start: Start) -> None:
    edge = await start(TCP, echo=True)
    async with await dial(edge) as phone:
        await phone.send_all(OPTIONS)
        await edge.until(lambda: len(edge.messages) == 1)
    await edge.until(lambda: len(edge.closed) == 1)
    edge.transports.send(edge.flow, OPTIONS)
    await edge.until(lambda: len(edge.failures) == 1)
    assert edge.failures == [(edge.flow, "the connection is closed")]


@pytest.mark.parametrize("host", ["pbx.example", "2001:db8::1"])
async def test_a_host_that_is_no_address_of_the_family_is_refused_without_a_lookup(
    start: Start, host: str
) -> None:
    edge = await start(TCP)
    flow = Flow("public", "tcp", edge.address(), (host, 5060))
    edge.transports.send(flow, OPTIONS)
    await edge.until(lambda: len(edge.failures) == 1)
    assert "not an address of this socket's family" in edge.failures[0][1]


async def test_an_ipv6_connection_is_accepted_and_opened(start: Start) -> None:
    edge = await start(network(transport="tcp", host="::1"), echo=True)
    async with await trio.open_tcp_stream(*edge.address(host="::1")) as phone:
        await phone.send_all(OPTIONS)
        with trio.fail_after(PATIENCE_S):
            assert await phone.receive_some() == OPTIONS
    assert edge.flow.remote[0] == "::1"
    listeners = await trio.open_tcp_listeners(0, host="::1")
    async with listeners[0] as pbx:
        remote = pbx.socket.getsockname()[:2]
        edge.transports.send(outbound(edge, remote), OPTIONS)
        with trio.fail_after(PATIENCE_S):
            stream = await pbx.accept()
            assert await stream.receive_some() == OPTIONS
            await stream.aclose()


async def test_a_caller_that_never_finishes_its_first_message_is_closed(
    start: Start, jumping_clock: MockClock
) -> None:
    edge = await start(TCP, limits=TransportLimits(first_message_s=7))
    async with await dial(edge) as phone:
        began = trio.current_time()
        await phone.send_all(OPTIONS[:20])
        with trio.fail_after(60):
            while trio.current_time() < began + 6:  # the slow loris: a byte now and then
                await phone.send_all(b"x")
                await trio.sleep(1)
            assert await closed_by_us(phone)
    assert trio.current_time() - began == pytest.approx(7, abs=0.1)
    assert edge.transports.statistics.closed_slow_message == 1


async def test_pings_alone_do_not_count_as_a_first_message(
    start: Start, jumping_clock: MockClock
) -> None:
    edge = await start(TCP, limits=TransportLimits(first_message_s=7))
    async with await dial(edge) as phone:
        for _ in range(6):
            await phone.send_all(b"\r\n\r\n")
            assert await phone.receive_some() == b"\r\n"
            await trio.sleep(1)
        with trio.fail_after(60):
            assert await closed_by_us(phone)
    assert edge.transports.statistics.closed_slow_message == 1


async def test_a_later_message_that_drips_is_cut_off_too_and_whole_ones_are_not(
    start: Start, jumping_clock: MockClock
) -> None:
    limits = TransportLimits(first_message_s=7, message_s=5, idle_s=1000)
    edge = await start(TCP, limits=limits)
    async with await dial(edge) as phone:
        for _ in range(4):
            await phone.send_all(OPTIONS)
            await trio.sleep(6)
        await phone.send_all(OPTIONS + OPTIONS[:100])
        began = trio.current_time()
        with trio.fail_after(60):
            assert await closed_by_us(phone)
    assert trio.current_time() - began == pytest.approx(5, abs=0.1)
    assert len(edge.messages) == 5
    assert edge.transports.statistics.closed_slow_message == 1


async def test_an_idle_connection_is_closed_and_traffic_either_way_is_not_idle(
    start: Start, jumping_clock: MockClock
) -> None:
    edge = await start(TCP, limits=TransportLimits(idle_s=30))
    async with await dial(edge) as phone:
        await phone.send_all(OPTIONS)
        await edge.until(lambda: len(edge.messages) == 1)
        for _ in range(3):
            await trio.sleep(20)
            edge.transports.send(edge.flow, OPTIONS)
            assert await phone.receive_some() == OPTIONS
        began = trio.current_time()
        with trio.fail_after(60):
            assert await closed_by_us(phone)
    assert trio.current_time() - began == pytest.approx(30, abs=0.1)
    assert edge.transports.statistics.closed_idle == 1


async def test_a_peer_that_takes_nothing_is_gone_after_its_time(
    start: Start, jumping_clock: MockClock
) -> None:
    limits = TransportLimits(write_stall_s=4, write_buffer_bytes=100_000_000)
    edge = await start(TCP, limits=limits)
    async with await dial(edge) as phone:
        await phone.send_all(OPTIONS)
        await edge.until(lambda: len(edge.messages) == 1)
        began = trio.current_time()
        edge.transports.send(edge.flow, bytes(50_000_000))
        await edge.until(lambda: len(edge.closed) == 1)
    assert trio.current_time() - began == pytest.approx(4, abs=0.1)
    assert edge.transports.statistics.closed_write_stall == 1


async def test_what_the_system_does_not_take_at_once_still_arrives_in_order(start: Start) -> None:
    edge = await start(TCP, limits=TransportLimits(write_buffer_bytes=20_000_000))
    pieces = [bytes([n]) * 200_000 for n in range(60)]
    received = bytearray()
    async with await dial(edge) as phone:
        await phone.send_all(OPTIONS)
        await edge.until(lambda: len(edge.messages) == 1)
        for piece in pieces:
            edge.transports.send(edge.flow, piece)
        with trio.fail_after(PATIENCE_S):
            while len(received) < 12_000_000:
                received += await phone.receive_some()
    assert received == b"".join(pieces)


async def test_more_than_may_wait_closes_the_connection(start: Start) -> None:
    edge = await start(TCP, limits=TransportLimits(write_buffer_bytes=1000))
    async with await dial(edge) as phone:
        await phone.send_all(OPTIONS)
        await edge.until(lambda: len(edge.messages) == 1)
        edge.transports.send(edge.flow, bytes(1001))
        await edge.until(lambda: len(edge.closed) == 1)
    assert edge.transports.statistics.closed_write_overflow == 1


async def test_one_source_has_its_share_of_connections(start: Start) -> None:
    edge = await start(TCP, limits=TransportLimits(connections_per_source=1), echo=True)
    async with await dial(edge) as first:
        await first.send_all(OPTIONS)
        with trio.fail_after(PATIENCE_S):
            assert await first.receive_some() == OPTIONS
            async with await dial(edge) as second:
                assert await closed_by_us(second)
            await first.send_all(OPTIONS)
            assert await first.receive_some() == OPTIONS
    assert edge.transports.statistics.refused_source_cap == 1
    assert edge.transports.statistics.accepted == 1


async def test_a_stream_that_is_not_sip_is_closed(start: Start) -> None:
    edge = await start(TCP)
    async with await dial(edge) as phone:
        await phone.send_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        with trio.fail_after(PATIENCE_S):
            assert await closed_by_us(phone)
    await edge.until(lambda: len(edge.closed) == 1)
    assert edge.transports.statistics.closed_malformed == 1
    assert edge.transports.statistics.closed_oversize == 0


async def test_a_request_without_content_length_is_told_why_before_the_end(start: Start) -> None:
    edge = await start(TCP)
    request = OPTIONS.replace(b"Content-Length: 0\r\n", b"")
    async with await dial(edge) as phone:
        await phone.send_all(OPTIONS + request + bytes(20_000))
        received = b""
        with trio.fail_after(PATIENCE_S):
            while more := await phone.receive_some():
                received += more
    assert received.startswith(b"SIP/2.0 400 Bad Request\r\n")
    assert b' "one Content-Length is needed on a stream"\r\n' in received
    assert len(edge.messages) == 1, "what came before the fault still counts"


async def test_a_message_longer_than_the_limit_is_refused_before_it_is_read(start: Start) -> None:
    edge = await start(TCP, message_limits=Limits(message_bytes=2000))
    async with await dial(edge) as phone:
        await phone.send_all(OPTIONS.replace(b"Length: 0", b"Length: 2000"))
        received = b""
        with trio.fail_after(PATIENCE_S):
            while more := await phone.receive_some():
                received += more
    assert received.startswith(b"SIP/2.0 513 ")
    assert edge.transports.statistics.closed_oversize == 1
    assert edge.transports.statistics.closed_malformed == 1


async def test_a_reset_connection_is_told_as_closed(start: Start) -> None:
    edge = await start(TCP)
    phone = await dial(edge)
    await phone.send_all(OPTIONS)
    await edge.until(lambda: len(edge.messages) == 1)
    phone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await phone.aclose()
    await edge.until(lambda: len(edge.closed) == 1)
    assert edge.transports.statistics.closed_by_peer == 1


async def test_a_process_out_of_files_pauses_accepting_and_recovers(
    start: Start, jumping_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = await start(TCP)
    listener = edge.transports._tcp[edge.address()]

    class Exhausted:
        """A listening socket whose first accept finds no free file."""

        def __init__(self, real: socket.socket) -> None:
            self.real = real
            self.refusals = 1

        def accept(self) -> tuple[socket.socket, tuple[str, int]]:
            if self.refusals:
                self.refusals -= 1
                raise OSError(errno.EMFILE, "Too many open files")
            return self.real.accept()

        def fileno(self) -> int:
            return self.real.fileno()

        def close(self) -> None:
            self.real.close()

    monkeypatch.setattr(listener, "_socket", Exhausted(listener._socket))
    async with await dial(edge) as phone:
        await phone.send_all(OPTIONS)
        await edge.until(lambda: len(edge.messages) == 1)
    assert edge.transports.statistics.accept_errors == 1


async def test_a_busy_connection_brings_a_bounded_amount_per_turn(start: Start) -> None:
    edge = await start(TCP)
    count = 200
    async with await dial(edge) as phone:
        await phone.send_all(OPTIONS * count)
        await edge.until(lambda: len(edge.messages) == count)
    assert max(edge.batches) <= tcp.MESSAGES_PER_TURN
