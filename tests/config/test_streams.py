"""Listeners for browsers, and which of them may share a port."""

import pytest

from sbc.config.streams import may_share, parse_origin
from sbc.routing.model import Listener
from sbc.routing.websocket import WebSocketRules
from sbc.sip.flow import Transport


def listener(transport: Transport, bind: str = "0.0.0.0") -> Listener:
    return Listener(transport, 4, bind, 443, "192.0.2.1")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://Phones.Example.com", "https://phones.example.com"),
        ("https://phones.example.com:443", "https://phones.example.com"),
        ("http://phones.example.com:80", "http://phones.example.com"),
        ("https://phones.example.com:8443", "https://phones.example.com:8443"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("*", "*"),
    ],
)
def test_an_origin_is_read_as_browsers_write_it(written: str, read: str) -> None:
    assert parse_origin(written) == read
    assert WebSocketRules((read,)).allows(read)


def test_no_other_page_is_allowed() -> None:
    rules = WebSocketRules(("https://phones.example.com",))
    for origin in ("http://phones.example.com", "https://phones.example.com.evil.example", "null"):
        assert not rules.allows(origin)


@pytest.mark.parametrize(
    ("first", "second", "may"),
    [
        ("tls", "wss", True),
        ("wss", "tls", True),
        ("tcp", "ws", True),
        ("tcp", "tls", False),
        ("ws", "wss", False),
        ("tcp", "tcp", False),
    ],
)
def test_sip_and_websockets_share_a_port_and_plain_and_tls_do_not(
    first: Transport, second: Transport, may: bool
) -> None:
    assert may_share(listener(first), listener(second)) is may
    assert not may_share(listener(first), listener(second, "192.0.2.2"))
