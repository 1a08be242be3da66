"""A call's journal, drawn as a ladder of two legs.

Pure functions; whatever strangers wrote comes out as printable ASCII.
"""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple, Protocol

_TIME = 9
_LEAST_WIDTH = 60


class Entry(Protocol):
    """What is drawn; `sbc.b2bua.journal.JournalEntry` is one."""

    @property
    def at(self) -> float:
        """Seconds on any clock."""

    @property
    def kind(self) -> str:
        """``"sip"`` is an arrow; everything else is a note."""

    @property
    def side(self) -> str:
        """``"a"``, ``"b"`` or ``""``."""

    @property
    def direction(self) -> str:
        """``"in"`` or ``"out"``, as the SBC sees it."""

    @property
    def summary(self) -> str:
        """One line."""


class LadderEntry(NamedTuple):
    """An entry as it came from the process."""

    at: float
    kind: str
    side: str
    direction: str
    summary: str


def draw_ladder(entries: Sequence[Entry], *, a: str, b: str, width: int = 100) -> str:
    """Draw the entries in their order; times count from the first.

    Args:
        a: What to call the caller's side.
        b: What to call the callee's side.
        width: Columns to use, 60 at least.
    """
    span = (max(width, _LEAST_WIDTH) - _TIME - 4) // 2
    lines = _head(ascii_only(a), ascii_only(b), span)
    began = entries[0].at if entries else 0.0
    for entry in entries:
        text = ascii_only(entry.summary)
        rows = [_arrow(entry, text, span)] if entry.kind == "sip" else _note(entry, text, span)
        lines.append(f"{entry.at - began:8.3f} {rows[0]}")
        lines += [" " * _TIME + row for row in rows[1:]]
    return "\n".join(lines) + "\n"


def ascii_only(text: str) -> str:
    """Text that moves no cursor and changes no colour, whoever wrote it."""
    return "".join(char if " " <= char <= "~" else "?" for char in text)


def _head(a: str, b: str, span: int) -> list[str]:
    left, right = _cut(a, span - 1), _cut(b, span - 1)
    names = f"{left.ljust(span)}SBC{right.rjust(span)}"
    return [" " * _TIME + names, " " * _TIME + _lanes("", "", span)]


def _lanes(left: str, right: str, span: int) -> str:
    return f"|{left.ljust(span)}|{right.ljust(span)}|"


def _arrow(entry: Entry, text: str, span: int) -> str:
    to_the_right = (entry.side == "a") == (entry.direction == "in")
    label = _cut(text, span - 3)
    shaft = f"-{label}".ljust(span - 1, "-")
    drawn = f"{shaft}>" if to_the_right else f"<{shaft}"
    return _lanes(drawn, "", span) if entry.side == "a" else _lanes("", drawn, span)


def _note(entry: Entry, text: str, span: int) -> list[str]:
    who = f" ({entry.side})" if entry.side else ""
    room = 2 * span - 2
    wrapped = textwrap.wrap(f"* {entry.kind}{who}: {text}", room, subsequent_indent="    ")
    return [f"|  {line.ljust(2 * span - 1)}|" for line in wrapped]


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 2]}.."
