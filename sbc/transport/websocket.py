"""SIP over WebSocket: the frames of one connection.

Sans-IO.

Spec: RFC 7118 §5 (one message each), RFC 6455 §5 (frames), §7.4 (close codes).
"""

from typing import Any

from wsproto import WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    BytesMessage,
    CloseConnection,
    Event,
    Message,
    Ping,
    Pong,
    TextMessage,
)
from wsproto.frame_protocol import CloseReason

from sbc.routing.websocket import WebSocketRules
from sbc.sip.errors import ParseError
from sbc.sip.framing import Keepalive
from sbc.sip.grammar import is_token
from sbc.transport.endings import End, StreamFault
from sbc.transport.keepalive import PING, PONG
from sbc.transport.limits import TransportLimits, TransportStatistics
from sbc.transport.upgrade import Upgrade

_PARTING = {
    End.DISPLACED: CloseReason.TRY_AGAIN_LATER,
    End.PINGS: CloseReason.POLICY_VIOLATION,
    End.RATE: CloseReason.POLICY_VIOLATION,
    End.UNPROVEN: CloseReason.POLICY_VIOLATION,
    End.SLOW: CloseReason.POLICY_VIOLATION,
}


class WebSocketFraming:
    """The server's side of one WebSocket, from its HTTP request on.

    What it wants said by itself (the answer to the upgrade, pongs, the close frame) gathers in
    `outgoing`.
    """

    __slots__ = (
        "_fragments",
        "_limits",
        "_message",
        "_message_bytes",
        "_partial",
        "_pinged",
        "_statistics",
        "_upgrade",
        "_websocket",
        "ended",
        "failure",
        "outgoing",
        "unfinished",
    )

    def __init__(
        self,
        rules: WebSocketRules,
        *,
        limits: TransportLimits,
        message_bytes: int,
        statistics: TransportStatistics,
    ) -> None:
        """Nothing has come yet; a message may have `message_bytes`."""
        self._limits = limits
        self._message_bytes = message_bytes
        self._statistics = statistics
        self._upgrade = Upgrade(rules, limits.upgrade_bytes, statistics)
        self._websocket: WSConnection | None = None
        self._message = bytearray()
        self._fragments = 0
        self._partial = False
        self._pinged = False
        self.outgoing = bytearray()
        self.ended = False
        """Whether the peer closed it in order."""
        self.failure: ParseError | None = None
        self.unfinished = False

    @property
    def upgraded(self) -> bool:
        """Whether it is a WebSocket already."""
        return self._websocket is not None

    @property
    def pending(self) -> int:
        """Whether part of a request, frame or message has come and not the rest."""
        return len(self._message) + self._partial

    def feed(self, data: bytes, most: int | None = None) -> list[bytes | Keepalive]:
        """As `Framing.feed`; what is wrong is told by `failure` only."""
        items: list[bytes | Keepalive] = []
        if self.failure is not None or self.ended:
            return items
        try:
            websocket = self._websocket
            if websocket is None:
                self._begin(data)
                return items
            websocket.receive_data(data)
            self._partial = bool(data)
            while (most is None or len(items) < most) and self._next(websocket, items):
                self._partial = False
            self.unfinished = most is not None and len(items) >= most
        except StreamFault as fault:
            self.failure = fault
            self._message.clear()
            self.unfinished = False
        return items

    def wrap(self, data: bytes) -> bytes:
        """A message, or a CRLF, as the wire has it; nothing where nothing may be sent any more."""
        websocket = self._websocket
        if websocket is None or websocket.state is not ConnectionState.OPEN:
            return b""
        event: Event
        try:
            event = TextMessage(data.decode())
        except UnicodeDecodeError:
            event = BytesMessage(data)
        return websocket.send(event)

    def ping_sent(self) -> None:
        """A CRLF ping of ours leaves: nothing changes, since a CRLF is a message of its own."""

    def ping(self) -> bytes:
        """A ping frame."""
        websocket = self._websocket
        if websocket is None or websocket.state is not ConnectionState.OPEN:
            return b""
        self._pinged = True
        return websocket.send(Ping())

    def part(self, end: End) -> bytes:
        """The close frame, if there is still one to send."""
        websocket = self._websocket
        if websocket is None or websocket.state is not ConnectionState.OPEN:
            return b""
        return websocket.send(CloseConnection(_PARTING.get(end, CloseReason.GOING_AWAY)))

    def _begin(self, data: bytes) -> None:
        upgrade = self._upgrade
        try:
            self._websocket = upgrade.receive_untrusted(data)
        finally:
            self.outgoing += upgrade.answer
        self._partial = self._websocket is None

    def _next(self, websocket: WSConnection, items: list[bytes | Keepalive]) -> bool:
        """Take one event; False when there is none."""
        event = next(websocket.events(), None)
        if event is None:
            return False
        if isinstance(event, Message):
            self._take(event, items)
        elif isinstance(event, Ping):
            self.outgoing += websocket.send(event.response())
            items.append(Keepalive.PING)
        elif isinstance(event, Pong):
            # Who sends pongs that nobody asked for is counted as if they were pings.
            items.append(Keepalive.PONG if self._pinged else Keepalive.PING)
            self._pinged = False
        elif isinstance(event, CloseConnection):
            if websocket.state is ConnectionState.OPEN:
                # Not the peer's: what it sent cannot be read any further.
                self._statistics.closed_websocket_fault += 1
                raise self._fault(event.code, f"the WebSocket is broken: {event.reason}")
            self.outgoing += websocket.send(event.response())
            self.ended = True
            return False
        return True

    def _take(self, event: Message[Any], items: list[bytes | Keepalive]) -> None:
        """Take a piece of a message, and the message if that makes it whole."""
        data = event.data
        self._message += data.encode() if isinstance(data, str) else data
        if len(self._message) > self._message_bytes:
            self._statistics.closed_message_size += 1
            text = f"a message has more than {self._message_bytes} bytes"
            raise self._fault(CloseReason.MESSAGE_TOO_BIG, text)
        if not event.message_finished:
            self._fragments += event.frame_finished
            if self._fragments >= self._limits.fragments:
                self._statistics.closed_fragments += 1
                text = f"a message has more than {self._limits.fragments} fragments"
                raise self._fault(CloseReason.POLICY_VIOLATION, text)
            return
        message = bytes(self._message)
        self._message.clear()
        self._fragments = 0
        if not message.strip(b"\r\n"):
            if message == PING:
                self.outgoing += self.wrap(PONG)
            items.append(Keepalive.PONG if message == PONG else Keepalive.PING)
        elif is_token(chr(message[0])):
            items.append(message)
        else:
            raise self._fault(CloseReason.UNSUPPORTED_DATA, "no SIP message starts like this")

    def _fault(self, code: int, text: str) -> StreamFault:
        websocket = self._websocket
        if websocket is not None and websocket.state is ConnectionState.OPEN:
            self.outgoing += websocket.send(CloseConnection(code))
        return StreamFault(End.MALFORMED, text)
