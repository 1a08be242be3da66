"""Thousands of connections that want nothing but our memory, and one good phone beside them."""

import errno
import os
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trio

from sbc.transport.limits import TransportLimits
from tests.kit.certificates import Authority
from tests.kit.patience import PATIENCE_S, until
from tests.transport.browser import ORIGIN, Browser, upgrade_request
from tests.transport.conftest import Start
from tests.transport.edge import OPTIONS, Edge
from tests.transport.secure import Secure

IDLE = 10_000
PER_SOURCE = 40
BYTES_EACH = 30_000
"""What one connection that we hold may cost, TLS included."""


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    """Room for both ends of all connections, if the system has it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = IDLE + 5000
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"needs {wanted} descriptors, and the system gives {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
async def secure(tmp_path: Path) -> AsyncIterator[Secure]:
    secure = Secure(tmp_path, Authority())
    yield secure
    secure.close()


class Crowd:
    """Sockets from many addresses of loopback."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []

    def connect(self, edge: Edge) -> socket.socket:
        number = len(self.sockets) // PER_SOURCE
        sock = socket.socket()
        sock.setblocking(False)
        sock.bind((f"127.{1 + number // 250}.7.{1 + number % 250}", 0))
        error = sock.connect_ex(edge.address())
        assert error in {0, errno.EINPROGRESS}, os.strerror(error)
        self.sockets.append(sock)
        return sock

    def say(self, data: bytes, since: int = 0) -> None:
        for sock in self.sockets[since:]:
            try:
                sock.send(data)
            except OSError:
                continue  # that one was shown the door

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    crowd = Crowd()
    yield crowd
    crowd.close()


def memory() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def echo(phone: trio.abc.Stream) -> None:
    """The good phone is heard and answered."""
    await phone.send_all(OPTIONS)
    with trio.fail_after(PATIENCE_S):
        received = b""
        while len(received) < len(OPTIONS):
            received += await phone.receive_some()
    assert received == OPTIONS


async def good_phone(edge: Edge, secure: Secure) -> trio.SSLStream[trio.SocketStream]:
    """A phone whose connection was accepted."""
    phone = await secure.dial(edge, secure.client())
    await echo(phone)
    edge.transports.prove(edge.flow)
    return phone


async def besiege(edge: Edge, crowd: Crowd, phone: trio.abc.Stream, said: bytes) -> None:
    """Everybody connects and says something; the phone goes on speaking meanwhile."""
    while len(crowd.sockets) < IDLE:
        since = len(crowd.sockets)
        for _ in range(100):
            crowd.connect(edge)
        accepted = edge.transports.statistics.accepted
        await until(lambda at=accepted: edge.transports.statistics.accepted >= at + 100)
        if said:
            crowd.say(said, since)
        if since % 1000 == 0:
            await echo(phone)
    await echo(phone)


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00\x01\x00"], ids=["nothing", "a bit"])
async def test_ten_thousand_that_say_nothing_cost_little_and_keep_nobody_out(
    start: Start, secure: Secure, crowd: Crowd, said: bytes
) -> None:
    net = secure.network()
    # However slow the machine is: nothing but the lack of room ends one here.
    limits = TransportLimits(inbound_connections=4096, first_message_s=1000, handshake_s=1000)
    edge = await start(net, contexts=secure.contexts(net), echo=True, limits=limits)
    phone = await good_phone(edge, secure)
    before = memory()
    await besiege(edge, crowd, phone, said)
    statistics = edge.transports.statistics
    assert edge.transports.connections <= limits.inbound_connections
    assert statistics.displaced_unproven == IDLE + 1 - limits.inbound_connections
    assert memory() - before < limits.inbound_connections * BYTES_EACH
    await echo(await secure.dial(edge, secure.client(), "127.0.0.77"))
    await echo(phone)


async def test_handshakes_left_half_open_are_few_hold_no_thread_and_keep_nobody_out(
    start: Start, secure: Secure, crowd: Crowd
) -> None:
    net = secure.network()
    limits = TransportLimits(handshakes=50)
    edge = await start(net, contexts=secure.contexts(net), echo=True, limits=limits)
    phone = await good_phone(edge, secure)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        secure.client().wrap_bio(incoming, outgoing).do_handshake()
    hello = outgoing.read()
    statistics, handshakes = edge.transports.statistics, edge.transports._around.handshakes
    for _ in range(10):
        since = len(crowd.sockets)
        for _ in range(40):
            crowd.connect(edge)
        await trio.sleep(0.01)
        crowd.say(hello, since)
        assert handshakes.under_way <= limits.handshakes
        await echo(phone)
    await until(lambda: statistics.displaced_handshakes + statistics.refused_handshakes >= 300)
    await until(lambda: not handshakes._strangers.borrowed_tokens)
    assert handshakes.under_way == limits.handshakes
    await echo(await secure.dial(edge, secure.client(), "127.0.0.77"))


async def test_a_flood_of_fragments_is_bounded_and_counted_and_keeps_nobody_out(
    start: Start, secure: Secure
) -> None:
    net = secure.network("wss", origins=(ORIGIN,))
    edge = await start(net, contexts=secure.contexts(net), echo=True)
    phone = await good_phone(edge, secure)
    piece = Browser().frame(0x0, b"", final=False)
    before = memory()
    for number in range(20):
        page = await secure.dial(edge, secure.client(), f"127.0.9.{number + 1}")
        await page.send_all(upgrade_request())
        with trio.fail_after(PATIENCE_S):
            assert bytes(await page.receive_some()).startswith(b"HTTP/1.1 101 ")
        with trio.move_on_after(PATIENCE_S):
            try:
                await page.send_all(Browser().frame(0x1, b"A", final=False) + piece * 5000)
                while await page.receive_some():
                    pass
            except trio.BrokenResourceError:
                pass
        await echo(phone)
    assert edge.transports.statistics.closed_fragments == 20
    assert memory() - before < 20 * 1_000_000


@pytest.mark.parametrize("head", [b"GET / HTTP/1.1\r\n", b"OPTIONS sip:sbc SIP/2.0\r\n"])
async def test_headers_without_end_are_refused_and_counted_and_keep_nobody_out(
    start: Start, secure: Secure, head: bytes
) -> None:
    net = secure.network("wss", origins=(ORIGIN,))
    edge = await start(net, contexts=secure.contexts(net), echo=True)
    phone = await good_phone(edge, secure)
    for number in range(10):
        stream = await secure.dial(edge, secure.client(), f"127.0.9.{number + 1}")
        with trio.move_on_after(PATIENCE_S):
            try:
                await stream.send_all(
                    head + b"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 3000
                )
                while await stream.receive_some():
                    pass
            except trio.BrokenResourceError:
                pass
        await echo(phone)
    statistics = edge.transports.statistics
    http = head.startswith(b"GET")
    assert (statistics.refused_upgrade_size == 10) is http
    assert statistics.closed_malformed == 10
