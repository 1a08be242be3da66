"""What the bytes of one connection pass through between the wire and SIP.

Sans-IO: TLS if there is any, and over it SIP on a stream, or a WebSocket, or whichever of the two
the first bytes tell.
"""

from collections.abc import Callable

from sbc.routing.websocket import WebSocketRules
from sbc.sip.errors import ParseError
from sbc.sip.flow import Transport
from sbc.sip.framing import Keepalive
from sbc.sip.parser import Limits
from sbc.transport.endings import End
from sbc.transport.framing import FirstBytes, Framing, SipFraming
from sbc.transport.keepalive import PONG
from sbc.transport.limits import TransportLimits, TransportStatistics
from sbc.transport.tls_pipe import TlsPipe
from sbc.transport.websocket import WebSocketFraming

_WEBSOCKETS: frozenset[Transport] = frozenset({"ws", "wss"})


class Stack:
    """The layers of one connection; a TLS handshake is over before any of this is used."""

    __slots__ = (
        "_became_websocket",
        "_framing",
        "_limits",
        "_message_limits",
        "_rules",
        "_statistics",
        "_tls",
        "websocket",
    )

    def __init__(
        self,
        tls: TlsPipe | None,
        speaks: frozenset[Transport],
        rules: WebSocketRules | None,
        *,
        limits: TransportLimits,
        message_limits: Limits,
        statistics: TransportStatistics,
        became_websocket: Callable[[], None],
    ) -> None:
        """Nothing has passed yet.

        Args:
            speaks: The transports it may be; both SIP and WebSocket are told by the first bytes.
            rules: For WebSockets, if it may be one.
            became_websocket: Called when first bytes told that it is one.
        """
        self._tls = tls
        self._rules = rules
        self._limits = limits
        self._message_limits = message_limits
        self._statistics = statistics
        self._became_websocket = became_websocket
        self.websocket: WebSocketFraming | None = None
        """The WebSocket, if it is one or should become one."""
        self._framing: Framing
        if not speaks & _WEBSOCKETS:
            self._framing = SipFraming(message_limits)
        elif speaks - _WEBSOCKETS:
            self._framing = FirstBytes(self._told)
        else:
            self._framing = self._as_websocket()

    @property
    def unfinished(self) -> bool:
        """Whether whole messages wait: give it nothing for more."""
        return self._framing.unfinished

    @property
    def partial(self) -> bool:
        """Whether a message has begun that needs more bytes."""
        return bool(self._framing.pending) and not self._framing.unfinished

    @property
    def failure(self) -> ParseError | None:
        """Why nothing more comes, when `receive` had still something to return."""
        return self._framing.failure

    @property
    def ended(self) -> bool:
        """Whether the peer said, in TLS or WebSocket, that nothing more comes."""
        return (self._tls is not None and self._tls.ended) or (
            self.websocket is not None and self.websocket.ended
        )

    def receive(self, data: bytes, most: int) -> list[bytes | Keepalive]:
        """The messages that bytes of the wire complete, and what keeps alive; at most `most`.

        Raises:
            ParseError: it is broken for good.
        """
        if self._tls is not None:
            data = self._tls.receive(data)
        return self._framing.feed(data, most)

    def message(self, data: bytes) -> bytes:
        """A message, or a CRLF, as the wire has it.

        Raises:
            StreamFault: nothing can be sent any more.
        """
        if self.websocket is not None:
            data = self.websocket.wrap(data)
        return self._sealed(data)

    def pongs(self, pings: int) -> bytes:
        """What answers CRLF pings; a WebSocket has answered its own by itself."""
        return b"" if self.websocket is not None else self.message(PONG * pings)

    def ping_sent(self) -> None:
        """A CRLF ping of ours leaves."""
        self._framing.ping_sent()

    def ping(self) -> bytes:
        """A ping of the WebSocket, if it is one.

        Raises:
            StreamFault: nothing can be sent any more.
        """
        return b"" if self.websocket is None else self._sealed(self.websocket.ping())

    def outgoing(self) -> bytes:
        """What the WebSocket wants said by itself.

        Raises:
            StreamFault: nothing can be sent any more.
        """
        websocket = self.websocket
        if websocket is None or not websocket.outgoing:
            return b""
        said = bytes(websocket.outgoing)
        websocket.outgoing.clear()
        return self._sealed(said)

    def part(self, end: End) -> bytes:
        """What says good-bye.

        Raises:
            StreamFault: nothing can be sent any more.
        """
        parting = b"" if self.websocket is None else self._sealed(self.websocket.part(end))
        return parting if self._tls is None else parting + self._tls.close()

    def _sealed(self, data: bytes) -> bytes:
        return data if self._tls is None or not data else self._tls.send(data)

    def _told(self, websocket: bool) -> Framing:
        """The first bytes told what it is."""
        if websocket:
            self._became_websocket()
            self._framing = self._as_websocket()
        else:
            self._framing = SipFraming(self._message_limits)
        return self._framing

    def _as_websocket(self) -> WebSocketFraming:
        assert self._rules is not None, "a network with WebSocket listeners has rules for them"
        self.websocket = WebSocketFraming(
            self._rules,
            limits=self._limits,
            message_bytes=self._message_limits.message_bytes,
            statistics=self._statistics,
        )
        return self.websocket
