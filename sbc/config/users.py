"""Files of users: one line for each user and algorithm, with a hash and never a password.

    # anything after a hash sign is a remark
    alice:example.com:5b3a...               MD5, as htdigest writes it
    alice:example.com:SHA-256:9d0c...       any algorithm, by its name

The hash is that of ``name:realm:password`` (RFC 7616 §3.4.2).
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from sbc.sip.digest import known_algorithm

_HEXADECIMAL = re.compile(r"[0-9a-f]+")
_DIGITS = {"MD5": 32, "SHA-256": 64, "SHA-512-256": 64}


class UserLine(NamedTuple):
    """One line of such a file. Not to be shown: the hash is as good as the password."""

    user: str
    realm: str
    algorithm: str
    ha1: str


class BadLine(NamedTuple):
    """A line that is none of them."""

    line: int
    """From 1."""
    why: str
    """Says nothing of what stands there: it may be a secret."""


def read_users(text: str) -> Iterator[UserLine | BadLine]:
    """The lines of a file of users, in order; blank ones and remarks are left out."""
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield _read_line(number, stripped)


def _read_line(number: int, line: str) -> UserLine | BadLine:
    parts = line.split(":")
    if len(parts) == 3:
        parts.insert(2, "MD5")
    if len(parts) != 4 or not parts[0] or not parts[1]:
        return BadLine(number, "it is not user:realm:hash or user:realm:algorithm:hash")
    user, realm, written, ha1 = parts
    algorithm = known_algorithm(written)
    if algorithm is None:
        return BadLine(number, "its algorithm is none of SHA-512-256, SHA-256 and MD5")
    ha1 = ha1.lower()
    if len(ha1) != _DIGITS[algorithm] or not _HEXADECIMAL.fullmatch(ha1):
        digits = _DIGITS[algorithm]
        return BadLine(number, f"its {algorithm} hash is not {digits} hexadecimal digits")
    return UserLine(user, realm, algorithm, ha1)
