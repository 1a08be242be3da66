"""WebSockets without sockets: bytes of a browser in, messages and answers out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from sbc.routing.websocket import ANY_ORIGIN, WebSocketRules
from sbc.sip.framing import Keepalive
from sbc.transport.endings import End, StreamFault
from sbc.transport.limits import TransportLimits, TransportStatistics
from sbc.transport.websocket import WebSocketFraming
from tests.transport.browser import ORIGIN, Browser, upgrade_request
from tests.transport.edge import OPTIONS

LIMITS = TransportLimits(upgrade_bytes=1000, fragments=4)
RULES = WebSocketRules((ORIGIN,))
NO_LENGTH = OPTIONS.replace(b"Content-Length: 0\r\n", b"")
ACCEPT = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""For the key of RFC 6455 §1.3."""


def framing(rules: WebSocketRules = RULES, message_bytes: int = 2000) -> WebSocketFraming:
    return WebSocketFraming(
        rules, limits=LIMITS, message_bytes=message_bytes, statistics=TransportStatistics()
    )


def opened(message_bytes: int = 2000) -> tuple[WebSocketFraming, Browser]:
    """A WebSocket that has begun."""
    server, browser = framing(message_bytes=message_bytes), Browser()
    assert server.feed(upgrade_request()) == []
    browser.hears(said(server))
    return server, browser


def said(server: WebSocketFraming) -> bytes:
    data = bytes(server.outgoing)
    server.outgoing.clear()
    return data


def fault(server: WebSocketFraming) -> StreamFault:
    assert isinstance(server.failure, StreamFault)
    return server.failure


class TestTheUpgrade:
    def test_of_a_page_on_the_list_that_speaks_sip_is_accepted(self):
        server = framing()
        assert server.feed(upgrade_request()) == []
        answer = said(server)
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert ACCEPT in answer
        assert b"Sec-WebSocket-Protocol: sip\r\n" in answer
        assert b"deflate" not in answer
        assert server.upgraded

    @pytest.mark.parametrize("cut", range(1, 300, 7))
    def test_may_come_in_pieces(self, cut: int):
        server, request = framing(), upgrade_request()
        server.feed(request[:cut])
        assert not server.upgraded
        assert server.pending
        server.feed(request[cut:])
        assert server.upgraded

    @pytest.mark.parametrize(
        ("request_", "status", "told"),
        [
            (upgrade_request(protocol=None), 400, "does not offer the subprotocol 'sip'"),
            (upgrade_request(protocol="xmpp, msrp"), 400, "does not offer the subprotocol 'sip'"),
            (upgrade_request(origin="https://evil.example"), 403, "'https://evil.example' is not"),
            (upgrade_request(extra=["Origin: https://x"]), 400, "several origins"),
            (upgrade_request(leave_out="Upgrade"), 426, "asks for no WebSocket"),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 426, "asks for no WebSocket"),
            (upgrade_request(leave_out="Connection"), 400, "is no upgrade"),
            (upgrade_request(leave_out="Sec-WebSocket-Key"), 400, "is no upgrade"),
            (upgrade_request(leave_out="Host"), 400, "is no upgrade"),
            (upgrade_request().replace(b"Version: 13", b"Version: 8"), 426, "is no upgrade"),
            (upgrade_request().replace(b"HTTP/1.1", b"HTTP/9"), 400, "is no upgrade"),
            (upgrade_request(path="/\xe9"), 400, ""),
            (upgrade_request() + b"x", 400, "sent more before the upgrade was answered"),
            (upgrade_request(extra=["X: " + "y" * 900]), 431, "more than 1000 bytes"),
            (b"GET /" + b"a" * 1000, 431, "more than 1000 bytes"),
            (b"POST / HTTP/1.1\r\n", 405, "plain SIP, or HTTP other than GET"),
            (OPTIONS, 405, "plain SIP, or HTTP other than GET"),
        ],
    )
    def test_that_is_none_is_answered_in_http_and_told_in_words(
        self, request_: bytes, status: int, told: str
    ):
        server = framing()
        assert server.feed(request_) == []
        answer = said(server)
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        assert answer.endswith(b"\r\n\r\n")
        assert b"Connection: close" in answer
        assert told in fault(server).reason
        assert not server.upgraded
        assert server.feed(upgrade_request()) == []
        assert said(server) == b""

    def test_that_is_tls_is_told_and_not_answered(self):
        server = framing()
        server.feed(b"\x16\x03\x01\x02\x00")
        assert said(server) == b""
        assert "TLS on a port for plain WebSocket" in fault(server).reason

    def test_of_what_is_no_browser_needs_no_origin(self):
        server = framing()
        server.feed(upgrade_request(origin=None))
        assert server.upgraded

    def test_of_any_page_is_accepted_where_that_is_written(self):
        server = framing(WebSocketRules((ANY_ORIGIN,)))
        server.feed(upgrade_request(origin="null"))
        assert server.upgraded

    def test_compares_origins_whatever_the_case(self):
        server = framing()
        server.feed(upgrade_request(origin="HTTPS://Phones.example.COM"))
        assert server.upgraded

    @given(st.binary(max_size=1500), st.sampled_from([b"", b"GET ", b"GET / HTTP/1.1\r\n"]))
    def test_of_whatever_bytes_is_accepted_or_refused(self, data: bytes, before: bytes):
        server = framing()
        assert server.feed(before + data) == []
        assert server.upgraded or server.failure is not None or server.pending

    @given(st.integers(0, 330), st.binary(max_size=4))
    def test_with_changed_bytes_is_accepted_or_refused(self, at: int, put: bytes):
        request = upgrade_request()
        server = framing()
        assert server.feed(request[:at] + put + request[at + len(put) :]) == []
        assert server.upgraded or server.failure is not None or server.pending


