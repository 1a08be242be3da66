"""Messages out of a byte stream.

Spec: RFC 3261 §18.3 (Content-Length frames), §7.5 (empty lines before a message);
RFC 5626 §3.5.1, §4.4.1 (double CRLF is a ping, single CRLF its pong).
"""

import re
from enum import Enum

from sbc.sip.errors import ParseError
from sbc.sip.grammar import is_token, read_decimal
from sbc.sip.parser import DEFAULT, Limits, salvage_request

_EMPTY_LINES = re.compile(rb"(?>(?:\r\n)*)")
_CONTENT_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*+:((?>(?:[^\r\n]++|\r\n[ \t])*))")


class Keepalive(Enum):
    """What may stand between messages to keep a flow alive."""

    PING = "\r\n\r\n"
    """To be answered with `PONG`'s value."""
    PONG = "\r\n"
    """The answer to our ping."""


class StreamFramer:
    """Cuts one connection's bytes into messages, however they arrive in pieces.

    The result does not depend on how the bytes were cut. After an error the stream has no
    frames any more and should be closed.
    """

    __slots__ = (
        "_buffer", "_crlf_seen", "_limits", "_pings", "_scanned", "_total", "failure", "unfinished",
    )  # fmt: skip

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self.failure: ParseError | None = None
        """Why nothing more comes; set even when `feed` still had messages to return."""
        self.unfinished = False
        """Whether `feed` stopped at the most items it was asked for: feed it nothing for more."""
        self._limits = limits
        self._buffer = bytearray()
        self._scanned = 0  # where the search for the empty line goes on
        self._total = 0  # bytes of the message whose head is complete; 0 before
        self._crlf_seen = False
        self._pings = 0

    @property
    def pending(self) -> int:
        """Bytes of an incomplete message; 0 between messages."""
        return len(self._buffer)

    def ping_sent(self) -> None:
        """Expect a pong: the next lone CRLF is one, and not half of a ping."""
        self._pings = 1

    def feed(self, data: bytes, most: int | None = None) -> list[bytes | Keepalive]:
        """Take bytes and give the messages they complete, each with head and body.

        Args:
            data: The next bytes of the stream.
            most: After how many items to stop. Empty lines that follow each other are one step,
                however many pings they are.

        Raises:
            ParseError: 400, or 513 for more than the limits allow. When messages were complete
                before the fault they are returned, and the next call raises; `failure` tells
                at once.
        """
        if self.failure is not None:
            raise self.failure
        self._buffer += data
        items: list[bytes | Keepalive] = []
        try:
            while (most is None or len(items) < most) and self._next(items):
                pass
            self.unfinished = most is not None and len(items) >= most and bool(self._buffer)
        except ParseError as error:
            self.failure = error
            self.unfinished = False
            self._buffer.clear()
            if not items:
                raise
        return items

    def _next(self, items: list[bytes | Keepalive]) -> bool:
        """Take one thing from the front of the buffer; False when that needs more bytes."""
        buffer = self._buffer
        if not self._total:
            if not buffer:
                return False
            if buffer[0] == 13:
                return self._take_crlf(items)
            self._crlf_seen = False
            if not self._find_head():
                return False
        if len(buffer) < self._total:
            return False
        items.append(bytes(buffer[: self._total]))
        del buffer[: self._total]
        self._total = self._scanned = 0
        return True

    def _take_crlf(self, items: list[bytes | Keepalive]) -> bool:
        """Take all empty lines that stand here; False when the first is not whole."""
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        found = _EMPTY_LINES.match(buffer)
        length = found.end() if found is not None else 0
        # A match holds the buffer, which then cannot shrink.
        del found
        if not length:
            raise ParseError("CR alone between messages")
        del buffer[:length]
        lines = length // 2
        if self._pings:
            self._pings = 0
            items.append(Keepalive.PONG)
            lines -= 1
        pings, odd = divmod(lines + self._crlf_seen, 2)
        self._crlf_seen = odd == 1
        items += [Keepalive.PING] * pings
        return True

    def _find_head(self) -> bool:
        buffer = self._buffer
        limits = self._limits
        if self._scanned == 0 and not is_token(chr(buffer[0])):
            raise ParseError("no SIP message starts like this")
        end = buffer.find(b"\r\n\r\n", self._scanned, limits.head_bytes + 4)
        if end < 0:
            self._scanned = max(0, len(buffer) - 3)
            if len(buffer) >= limits.head_bytes + 4:
                raise self._refusal("header section too large", 513)
            return False
        found = _CONTENT_LENGTH.findall(bytes(buffer[: end + 2]).lower())
        if len(found) != 1:
            raise self._refusal("one Content-Length is needed on a stream")
        length = read_decimal(found[0].decode("latin-1").strip(" \t\r\n"), 2**32 - 1)
        if length is None:
            raise self._refusal("malformed Content-Length")
        self._total = end + 4 + length
        if self._total > limits.message_bytes:
            raise self._refusal("message too large", 513)
        return True

    def _refusal(self, reason: str, status: int = 400) -> ParseError:
        error = ParseError(reason, 0, status)
        error.answerable = salvage_request(bytes(self._buffer), self._limits)
        return error
