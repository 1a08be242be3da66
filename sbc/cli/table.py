"""Tables and numbers for people."""

from collections.abc import Sequence
from datetime import datetime

from sbc.cli.ladder import ascii_only


def draw_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns as wide as their longest cell; None is ``-``. Ends with a line end."""
    cells = [[cell(value) for value in row] for row in rows]
    widths = [
        max(len(name), *(len(row[n]) for row in cells)) if cells else len(name)
        for n, name in enumerate(columns)
    ]
    drawn = [[name.upper() for name in columns], *cells]
    lines = ["  ".join(map(str.ljust, one, widths)) for one in drawn]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def clock_time(at: object) -> str | None:
    """Seconds since the epoch as local date and time; None for None."""
    if not isinstance(at, int | float):
        return None
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def span(seconds: object) -> str | None:
    """Seconds as ``h:mm:ss``; None for None."""
    if not isinstance(seconds, int | float):
        return None
    minutes, second = divmod(int(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}"


def cell(value: object) -> str:
    """A value as people read it: None and nothing are ``-``."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ascii_only(str(value))
