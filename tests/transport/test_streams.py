"""WebSockets on loopback, alone and beside SIP on one port."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock
from wsproto.events import CloseConnection, Event, Ping, TextMessage

from sbc.routing.model import Network
from sbc.routing.websocket import WebSocketRules
from sbc.sip.flow import Flow
from sbc.transport.limits import TransportLimits
from tests.kit.certificates import Authority
from tests.kit.patience import PATIENCE_S
from tests.transport.browser import ORIGIN, Browser, upgrade_request
from tests.transport.conftest import Start
from tests.transport.edge import OPTIONS, Edge, network
from tests.transport.secure import Secure

RULES = WebSocketRules((ORIGIN,))
WS = network(transport="ws", websocket=RULES)
BOTH = network(transport="tcp", beside=("ws",), websocket=RULES)


class Page:
    """A browser with a connection."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.browser = Browser()
        self._heard: list[Event] = []

    async def upgrade(self, **how: str) -> None:
        await self.stream.send_all(upgrade_request(**how))
        while not self.browser.is_open:
            self._heard += self.browser.hears(bytes(await self.stream.receive_some()))

    async def hears(self) -> Event | None:
        """The next thing that the server says; None for the end."""
        while not self._heard:
            try:
                data = await self.stream.receive_some()
            except trio.BrokenResourceError:
                return None
            if not data:
                return None
            self._heard += self.browser.hears(bytes(data))
        return self._heard.pop(0)


@pytest.fixture
async def secure(tmp_path: Path) -> AsyncIterator[Secure]:
    secure = Secure(tmp_path, Authority())
    yield secure
    secure.close()


async def remains(stream: trio.abc.ReceiveStream) -> bytes:
    """All that still comes until the end."""
    received = b""
    with trio.fail_after(PATIENCE_S):
        try:
            while more := await stream.receive_some():
                received += more
        except trio.BrokenResourceError:
            pass
    return received


async def open_page(edge: Edge, secure: Secure) -> Page:
    """A page whose WebSocket has begun, over TLS where the network has it."""
    tls = edge.networks[0].tls is not None
    page = Page(await (secure.dial(edge, secure.client()) if tls else secure.raw(edge)))
    with trio.fail_after(PATIENCE_S):
        await page.upgrade()
    return page


@pytest.mark.parametrize("beside", [(), ("tls",)], ids=["alone", "beside tls"])
async def test_a_browser_is_heard_and_answered_over_wss(
    start: Start, secure: Secure, beside: tuple[str, ...]
) -> None:
    net = secure.network(*beside, transport="wss", origins=(ORIGIN,))
    edge = await start(net, contexts=secure.contexts(net), echo=True)
    page = await open_page(edge, secure)
    await page.stream.send_all(page.browser.text(OPTIONS))
    with trio.fail_after(PATIENCE_S):
        assert await page.hears() == TextMessage(OPTIONS.decode())
    assert edge.flow.transport == "wss"
    assert edge.transports.statistics.upgrades == 1
    await page.stream.send_all(page.browser.close())
    await edge.until(lambda: edge.closed == [edge.flow])


async def test_sip_and_websockets_share_a_port_and_are_told_apart_by_their_first_bytes(
    start: Start, secure: Secure
) -> None:
    edge = await start(BOTH, echo=True)
    phone = await secure.raw(edge)
    await phone.send_all(OPTIONS)
    await edge.until(lambda: len(edge.messages) == 1)
    page = await open_page(edge, secure)
    await page.stream.send_all(page.browser.text(OPTIONS))
    await edge.until(lambda: len(edge.messages) == 2)
    assert [flow.transport for flow, _ in edge.messages] == ["tcp", "ws"]


