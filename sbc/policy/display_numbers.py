"""Telephone numbers that display names write: a phone shows the name before the number.

What counts is written like nothing but a number, by whatever digits and separators. Extensions and
years are names.
"""

import re
from typing import Final
from unicodedata import category, decimal, normalize

_SEPARATORS: Final = r"[ ().\-/]*+"
_NUMBER: Final = re.compile(rf"\+(?:{_SEPARATORS}[0-9]){{5,}}+|[0-9](?:{_SEPARATORS}[0-9]){{7,}}+")
_MOST: Final = 4

TOO_MANY: Final = "too many numbers"
"""Stands for the rest of a name that writes more of them than any does; nobody owns it."""


def numbers_in(display: str) -> list[str]:
    """The numbers that a display name writes, each as digits with or without a plus."""
    if not any(map(str.isdecimal, display)):
        return []
    found: list[str] = []
    for match in _NUMBER.finditer(display if display.isascii() else _plain(display)):
        if len(found) == _MOST:
            return [*found, TOO_MANY]
        found.append("".join(char for char in match[0] if char == "+" or char.isdigit()))
    return found


def is_same_number(one: str, other: str) -> bool:
    """Whether two numbers may be one, written with more or less of its prefixes."""
    short, long = sorted((one.lstrip("+0"), other.lstrip("+0")), key=len)
    return long.endswith(short)


def _plain(text: str) -> str:
    """A text with what looks like a digit as that digit, and without what nobody sees."""
    visible = (char for char in normalize("NFKC", text) if category(char) != "Cf")
    return "".join(str(decimal(char, char)) for char in visible)
