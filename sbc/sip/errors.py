"""What can be wrong with a SIP message, and how to answer it.

Spec: RFC 3261 §8.2, §16.3 (what to answer), RFC 4475 (what is wrong).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # message.py raises what is defined here
    from sbc.sip.message import Request


TOO_LARGE = 513
"""Message Too Large (RFC 3261 §21.5.14): longer than our limits allow."""


class SipError(Exception):
    """A fault of a peer, with the SIP status that answers it."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        """The status code to answer with, 400 to 699."""
        self.reason = reason
        """One line for humans: fit for a Reason phrase, a Warning text or a log."""


class ParseError(SipError):
    """Bytes from a stranger that are not what they should be.

    The offset counts bytes of the datagram when the whole message was read, and characters of
    the value when a single field or URI was.
    """

    def __init__(self, reason: str, offset: int = 0, status: int = 400) -> None:
        super().__init__(status, reason)
        self.offset = offset
        self.answerable: Request | None = None
        """The request as far as it could be read, when an error response can be made from it:
        its top Via is readable and From, To, Call-ID and CSeq are there. None for responses,
        for ACK (never answered) and for anything less complete."""

    def __str__(self) -> str:
        return f"{self.reason} (at {self.offset})"
