"""What a session description, or the moment it comes at, can do wrong."""

import re

_SHOWN_CHARACTERS = 120
"""Longest part of an offending line that travels into a log or a Warning header."""

_UNPRINTABLE = re.compile(r"[^ -~]")
_KEY = re.compile(r"(inline:)[^|;\s]*|[a-z0-9+/]{36,}={0,2}", re.IGNORECASE)
"""What follows `inline:`, and any word long enough to be a key in a line that is malformed."""


class SdpError(Exception):
    """A body is not a session description that can be used.

    Attributes:
        status: The SIP status to answer with: 488.
        reason: One line for people, without the offending text.
        line: The offending line, printable ASCII, shortened, without SRTP keys; may be empty.
        line_number: From 1; 0 when the fault has no line (a size, something missing).
    """

    def __init__(self, reason: str, line: str = "", line_number: int = 0) -> None:
        self.status = 488
        self.reason = reason
        self.line = _shown(line)
        self.line_number = line_number
        super().__init__(reason, line, line_number)

    def __str__(self) -> str:
        where = f"SDP line {self.line_number}: " if self.line_number else "SDP: "
        return f"{where}{self.reason}: {self.line}" if self.line else f"{where}{self.reason}"


class OfferAnswerError(Exception):
    """An offer or an answer that is not allowed now, or does not fit its counterpart.

    Attributes:
        status: 491 while an offer of ours is pending, 500 while one of the peer's is, 488 when
            a description does not fit; 500 also for a step that only a fault of ours can take.
        reason: One line for people.
        retry_after: Whether the response must carry Retry-After, 0 to 10 s at random
            (RFC 3261 §14.2, RFC 3311 §5.2).
    """

    def __init__(self, status: int, reason: str, *, retry_after: bool = False) -> None:
        self.status = status
        self.reason = reason
        self.retry_after = retry_after
        super().__init__(status, reason)

    def __str__(self) -> str:
        return f"{self.status} {self.reason}"


def _shown(line: str) -> str:
    """The part of a stranger's line that may be shown: no keys, no control characters."""
    return _UNPRINTABLE.sub("?", _KEY.sub(r"\1...", line))[:_SHOWN_CHARACTERS]
