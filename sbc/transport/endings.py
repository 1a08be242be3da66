"""Why connections end.

Sans-IO.
"""

from enum import Enum

from sbc.sip.errors import ParseError


class End(Enum):
    """Why a connection ended, in words for the log."""

    PEER = "closed by the peer"
    RESET = "reset by the peer"
    CONNECT = "cannot be opened"
    HANDSHAKE = "the TLS handshake failed"
    CERTIFICATE = "the certificate is refused"
    SLOW = "no whole message in time"
    IDLE = "idle"
    SILENT = "the peer answers no pings"
    UNPROVEN = "nothing that came was accepted in time"
    DISPLACED = "a newer connection has its place"
    PINGS = "too many keep-alives"
    RATE = "too much came too fast"
    STALL = "the peer takes no data"
    OVERFLOW = "too much data waits for the peer"
    MALFORMED = "what came is not SIP"
    CUT = "cut off"


class StreamFault(ParseError):
    """What came over a stream cannot be what it should be, and no SIP could answer it.

    Args:
        end: Which kind of end that is.
        reason: What came instead and, for whoever reads the log, what to do.
    """

    def __init__(self, end: End, reason: str) -> None:
        super().__init__(reason)
        self.end = end
