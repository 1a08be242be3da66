"""What strangers can take of the streams, and what others still have then."""

import pytest
import trio
from trio.testing import MockClock

from sbc.sip.flow import Flow
from sbc.transport.limits import TransportLimits
from sbc.transport.sources import OWN_UNITS
from tests.kit.patience import PATIENCE_S
from tests.transport.conftest import Start
from tests.transport.edge import OPTIONS, Edge, network

TCP = network(transport="tcp")
TINY = b"A\r\nl:0\r\n\r\n"
FRAMELESS = OPTIONS.replace(b"Content-Length: 0\r\n", b"")
OK = b"SIP/2.0 200 OK\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n"


async def dial(edge: Edge, host: str = "127.0.0.1", name: str = "public") -> trio.SocketStream:
    """A connection from one of the many addresses of loopback."""
    sock = trio.socket.socket()
    await sock.bind((host, 0))
    await sock.connect(edge.address(name))
    return trio.SocketStream(sock)


async def remains(stream: trio.SocketStream) -> bytes:
    """All that still comes until the end."""
    received = b""
    try:
        while more := await stream.receive_some():
            received += more
    except trio.BrokenResourceError:
        pass
    return received


async def flow_of(edge: Edge, stream: trio.SocketStream) -> Flow:
    """The flow of a stream's first message."""
    remote = stream.socket.getsockname()
    await stream.send_all(OPTIONS)
    await edge.until(lambda: any(flow.remote == remote for flow, _ in edge.messages))
    return next(flow for flow, _ in edge.messages if flow.remote == remote)


async def test_a_stream_that_proves_nothing_ends_soon_whatever_it_sends(
    start: Start, jumping_clock: MockClock
) -> None:
    edge = await start(TCP, limits=TransportLimits(first_message_s=5, unproven_s=7))
    async with await dial(edge) as phone:
        began = trio.current_time()
        with trio.fail_after(60):
            for _ in range(11):
                await phone.send_all(TINY)
                await trio.sleep(1)
            assert await remains(phone) == b""
    assert trio.current_time() - began == pytest.approx(12, abs=0.1)
    assert edge.transports.statistics.closed_unproven == 1


@pytest.mark.parametrize("told", [True, False], ids=["told", "seen"])
async def test_a_stream_that_something_was_accepted_on_lives_on(
    start: Start, jumping_clock: MockClock, told: bool
) -> None:
    edge = await start(TCP, limits=TransportLimits(first_message_s=5, unproven_s=7, idle_s=100))
    async with await dial(edge) as phone:
        flow = await flow_of(edge, phone)
        if told:
            edge.transports.prove(flow)
            edge.transports.prove(flow)
        else:
            edge.transports.send(flow, OK)
        began = trio.current_time()
        with trio.fail_after(200):
            await remains(phone)
    assert trio.current_time() - began == pytest.approx(100, abs=0.1)
    assert edge.transports.statistics.closed_idle == 1


async def test_a_trusted_network_accepts_while_strangers_hold_all_the_rest(start: Start) -> None:
    edge = await start(
        TCP,
        network("inside", transport="tcp", trusted=True),
        limits=TransportLimits(inbound_connections=1, stranger_burst=5),
    )
    async with await dial(edge) as stranger, await dial(edge, name="inside") as pbx:
        edge.transports.prove(await flow_of(edge, stranger))
        await pbx.send_all(OPTIONS * 20)
        await edge.until(lambda: len(edge.messages) == 21)
        async with await dial(edge, "127.0.0.2") as other:
            with trio.fail_after(PATIENCE_S):
                assert await remains(other) == b""
    assert edge.transports.statistics.refused_total_cap == 1


async def test_the_oldest_unproven_stream_makes_room_for_a_new_one(start: Start) -> None:
    edge = await start(TCP, limits=TransportLimits(inbound_connections=2))
    async with (
        await dial(edge, "127.0.0.2") as registered,
        await dial(edge, "127.0.0.3") as squatter,
    ):
        edge.transports.prove(await flow_of(edge, registered))
        flow = await flow_of(edge, squatter)
        async with await dial(edge, "127.0.0.4") as phone:
            await flow_of(edge, phone)
            with trio.fail_after(PATIENCE_S):
                assert await remains(squatter) == b""
            await edge.until(lambda: edge.closed == [flow])
            assert edge.transports.connections == 2
    assert edge.transports.statistics.displaced_unproven == 1


async def test_of_one_source_an_unproven_stream_makes_room_for_the_next_and_a_proven_one_does_not(
    start: Start,
) -> None:
    edge = await start(TCP, limits=TransportLimits(unproven_per_source=1))
    async with await dial(edge) as first:
        edge.transports.prove(await flow_of(edge, first))
        async with await dial(edge) as second:
            flow = await flow_of(edge, second)
            async with await dial(edge) as third:
                await flow_of(edge, third)
                with trio.fail_after(PATIENCE_S):
                    assert await remains(second) == b""
                await edge.until(lambda: edge.closed == [flow])
                assert edge.transports.connections == 2
    assert edge.transports.statistics.displaced_unproven == 1


