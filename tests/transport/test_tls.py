"""TLS on loopback: handshakes that work, and those that do not, on both sides."""

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from sbc.sip.flow import Flow
from sbc.transport.limits import TransportLimits
from tests.kit.certificates import Authority, Identity, client_context
from tests.kit.patience import PATIENCE_S
from tests.transport.conftest import Start
from tests.transport.edge import OPTIONS, Edge, network
from tests.transport.secure import Secure

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["1.2", "1.3"])


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


@asynccontextmanager
async def carrier(context: ssl.SSLContext) -> AsyncIterator[tuple[tuple[str, int], list[bytes]]]:
    """A carrier that listens by TLS, answers OPTIONS with OPTIONS, and remembers what came."""
    heard: list[bytes] = []

    async def serve(stream: trio.SSLStream[trio.SocketStream]) -> None:
        try:
            async with stream:
                while data := await stream.receive_some():
                    heard.append(data)
                    await stream.send_all(OPTIONS)
        except (trio.BrokenResourceError, ssl.SSLError, OSError):
            return

    listeners = await trio.open_ssl_over_tcp_listeners(
        0, context, host="127.0.0.1", https_compatible=True
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        inner = listeners[0].transport_listener
        assert isinstance(inner, trio.SocketListener)
        yield inner.socket.getsockname(), heard
        nursery.cancel_scope.cancel()


def to_carrier(edge: Edge, remote: tuple[str, int]) -> Flow:
    return Flow("public", "tls", edge.address(), remote, peer="carrier")


@VERSIONS
async def test_a_message_arrives_deciphered_and_the_answer_leaves_enciphered(
    start: Start, secure: Secure, version: ssl.TLSVersion
) -> None:
    net = secure.network()
    edge = await start(net, echo=True, contexts=secure.contexts(net))
    phone = await secure.dial(edge, secure.client(newest=version))
    await phone.send_all(OPTIONS)
    with trio.fail_after(PATIENCE_S):
        assert await phone.receive_some() == OPTIONS
    remote = phone.transport_stream.socket.getsockname()
    assert edge.flow == Flow("public", "tls", edge.address(), remote, connection=1)
    await phone.aclose()
    await edge.until(lambda: edge.closed == [edge.flow])
    assert edge.transports.statistics.handshakes_done == 1
    assert (edge.failures, edge.troubles) == ([], [])


async def test_a_message_that_comes_with_the_end_of_the_handshake_is_heard(
    start: Start, secure: Secure
) -> None:
    net = secure.network()
    edge = await start(net, contexts=secure.contexts(net))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = secure.client().wrap_bio(incoming, outgoing)
    phone = await secure.raw(edge)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    await phone.send_all(outgoing.read())
    with trio.fail_after(PATIENCE_S):
        while True:
            incoming.write(await phone.receive_some())
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                continue
            break
    tls.write(OPTIONS)
    await phone.send_all(outgoing.read())
    await edge.until(lambda: [data for _, data in edge.messages] == [OPTIONS])


async def test_a_handshake_may_come_byte_by_byte(start: Start, secure: Secure) -> None:
    net = secure.network(trusted=True)
    edge = await start(net, contexts=secure.contexts(net))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = secure.client().wrap_bio(incoming, outgoing)
    phone = await secure.raw(edge)
    phone.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    done = False
    while not done:
        try:
            tls.do_handshake()
            done = True
            tls.write(OPTIONS)
        except ssl.SSLWantReadError:
            pass
        for octet in outgoing.read():
            await phone.send_all(bytes([octet]))
        if not done:
            with trio.fail_after(PATIENCE_S):
                incoming.write(await phone.receive_some())
    await edge.until(lambda: len(edge.messages) == 1)


async def test_what_a_client_proves_is_known_of_its_flow(start: Start, secure: Secure) -> None:
    net = secure.network(client_certificates="optional")
    edge = await start(net, contexts=secure.contexts(net))
    known = await secure.dial(edge, secure.client(secure.authority.issue("pbx.example.com")))
    await known.send_all(OPTIONS)
    await edge.until(lambda: len(edge.messages) == 1)
    assert "pbx.example.com" in edge.transports.names(edge.flow)
    assert edge.transports.tls_version(edge.flow) == 1.3
    assert edge.transports.tls_version(edge.flow._replace(connection=99)) == 0.0
    assert edge.transports.tls_version(edge.flow._replace(transport="udp")) == 0.0
    stranger = await secure.dial(edge, secure.client())
    await stranger.send_all(OPTIONS)
    await edge.until(lambda: len(edge.messages) == 2)
    assert edge.transports.names(edge.flow) == ()
    assert edge.transports.names(edge.flow._replace(connection=99)) == ()


@VERSIONS
async def test_a_client_without_the_certificate_that_is_demanded_is_not_heard(
    start: Start, secure: Secure, version: ssl.TLSVersion
) -> None:
    net = secure.network(client_certificates="required")
    edge = await start(net, contexts=secure.contexts(net))

    async def speak() -> None:
        phone = await secure.dial(edge, secure.client(newest=version))
        await phone.send_all(OPTIONS)
        await phone.receive_some()

    with pytest.raises((trio.BrokenResourceError, ssl.SSLError)):
        await speak()
    await edge.until(lambda: len(edge.troubles) == 1)
    assert edge.messages == []
    assert "the peer showed no certificate, which is required here" in edge.troubles[0][1]
    assert edge.transports.statistics.handshakes_failed == 1


@pytest.mark.parametrize(
    ("beginning", "told"),
    [
        (OPTIONS, "plain SIP on a TLS port"),
        (b"GET / HTTP/1.1\r\n\r\n", "plain HTTP on a TLS port"),
        (b"\x00\x01", "what came to a TLS port is no TLS"),
        (b"\x16\x03\x01\xff\xff", "what came is no TLS record"),
    ],
)
async def test_what_is_no_handshake_ends_at_once_and_is_told_in_words(
    start: Start, secure: Secure, beginning: bytes, told: str
) -> None:
    net = secure.network()
    edge = await start(net, contexts=secure.contexts(net))
    phone = await secure.raw(edge)
    await phone.send_all(beginning)
    assert await remains(phone) == b""
    await edge.until(lambda: len(edge.troubles) == 1)
    assert told in edge.troubles[0][1]
    assert edge.messages == []


async def test_tls_on_a_port_for_plain_sip_is_told_in_words(start: Start, secure: Secure) -> None:
    edge = await start(network(transport="tcp"))
    with pytest.raises((trio.BrokenResourceError, ssl.SSLError)):
        await secure.dial(edge, secure.client())
    await edge.until(lambda: len(edge.troubles) == 1)
    assert "TLS on a port for plain SIP" in edge.troubles[0][1]


async def test_a_client_that_trusts_another_authority_says_so_to_the_operator(
    start: Start, secure: Secure
) -> None:
    net = secure.network()
    edge = await start(net, contexts=secure.contexts(net))
    stranger = client_context(Authority("Another Root"))

    def connect() -> None:
        """By OpenSSL's own sockets, which tell the other side of a failure as clients do."""
        with socket.create_connection(edge.address()) as sock, pytest.raises(ssl.SSLError):
            stranger.wrap_socket(sock)

    await trio.to_thread.run_sync(connect)
    await edge.until(lambda: len(edge.troubles) == 1)
    assert "does not know the authority that signed our certificate" in edge.troubles[0][1]


async def test_a_handshake_that_is_not_done_in_time_ends(
    start: Start, secure: Secure, jumping_clock: MockClock
) -> None:
    net = secure.network()
    limits = TransportLimits(handshake_s=3)
    edge = await start(net, contexts=secure.contexts(net), limits=limits)
    phone = await secure.raw(edge)
    began = trio.current_time()
    await phone.send_all(b"\x16\x03\x01\x02\x00\x01")
    assert await remains(phone) == b""
    assert trio.current_time() - began == pytest.approx(3, abs=0.1)
    assert edge.transports.statistics.closed_slow_handshake == 1


async def test_after_the_handshake_there_is_time_for_a_first_message_and_no_more(
    start: Start, secure: Secure, jumping_clock: MockClock
) -> None:
    net = secure.network()
    limits = TransportLimits(first_message_s=4)
    edge = await start(net, contexts=secure.contexts(net), limits=limits)
    phone = await secure.dial(edge, secure.client())
    began = trio.current_time()
    assert await remains(phone) == b""
    assert trio.current_time() - began == pytest.approx(4, abs=0.5)
    assert edge.transports.statistics.closed_slow_message == 1


async def test_bytes_that_were_changed_on_their_way_end_the_connection(
    start: Start, secure: Secure
) -> None:
    net = secure.network()
    edge = await start(net, contexts=secure.contexts(net))
    phone = await secure.dial(edge, secure.client())
    await phone.transport_stream.send_all(b"\x17\x03\x03\x00\x20" + bytes(32))
    await edge.until(lambda: len(edge.troubles) == 1)
    assert "what came was changed on its way" in edge.troubles[0][1]
    assert edge.transports.connections == 0


async def test_a_connection_to_a_peer_is_opened_and_used_again(
    start: Start, secure: Secure
) -> None:
    net, peer = secure.network(), secure.carrier()
    edge = await start(net, contexts=secure.contexts(net, peer))
    theirs = secure.server(secure.authority.issue("carrier.example.com"))
    async with carrier(theirs) as (remote, heard):
        flow = to_carrier(edge, remote)
        edge.transports.send(flow, OPTIONS)
        edge.transports.send(flow, OPTIONS)
        await edge.until(lambda: len(edge.messages) > 0)
        assert b"".join(heard) == OPTIONS * 2
        assert edge.flow == flow._replace(connection=1)
        edge.transports.send(flow, OPTIONS)
        await edge.until(lambda: b"".join(heard) == OPTIONS * 3 and len(edge.messages) >= 2)
        assert edge.transports.statistics.opened == 1


async def test_the_connection_of_one_peer_is_not_used_for_another_at_the_same_address(
    start: Start, secure: Secure
) -> None:
    net, peer = secure.network(), secure.carrier()
    edge = await start(net, contexts=secure.contexts(net, peer))
    theirs = secure.server(secure.authority.issue("carrier.example.com"))
    async with carrier(theirs) as (remote, heard):
        flow = to_carrier(edge, remote)
        edge.transports.send(flow, OPTIONS)
        await edge.until(lambda: len(edge.messages) > 0)
        other = flow._replace(peer="other")
        edge.transports.send(other, OPTIONS)
        await edge.until(lambda: len(edge.failures) > 0)
        assert edge.failures[0][0] == other
        assert "no TLS for it any more" in edge.failures[0][1]
        assert b"".join(heard) == OPTIONS


@pytest.mark.parametrize(
    ("named", "authority", "told"),
    [
        ("other.example.com", None, "the server's certificate is for other.example.com, not for"),
        (
            "carrier.example.com",
            Authority("Another Root"),
            "the server's certificate is not accepted: unable to get local issuer certificate",
        ),
    ],
    ids=["another name", "another authority"],
)
async def test_a_peer_that_is_not_who_it_should_be_hears_nothing_and_the_flow_fails_with_the_reason(
    start: Start, secure: Secure, named: str, authority: Authority | None, told: str
) -> None:
    net, peer = secure.network(), secure.carrier()
    edge = await start(net, contexts=secure.contexts(net, peer))
    identity: Identity = (authority or secure.authority).issue(named)
    async with carrier(secure.server(identity)) as (remote, heard):
        flow = to_carrier(edge, remote)
        edge.transports.send(flow, OPTIONS)
        await edge.until(lambda: bool(edge.failures and edge.troubles))
        assert edge.failures[0][0] == flow
        assert told in edge.failures[0][1]
        assert told in edge.troubles[0][1]
        assert heard == []


async def test_a_server_that_speaks_only_old_versions_is_refused(
    start: Start, secure: Secure
) -> None:
    net, peer = secure.network(), secure.carrier(min_version="1.3")
    edge = await start(net, contexts=secure.contexts(net, peer))
    theirs = secure.server(secure.authority.issue("carrier.example.com"), newest=TLS_1_2)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            """By OpenSSL's own sockets, as above."""
            with listening.accept()[0] as sock, pytest.raises(ssl.SSLError):
                theirs.wrap_socket(sock, server_side=True)

        edge.transports.send(to_carrier(edge, listening.getsockname()), OPTIONS)
        await trio.to_thread.run_sync(accept)
        await edge.until(lambda: len(edge.failures) > 0)
    assert "the peer allows none of our TLS versions" in edge.failures[0][1]


async def test_a_server_that_only_listens_and_never_shakes_hands_fails_the_flow(
    start: Start, secure: Secure, jumping_clock: MockClock
) -> None:
    net, peer = secure.network(), secure.carrier()
    edge = await start(net, contexts=secure.contexts(net, peer))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        flow = to_carrier(edge, silent.getsockname())
        edge.transports.send(flow, OPTIONS)
        await edge.until(lambda: len(edge.failures) > 0)
    assert edge.failures == [(flow, "the TLS handshake failed: not done within 10 s")]
    assert [why for _, why, _ in edge.troubles] == [edge.failures[0][1]]


async def test_a_flow_by_tls_to_nobody_in_particular_fails(start: Start, secure: Secure) -> None:
    net = secure.network()
    edge = await start(net, contexts=secure.contexts(net))
    flow = Flow("public", "tls", edge.address(), ("127.0.0.1", 1))
    edge.transports.send(flow, OPTIONS)
    await edge.until(lambda: len(edge.failures) > 0)
    assert edge.failures == [(flow, "no configured peer's certificate could be demanded")]


async def test_new_certificates_are_shown_to_new_connections_while_old_ones_live_on(
    start: Start, secure: Secure
) -> None:
    net = secure.network()
    contexts = secure.contexts(net)
    edge = await start(net, contexts=contexts, echo=True)
    before = await secure.dial(edge, secure.client())
    contexts.replace([secure.network()], [])
    after = await secure.dial(edge, secure.client())
    old, new = before.getpeercert(True), after.getpeercert(True)
    assert old != new
    for phone in (before, after):
        await phone.send_all(OPTIONS)
        with trio.fail_after(PATIENCE_S):
            assert await phone.receive_some() == OPTIONS
