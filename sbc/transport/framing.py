"""How messages are found in the bytes of a stream, and what a stream must show at first.

Sans-IO.

Spec: RFC 3261 §18.3 (SIP on a stream), RFC 7118 §5 (SIP over WebSocket).
"""

from collections.abc import Callable
from typing import Protocol

from sbc.sip.errors import ParseError
from sbc.sip.framing import Keepalive, StreamFramer
from sbc.transport.endings import End, StreamFault

_UPGRADE = b"GET "
"""How a WebSocket begins and no SIP message does (RFC 6455 §4.1)."""

_HANDSHAKE_RECORD = b"\x16\x03"
"""How TLS begins (RFC 8446 §5.1)."""


class Framing(Protocol):
    """What cuts the bytes of one connection into messages."""

    unfinished: bool
    """Whether whole messages wait: feed it nothing for more."""

    @property
    def failure(self) -> ParseError | None:
        """Why nothing more comes; set even when `feed` still had messages to return."""

    @property
    def pending(self) -> int:
        """Whether part of a message has come, and not yet the rest; about how many bytes."""

    def feed(self, data: bytes, most: int | None = None) -> list[bytes | Keepalive]:
        """Take bytes and give the messages they complete.

        Raises:
            ParseError: nothing more comes, and what came before was returned already; a
                `StreamFault` if no answer in SIP would be understood.
        """

    def ping_sent(self) -> None:
        """A CRLF ping of ours leaves: the next lone CRLF is its answer."""


class FirstBytes:
    """Stands in until the first bytes have told what speaks: SIP, or a WebSocket that begins.

    Spec: RFC 7118 §5.1 beside RFC 3261 §18.
    """

    __slots__ = ("_buffer", "_decided", "failure", "unfinished")

    def __init__(self, decided: Callable[[bool], "Framing"]) -> None:
        """`decided` gives the framing of what speaks: of a WebSocket, if it is told true."""
        self._decided = decided
        self._buffer = b""
        self.failure: ParseError | None = None
        self.unfinished = False

    @property
    def pending(self) -> int:
        """Bytes that do not tell it yet."""
        return len(self._buffer)

    def feed(self, data: bytes, most: int | None = None) -> list[bytes | Keepalive]:
        """As `Framing.feed`; what comes after the decision goes to the framing it chose."""
        self._buffer += data
        seen = self._buffer[: len(_UPGRADE)]
        if len(seen) < len(_UPGRADE) and _UPGRADE.startswith(seen):
            return []
        chosen = self._decided(seen == _UPGRADE)
        return chosen.feed(self._buffer, most)

    def ping_sent(self) -> None:
        """We open no stream whose first bytes must tell what it is."""


class SipFraming(StreamFramer):
    """SIP on a stream, whose first bytes are looked at for what somebody sent by mistake."""

    __slots__ = ()

    def feed(self, data: bytes, most: int | None = None) -> list[bytes | Keepalive]:
        """As `StreamFramer.feed`.

        Raises:
            StreamFault: TLS came where none is spoken.
        """
        if self.failure is None and not self.pending and data.startswith(_HANDSHAKE_RECORD):
            raise StreamFault(
                End.MALFORMED,
                "TLS on a port for plain SIP; the sender should use a `tls/` listener",
            )
        return super().feed(data, most)


def strange_beginning(data: bytes) -> str:
    """What came instead of a TLS handshake, in words."""
    if data.startswith((b"GET ", b"HEAD ", b"POST ", b"OPTIONS /", b"OPTIONS *")):
        return "plain HTTP on a TLS port; the sender should use https or wss"
    if data[:1].isalpha() or data.startswith(b"\r\n"):
        return "plain SIP on a TLS port; the sender should use TLS, or a listener without it"
    return "what came to a TLS port is no TLS"