@pytest.mark.parametrize("proven", [True, False])
async def test_a_flood_of_pings_ends_the_stream(start: Start, proven: bool) -> None:
    edge = await start(TCP, limits=TransportLimits(pings_per_second=3))
    async with await dial(edge) as phone:
        flow = await flow_of(edge, phone)
        if proven:
            edge.transports.prove(flow)
        await phone.send_all(b"\r\n" * 1000)
        with trio.fail_after(PATIENCE_S):
            assert len(await remains(phone)) <= 6
    assert edge.transports.statistics.closed_pings == 1


async def test_a_ping_now_and_then_is_answered_for_ever(
    start: Start, jumping_clock: MockClock
) -> None:
    edge = await start(TCP, limits=TransportLimits(pings_per_second=1))
    async with await dial(edge) as phone:
        await flow_of(edge, phone)
        for _ in range(10):
            await phone.send_all(b"\r\n\r\n")
            with trio.fail_after(PATIENCE_S):
                assert await phone.receive_some() == b"\r\n"
            await trio.sleep(1.1)


async def test_a_source_is_read_no_faster_than_its_budget_however_many_streams_it_has(
    start: Start, jumping_clock: MockClock
) -> None:
    limits = TransportLimits(stranger_units_per_second=50, stranger_burst=50)
    edge = await start(TCP, limits=limits)
    began = trio.current_time()
    streams = [await dial(edge) for _ in range(10)]
    for stream in streams:
        await stream.send_all(TINY * 50)
    while len(edge.messages) < 500:
        await edge.until(lambda: bool(edge.messages))
        await trio.sleep(0.5)
        spent = 10 * OWN_UNITS + 50 + 50 * (trio.current_time() - began)
        assert len(edge.messages) <= spent + 8
    for stream in streams:
        await stream.aclose()
    assert trio.current_time() - began >= 8
    assert edge.transports.statistics.reading_paused >= 5
    assert edge.transports.statistics.closed_slow_message == 0


async def test_a_phone_behind_the_same_address_as_a_flood_is_still_heard(
    start: Start, jumping_clock: MockClock
) -> None:
    edge = await start(TCP, limits=TransportLimits(stranger_burst=20))
    async with await dial(edge) as phone, await dial(edge) as flood:
        flow = await flow_of(edge, phone)
        edge.transports.prove(flow)
        await flood.send_all(TINY * 100)
        await edge.until(lambda: edge.transports.statistics.reading_paused == 1)
        now = trio.current_time()
        await phone.send_all(OPTIONS * 30)
        await edge.until(lambda: sum(one == flow for one, _ in edge.messages) == 31)
        assert trio.current_time() == pytest.approx(now, abs=0.1)


async def test_a_stranger_behind_the_same_address_as_a_flood_may_begin_all_the_same(
    start: Start, jumping_clock: MockClock
) -> None:
    edge = await start(TCP, limits=TransportLimits(stranger_burst=20))
    async with await dial(edge) as flood:
        await flood.send_all(TINY * 100)
        await edge.until(lambda: edge.transports.statistics.reading_paused == 1)
        now = trio.current_time()
        async with await dial(edge) as phone:
            await phone.send_all(OPTIONS * 3)
            await edge.until(lambda: [one for _, one in edge.messages].count(OPTIONS) == 3)
        assert trio.current_time() == pytest.approx(now, abs=0.1)


async def test_who_overdraws_again_and_again_is_cut_off(
    start: Start, jumping_clock: MockClock
) -> None:
    limits = TransportLimits(stranger_units_per_second=10, stranger_burst=10, overdrafts=3)
    edge = await start(TCP, limits=limits)
    began = trio.current_time()
    async with await dial(edge) as first, await dial(edge) as second:
        for stream in (first, second):
            await stream.send_all(TINY * 200)
        with trio.fail_after(60):
            assert await remains(first) == b""
            assert await remains(second) == b""
    assert trio.current_time() - began < 10
    assert edge.transports.statistics.closed_rate == 2


async def test_frameless_requests_of_a_source_are_answered_once_in_a_second(
    start: Start, jumping_clock: MockClock
) -> None:
    edge = await start(TCP)
    answers = []
    for pause in (0.0, 0.0, 2.0):
        await trio.sleep(pause)
        async with await dial(edge) as phone:
            await phone.send_all(FRAMELESS)
            with trio.fail_after(PATIENCE_S):
                answers.append(await remains(phone))
    assert [answer[:11] for answer in answers] == [b"SIP/2.0 400", b"", b"SIP/2.0 400"]
    assert b"\r\nWarning: 399 127.0.0.1:" in answers[0]
    assert edge.transports.statistics.malformed_unanswered == 1
    assert edge.transports.statistics.closed_malformed == 3


def test_every_cap_of_strangers_is_below_what_one_source_may_have_when_proven() -> None:
    limits = TransportLimits()
    assert limits.unproven_per_source < limits.connections_per_source
    assert limits.stranger_units_per_second < limits.proven_units_per_second
    assert limits.stranger_burst < limits.proven_burst
