"""Who is turned away before anything is read, and who is heard before others."""

import socket

import trio

from sbc.sip.flow import Address, Transport
from sbc.transport.doorkeeper import Welcome
from sbc.transport.udp import DATAGRAMS_PER_TURN, STRANGERS_PER_TURN, STRANGERS_WAITING
from tests.kit.patience import PATIENCE_S
from tests.transport.conftest import Start
from tests.transport.edge import OPTIONS, network

KNOWN, STRANGER, BLOCKED = "127.0.0.2", "127.0.0.3", "127.0.0.4"
STUN = b"\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl"


class ByAddress:
    """Knows one address, and blocks one."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Transport]] = []

    def admits_datagram(self, network: str, remote: Address, now: float) -> Welcome:
        welcomes: dict[str, Welcome] = {KNOWN: "known", BLOCKED: "away"}
        return welcomes.get(remote[0], "stranger")

    def admits_connection(
        self, network: str, remote: Address, transport: Transport, now: float
    ) -> bool:
        self.asked.append((remote[0], transport))
        return remote[0] != BLOCKED


def send(host: str, to: Address, data: bytes, count: int = 1) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        for _ in range(count):
            sock.sendto(data, to)


async def test_of_what_waits_in_the_socket_known_sources_are_heard_first(start: Start) -> None:
    edge = await start(network(), doorkeeper=ByAddress())
    count = 3 * STRANGERS_PER_TURN
    send(STRANGER, edge.address(), OPTIONS, count)
    send(KNOWN, edge.address(), OPTIONS, 2)
    await edge.until(lambda: len(edge.messages) == count + 2)
    assert [flow.remote[0] for flow, _ in edge.messages] == [KNOWN] * 2 + [STRANGER] * count
    assert edge.batches == [2] + [STRANGERS_PER_TURN] * 3


async def test_strangers_for_whom_there_is_no_time_are_shed_and_counted(start: Start) -> None:
    edge = await start(network(), doorkeeper=ByAddress())
    wanted = 2 * STRANGERS_WAITING
    send(STRANGER, edge.address(), OPTIONS, wanted)
    statistics = edge.transports.statistics
    await edge.until(lambda: len(edge.messages) + statistics.datagrams_shed == wanted)
    assert statistics.datagrams_shed > 0
    assert max(edge.batches) <= STRANGERS_PER_TURN
    per_turn = DATAGRAMS_PER_TURN - STRANGERS_PER_TURN
    assert statistics.datagrams_shed <= wanted - STRANGERS_WAITING + per_turn


async def test_who_is_turned_away_gets_nothing_read_not_even_a_keepalive(start: Start) -> None:
    edge = await start(network(), doorkeeper=ByAddress())
    for data in (OPTIONS, STUN, b"\r\n\r\n"):
        send(BLOCKED, edge.address(), data, 700)
    send(KNOWN, edge.address(), OPTIONS)
    await edge.until(lambda: bool(edge.messages))
    assert [flow.remote[0] for flow, _ in edge.messages] == [KNOWN]
    statistics = edge.transports.statistics
    assert (statistics.stun_answered, statistics.keepalives_in, statistics.messages_in) == (0, 0, 1)


async def test_a_connection_is_refused_before_a_byte_of_it_is_read(start: Start) -> None:
    doorkeeper = ByAddress()
    edge = await start(network(transport="tcp"), doorkeeper=doorkeeper)
    with trio.fail_after(PATIENCE_S):
        async with await trio.open_tcp_stream(*edge.address(), local_address=BLOCKED) as refused:
            assert await refused.receive_some(1) == b""
        async with await trio.open_tcp_stream(*edge.address(), local_address=KNOWN) as served:
            await served.send_all(OPTIONS)
            await edge.until(lambda: bool(edge.messages))
    assert doorkeeper.asked == [(BLOCKED, "tcp"), (KNOWN, "tcp")]
    statistics = edge.transports.statistics
    assert (statistics.refused_blocked, statistics.accepted) == (1, 1)