@pytest.mark.parametrize("first", [b"G", b"GE", b"GET", b"O", b"\r"])
async def test_the_first_bytes_may_come_one_by_one(
    start: Start, secure: Secure, first: bytes
) -> None:
    edge = await start(BOTH)
    whole = upgrade_request() if first.startswith(b"G") else b"\r\n\r\n" + OPTIONS
    whole = OPTIONS if first == b"O" else whole
    phone = await secure.raw(edge)
    await phone.send_all(whole[: len(first)])
    await trio.testing.wait_all_tasks_blocked(0.01)
    await phone.send_all(whole[len(first) :])
    with trio.fail_after(PATIENCE_S):
        if first.startswith(b"G"):
            assert bytes(await phone.receive_some()).startswith(b"HTTP/1.1 101 ")
        else:
            await edge.until(lambda: [data for _, data in edge.messages] == [OPTIONS])


async def test_a_message_to_a_browser_finds_it_by_its_number_or_by_its_address(
    start: Start, secure: Secure
) -> None:
    edge = await start(BOTH)
    page = await open_page(edge, secure)
    await page.stream.send_all(page.browser.text(OPTIONS))
    await edge.until(lambda: len(edge.messages) == 1)
    for flow in (edge.flow, edge.flow._replace(connection=0)):
        edge.transports.send(flow, OPTIONS)
        with trio.fail_after(PATIENCE_S):
            assert await page.hears() == TextMessage(OPTIONS.decode())


async def test_a_browser_that_has_gone_is_never_connected_to(start: Start) -> None:
    edge = await start(WS)
    flow = Flow("public", "ws", edge.address(), ("127.0.0.1", 9))
    edge.transports.send(flow, OPTIONS)
    edge.transports.send(flow._replace(connection=7), OPTIONS)
    await edge.until(lambda: len(edge.failures) == 2)
    assert dict(edge.failures) == {
        flow: "its WebSocket is closed, and only the browser can open another",
        flow._replace(connection=7): "the connection is closed",
    }
    assert edge.transports.connections == 0


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (upgrade_request(origin="https://evil.example"), 403),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 426),
        (upgrade_request(protocol="xmpp"), 400),
    ],
)
@pytest.mark.parametrize("net", [WS, BOTH], ids=["alone", "beside tcp"])
async def test_an_upgrade_that_is_refused_is_answered_closed_and_told(
    start: Start, secure: Secure, request_: bytes, status: int, net: Network
) -> None:
    edge = await start(net)
    stream = await secure.raw(edge)
    await stream.send_all(request_)
    assert (await remains(stream)).startswith(f"HTTP/1.1 {status} ".encode())
    await edge.until(lambda: len(edge.troubles) == 1)
    assert f"no WebSocket ({status})" in edge.troubles[0][1]
    assert edge.troubles[0][0].transport == "ws"


async def test_an_upgrade_that_drips_in_has_as_much_time_as_a_first_message(
    start: Start, secure: Secure, jumping_clock: MockClock
) -> None:
    edge = await start(WS, limits=TransportLimits(first_message_s=5))
    stream = await secure.raw(edge)
    began = trio.current_time()
    request = upgrade_request()
    with trio.fail_after(60):
        for at in range(5):
            await stream.send_all(request[at : at + 1])
            await trio.sleep(0.9)
        assert await remains(stream) == b""
    assert trio.current_time() - began == pytest.approx(5, abs=0.1)
    assert edge.transports.statistics.closed_slow_message == 1


async def test_a_browser_is_pinged_so_that_proxies_keep_its_connection(
    start: Start, secure: Secure, jumping_clock: MockClock
) -> None:
    edge = await start(WS, limits=TransportLimits(websocket_ping_s=20, unproven_s=1000))
    page = await open_page(edge, secure)
    await page.stream.send_all(page.browser.text(OPTIONS))
    began = trio.current_time()
    for pings in range(1, 4):
        with trio.fail_after(100):
            assert await page.hears() == Ping()
        assert trio.current_time() - began == pytest.approx(20 * pings, abs=0.5)
        await page.stream.send_all(page.browser.pong())
    assert edge.transports.statistics.closed_silent == 0


