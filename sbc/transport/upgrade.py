"""The HTTP request that begins a WebSocket, and what is answered when it does not.

Sans-IO.

Spec: RFC 6455 §4.2 (server's handshake), §10.2 (Origin); RFC 7118 §4 (subprotocol).
"""

import re
from http import HTTPStatus

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, RejectConnection, Request
from wsproto.utilities import ProtocolError, RemoteProtocolError

from sbc.routing.websocket import WebSocketRules
from sbc.transport.endings import End, StreamFault
from sbc.transport.limits import TransportStatistics

SUBPROTOCOL = "sip"

_WANTS_WEBSOCKET = re.compile(rb"\r\nupgrade:[ \t]*websocket[ \t]*\r\n", re.IGNORECASE)
_SHOWN_ORIGIN = 100
"""How much of what somebody wrote there the log shows."""


class Upgrade:
    """Gathers one HTTP request and decides on it."""

    __slots__ = ("_head", "_limit", "_rules", "_statistics", "answer")

    def __init__(self, rules: WebSocketRules, limit: int, statistics: TransportStatistics) -> None:
        """Nothing has come yet; the request may have `limit` bytes."""
        self._rules = rules
        self._limit = limit
        self._statistics = statistics
        self._head = b""
        self.answer = b""
        """What to send, once it is decided."""

    def receive_untrusted(self, data: bytes) -> WSConnection | None:
        """Take more of the request; the WebSocket that has begun, or None if more must come.

        Raises:
            StreamFault: none will; `answer` may say so in HTTP.
        """
        self._head += data
        head = self._head
        self._check_beginning(head)
        end = head.find(b"\r\n\r\n", 0, self._limit)
        if end < 0:
            if len(head) >= self._limit:
                self._statistics.refused_upgrade_size += 1
                raise self._refused(431, f"its HTTP request has more than {self._limit} bytes")
            return None
        self._head = b""
        if len(head) > end + 4:
            raise self._refused(400, "it sent more before the upgrade was answered")
        if not _WANTS_WEBSOCKET.search(head):
            raise self._refused(426, "its HTTP request asks for no WebSocket")
        return self._accept(head)

    def _check_beginning(self, head: bytes) -> None:
        if b"GET ".startswith(head[:4]):
            return
        if head[:1].isalpha():
            raise self._refused(405, "what came is plain SIP, or HTTP other than GET")
        self._statistics.refused_upgrades += 1
        tls = head.startswith(b"\x16\x03")
        text = "TLS on a port for plain WebSocket; the sender should use `wss`"
        raise StreamFault(End.MALFORMED, text if tls else "what came is no HTTP")

    def _accept(self, head: bytes) -> WSConnection:
        websocket = WSConnection(ConnectionType.SERVER)
        try:
            websocket.receive_data(head)
            request = next(websocket.events(), None)
        except RemoteProtocolError as error:
            hint = error.event_hint
            status = hint.status_code if isinstance(hint, RejectConnection) else 400
            raise self._refused(status, f"its HTTP request is no upgrade: {error}") from None
        except ValueError:  # a host or path that is no text
            raise self._refused(400, "its HTTP request is malformed") from None
        if not isinstance(request, Request):
            raise self._refused(400, "its HTTP request is malformed")
        self._check_origin(request)
        if SUBPROTOCOL not in request.subprotocols:
            raise self._refused(400, f"it does not offer the subprotocol {SUBPROTOCOL!r}")
        try:
            self.answer = websocket.send(AcceptConnection(subprotocol=SUBPROTOCOL))
        except ProtocolError:
            raise self._refused(400, "its HTTP request is malformed") from None
        self._statistics.upgrades += 1
        return websocket

    def _check_origin(self, request: Request) -> None:
        origins = [value for name, value in request.extra_headers if name == b"origin"]
        if len(origins) > 1:
            raise self._refused(400, "it names several origins")
        for value in origins:
            origin = value.decode("latin-1")
            if not self._rules.allows(origin):
                self._statistics.refused_origins += 1
                shown = origin[:_SHOWN_ORIGIN]
                raise self._refused(403, f"its origin {shown!r} is not in `websocket: origins`")

    def _refused(self, status: int, why: str) -> StreamFault:
        self._statistics.refused_upgrades += 1
        self._head = b""
        self.answer = _answer(status)
        return StreamFault(End.MALFORMED, f"no WebSocket ({status}): {why}")


def _answer(status: int) -> bytes:
    """A short answer after which the connection closes; it says nothing of our rules."""
    phrase = HTTPStatus(status).phrase
    lines = [f"HTTP/1.1 {status} {phrase}", "Content-Length: 0", "Connection: close"]
    if status == 426:
        lines += ["Upgrade: websocket", "Sec-WebSocket-Version: 13"]
        lines[2] = "Connection: close, Upgrade"
    if status == 405:
        lines.append("Allow: GET")
    return "\r\n".join([*lines, "", ""]).encode()