class TestAMessage:
    def test_needs_no_content_length(self):
        server, browser = opened()
        assert server.feed(browser.text(NO_LENGTH)) == [NO_LENGTH]

    def test_may_be_text_or_binary(self):
        server, browser = opened()
        latin = OPTIONS.replace(b"Call-ID: x", b"Call-ID: x\r\nSubject: \xe9")
        assert server.feed(browser.text(OPTIONS) + browser.binary(latin)) == [OPTIONS, latin]

    def test_of_ours_is_text_where_it_can_be(self):
        server, browser = opened()
        assert browser.hears(server.wrap(OPTIONS)) == [TextMessage(OPTIONS.decode())]
        assert browser.hears(server.wrap(b"SIP/2.0 \xe9")) == [BytesMessage(b"SIP/2.0 \xe9")]

    @given(st.lists(st.integers(1, 400), max_size=6))
    def test_does_not_depend_on_how_its_bytes_are_cut(self, sizes: list[int]):
        server, browser = opened()
        half = len(OPTIONS) // 2
        data = b"".join(
            [
                browser.text(OPTIONS[:half], final=False),
                browser.ping(b"?"),
                browser.text(OPTIONS[half:]),
                browser.text(NO_LENGTH),
                browser.text(b"\r\n\r\n"),
            ]
        )
        items: list[object] = []
        at = 0
        for size in [*sizes, len(data)]:
            items += server.feed(data[at : at + size])
            at += size
        assert items == [Keepalive.PING, OPTIONS, NO_LENGTH, Keepalive.PING]
        assert server.failure is None

    def test_every_byte_alone_makes_the_same_message(self):
        server, browser = opened()
        items = [item for octet in browser.text(OPTIONS) for item in server.feed(bytes([octet]))]
        assert items == [OPTIONS]

    def test_that_is_not_whole_is_pending(self):
        server, browser = opened()
        data = browser.text(OPTIONS)
        for cut in (1, 3, 7, 50):
            server, browser = opened()
            assert server.feed(data[:cut]) == []
            assert server.pending
            assert server.feed(data[cut:]) == [OPTIONS]
            assert not server.pending

    def test_only_so_many_come_in_one_turn(self):
        server, browser = opened()
        assert server.feed(browser.text(OPTIONS) * 5, 2) == [OPTIONS] * 2
        assert server.unfinished
        assert server.feed(b"", 2) == [OPTIONS] * 2
        assert server.feed(b"", 2) == [OPTIONS]
        assert not server.unfinished