async def test_a_browser_that_answers_no_ping_is_gone(
    start: Start, secure: Secure, jumping_clock: MockClock
) -> None:
    edge = await start(WS, limits=TransportLimits(websocket_ping_s=20, unproven_s=1000))
    page = await open_page(edge, secure)
    await page.stream.send_all(page.browser.text(OPTIONS))
    began = trio.current_time()
    with trio.fail_after(100):
        assert await page.hears() == Ping()
        assert await page.hears() == CloseConnection(1001, "")
    assert trio.current_time() - began == pytest.approx(40, abs=0.5)
    assert edge.transports.statistics.closed_silent == 1


async def test_a_message_that_drips_in_ends_the_websocket_even_with_pings_between(
    start: Start, secure: Secure, jumping_clock: MockClock
) -> None:
    edge = await start(WS, limits=TransportLimits(message_s=5, unproven_s=1000))
    page = await open_page(edge, secure)
    await page.stream.send_all(page.browser.text(OPTIONS))
    began = trio.current_time()
    with trio.fail_after(60):
        for octet in range(4):
            piece = page.browser.text(OPTIONS[octet : octet + 1], final=False)
            await page.stream.send_all(piece + page.browser.ping())
            await trio.sleep(1.2)
        await remains(page.stream)
    assert trio.current_time() - began == pytest.approx(5, abs=0.5)
    assert edge.transports.statistics.closed_slow_message == 1


@pytest.mark.parametrize("kind", ["ping", "pong"])
async def test_a_flood_of_pings_or_pongs_ends_the_websocket(
    start: Start, secure: Secure, kind: str
) -> None:
    edge = await start(WS)
    page = await open_page(edge, secure)
    frame = page.browser.ping() if kind == "ping" else page.browser.pong()
    await page.stream.send_all(frame * 100)
    await remains(page.stream)
    assert edge.transports.statistics.closed_pings == 1


async def test_a_message_that_is_too_large_is_refused_before_it_is_whole(
    start: Start, secure: Secure
) -> None:
    edge = await start(WS)
    page = await open_page(edge, secure)
    head = b"\x82\xff" + (2**40).to_bytes(8, "big") + bytes(4)
    await page.stream.send_all(head + b"x" * 70_000)
    with trio.fail_after(PATIENCE_S):
        closing = await page.hears()
    assert isinstance(closing, CloseConnection)
    assert closing.code == 1009
    assert edge.transports.statistics.closed_message_size == 1


async def test_a_wss_message_in_a_tls_record_each_byte_is_heard(
    start: Start, secure: Secure
) -> None:
    net = secure.network(transport="wss", origins=(ORIGIN,), trusted=True)
    edge = await start(net, contexts=secure.contexts(net))
    page = await open_page(edge, secure)
    for octet in page.browser.text(OPTIONS):
        await page.stream.send_all(bytes([octet]))
    await edge.until(lambda: [data for _, data in edge.messages] == [OPTIONS])


async def test_other_pages_are_let_in_after_a_reload_and_connections_live_on(
    start: Start, secure: Secure
) -> None:
    edge = await start(WS, echo=True)
    before = await open_page(edge, secure)
    new = WebSocketRules(("https://new.example.com",))
    edge.transports.configure([replace(WS, websocket=new)])
    after = Page(await secure.raw(edge))
    with trio.fail_after(PATIENCE_S):
        await after.upgrade(origin="https://new.example.com")
    for page in (before, after):
        await page.stream.send_all(page.browser.text(OPTIONS))
        with trio.fail_after(PATIENCE_S):
            assert await page.hears() == TextMessage(OPTIONS.decode())
    refused = await secure.raw(edge)
    await refused.send_all(upgrade_request())
    assert (await remains(refused)).startswith(b"HTTP/1.1 403 ")
