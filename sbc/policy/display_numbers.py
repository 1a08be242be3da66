"""Telephone numbers that display names write: a phone shows the name before the number.

What counts is written like nothing but a number, by whatever digits and separators, even if those
are circles or strokes. Extensions and years are names.
"""

import re
from typing import Final
from unicodedata import category, decimal

from sbc.policy.appearance import plain_form

_SEPARATORS: Final = r"[ ().\-/]*+"
_NUMBER: Final = re.compile(rf"\+(?:{_SEPARATORS}[0-9]){{5,}}+|[0-9](?:{_SEPARATORS}[0-9]){{7,}}+")
_MOST: Final = 4

_LONGEST: Final = 256
"""Characters of a name that are looked at; no phone shows as many."""

_SHORTEST: Final = 3
"""Digits of an extension by which the number that ends with it is known: many end with two."""

_UNSEEN: Final = frozenset({"Cc", "Cf", "Mn", "Me"})
"""What shows nothing, or is drawn over the character before."""

TOO_MANY: Final = "too many numbers"
"""Stands for the rest of a name that writes more than any does; nobody owns it."""


def numbers_in(display: str) -> list[str]:
    """The numbers that a display name writes, each as digits with or without a plus."""
    if len(display) > _LONGEST:
        return [TOO_MANY]
    text = display if display.isascii() else _plain(display)
    found: list[str] = []
    for match in _NUMBER.finditer(text):
        if len(found) == _MOST:
            return [*found, TOO_MANY]
        found.append("".join(char for char in match[0] if char == "+" or char.isdigit()))
    return found


def is_same_number(one: str, other: str) -> bool:
    """Whether two numbers may be one, written with more or less of its prefixes."""
    short, long = sorted((one.lstrip("+0"), other.lstrip("+0")), key=len)
    return short == long or (len(short) >= _SHORTEST and long.endswith(short))


def _plain(text: str) -> str:
    """A text with what looks like a digit as that digit, and without what nobody sees."""
    visible = (char for char in plain_form(text) if category(char) not in _UNSEEN)
    return "".join(map(_look, visible))


def _look(char: str) -> str:
    """A character as a digit or a space, if it is read as one."""
    if char.isascii() or char.isalpha():
        return char
    return str(decimal(char, " "))