class TestKeepalives:
    def test_a_ping_is_answered_with_its_payload(self):
        server, browser = opened()
        assert server.feed(browser.ping(b"abc")) == [Keepalive.PING]
        assert browser.hears(said(server)) == [Pong(bytearray(b"abc"))]

    def test_a_crlf_ping_is_answered_with_a_crlf(self):
        server, browser = opened()
        assert server.feed(browser.text(b"\r\n\r\n")) == [Keepalive.PING]
        assert browser.hears(said(server)) == [TextMessage("\r\n")]
        assert server.feed(browser.text(b"\r\n")) == [Keepalive.PONG]
        assert said(server) == b""

    def test_a_pong_that_nobody_asked_for_counts_like_a_ping(self):
        server, browser = opened()
        assert browser.hears(server.ping()) == [Ping()]
        assert server.feed(browser.pong() * 2) == [Keepalive.PONG, Keepalive.PING]
        assert said(server) == b""


class TestTheEnd:
    def test_of_the_peer_is_confirmed(self):
        server, browser = opened()
        assert server.feed(browser.close(1000)) == []
        assert browser.hears(said(server)) == [CloseConnection(1000, "")]
        assert server.ended
        assert server.failure is None
        assert (server.wrap(OPTIONS), server.ping(), server.part(End.IDLE)) == (b"", b"", b"")

    def test_of_ours_is_said(self):
        server, browser = opened()
        assert browser.hears(server.part(End.IDLE)) == [CloseConnection(1001, "")]
        assert server.part(End.IDLE) == b""

    @pytest.mark.parametrize(
        ("frames", "code"),
        [
            (Browser().frame(0x1, b"x" * 2001), 1009),
            (Browser().frame(0x1, b"x", final=False) * 1 + Browser().frame(0x1, b"y"), 1002),
            (Browser().frame(0x0, b"x"), 1002),
            (Browser().frame(0x3, b"x"), 1002),
            (Browser().frame(0x9, b"x" * 126), 1002),
            (Browser().frame(0x9, b"x", final=False), 1002),
            (Browser().frame(0x1, b"\xff"), 1007),
            (b"\x81\x02hi", 1002),
            (b"\xc1\x80\0\0\0\0", 1002),
            (Browser().frame(0x2, b"\x00\x01"), 1003),
            (
                Browser().frame(0x1, b"A", final=False)
                + Browser().frame(0x0, b"", final=False) * 3,
                1008,
            ),
        ],
        ids=[
            "too large",
            "a message within another",
            "the rest of nothing",
            "an unknown opcode",
            "a long ping",
            "a ping in pieces",
            "text that is none",
            "not masked",
            "a reserved bit",
            "no SIP",
            "too many fragments",
        ],
    )
    def test_of_what_breaks_the_rules_has_its_code(self, frames: bytes, code: int):
        server, browser = opened()
        assert server.feed(frames) == []
        assert fault(server).end is End.MALFORMED
        (closing,) = browser.hears(said(server))
        assert isinstance(closing, CloseConnection)
        assert closing.code == code
        assert server.feed(browser.text(OPTIONS)) == []

    def test_messages_before_what_is_broken_are_given(self):
        server, browser = opened()
        assert server.feed(browser.text(OPTIONS) + b"\x81\x02hi") == [OPTIONS]
        assert server.failure is not None

    @given(st.lists(st.binary(max_size=200), max_size=8))
    def test_whatever_bytes_come_it_is_messages_or_a_close(self, pieces: list[bytes]):
        server, _ = opened()
        for piece in pieces:
            for item in server.feed(piece):
                assert isinstance(item, Keepalive) or len(item) <= 2000
        assert len(server._message) <= 2000

    @given(
        st.lists(st.tuples(st.integers(0, 15), st.binary(max_size=60), st.booleans()), max_size=12)
    )
    def test_whatever_frames_come_it_is_messages_or_a_close(
        self, frames: list[tuple[int, bytes, bool]]
    ):
        server, browser = opened()
        for opcode, payload, final in frames:
            server.feed(browser.frame(opcode, payload, final=final), 8)
        assert server.failure is None or server.outgoing or server.ended
