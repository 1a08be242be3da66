"""CSeq: the number and method that order requests within a dialog.

Spec: RFC 3261 §20.16, §8.1.1.5.
"""

import re
from dataclasses import dataclass

from sbc.remembered import remembered
from sbc.sip.errors import ParseError
from sbc.sip.grammar import TCHARS, read_decimal

MAX_NUMBER = 2**32 - 1
"""The largest number taken; senders stay below 2**31, but 32 bits are what all can count."""

_CSEQ = re.compile(rf"([0-9]++)[ \t]++([{TCHARS}]++)[ \t]*+")


@dataclass(frozen=True, slots=True)
class CSeq:
    """A sequence number and the request's method."""

    number: int
    method: str

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


@remembered
def parse_cseq_untrusted(text: str) -> CSeq:
    """Read a CSeq value.

    Raises:
        ParseError: 400.
    """
    match = _CSEQ.fullmatch(text)
    if match is None:
        raise ParseError("CSeq is not a number and a method")
    number = read_decimal(match[1], MAX_NUMBER)
    if number is None:
        raise ParseError("CSeq number out of range")
    return CSeq(number, match[2])
