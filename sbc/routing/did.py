"""DID tables: which peer, and which user there, a number from outside belongs to.

A table of a hundred thousand numbers is asked as fast as one of ten: exact numbers by their text,
ranges by bisection, prefixes by their length.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sbc.routing.patterns import Exact, Prefix, Range, parse_number_pattern


class Did(NamedTuple):
    """One row: a number, a range or a prefix, and where it goes."""

    number: str
    """As written, see `sbc.routing.patterns`."""
    peers: tuple[str, ...] = ()
    """In the order to try; empty for those of the route."""
    user: str = ""
    """Who is called there; empty for the number itself."""
    failover: str = ""
    """Another number of the table that is called when nobody of `peers` can be; empty for none."""
    where: str = ""


class Step(NamedTuple):
    """One place to try for a number."""

    peer: str
    user: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a table says of a number."""

    steps: tuple[Step, ...]
    why: str
    """``+49* (dids.csv:17), failover +49301 (dids.csv:3)``."""


class DidTable:
    """The rows of one table; filled at load, and only read afterwards.

    An exact number comes before a range, a range before a prefix, a longer prefix before a shorter.
    """

    __slots__ = ("_exact", "_lengths", "_prefixes", "_ranges", "name", "rows")

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: list[Did] = []
        self._exact: dict[str, Did] = {}
        self._prefixes: dict[str, Did] = {}
        self._lengths: list[int] = []
        """Of the prefixes, longest first."""
        self._ranges: dict[int, tuple[list[str], list[tuple[Range, Did]]]] = {}
        """By length: the low ends, ascending, and what begins at each."""

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        return f"{len(self.rows)} numbers"

    def __eq__(self, other: object) -> bool:
        """Equal when the rows say the same, wherever they stand."""
        if not isinstance(other, DidTable):
            return NotImplemented
        return self.name == other.name and _meaning(self.rows) == _meaning(other.rows)

    __hash__ = None  # type: ignore[assignment]  # it was filled, so unhashable

    def find(self, number: str) -> Did | None:
        """The row of a number."""
        row = self._exact.get(number)
        if row is not None:
            return row
        starts, ranges = self._ranges.get(len(number), _NO_RANGES)
        at = bisect_right(starts, number) - 1
        if at >= 0 and ranges[at][0].holds(number):
            return ranges[at][1]
        for length in self._lengths:
            row = self._prefixes.get(number[:length])
            if row is not None:
                return row
        return None

    def places(self, number: str, usual: Sequence[str]) -> Found | None:
        """Where to try a number; None if no row holds it.

        Args:
            usual: The peers of a row that names none.
        """
        row = self.find(number)
        if row is None:
            return None
        steps = _steps(row, number, usual)
        why = f"{row.number} ({row.where})"
        second = self.find(row.failover) if row.failover else None
        if second is not None:
            steps += _steps(second, row.failover, usual)
            why += f", failover {row.failover} ({second.where})"
        return Found(steps, why)

    def add(self, row: Did) -> Did | None:
        """Add a row; if an earlier one says something of its numbers, that is returned instead.

        Raises:
            ValueError: its number is no number, range or prefix.
        """
        pattern = parse_number_pattern(row.number)
        if isinstance(pattern, Exact):
            earlier = self._exact.get(pattern.text)
            self._exact.setdefault(pattern.text, row)
        elif isinstance(pattern, Prefix):
            earlier = self._prefixes.get(pattern.text)
            self._prefixes.setdefault(pattern.text, row)
            self._lengths = sorted({len(pattern.text), *self._lengths}, reverse=True)
        elif isinstance(pattern, Range):
            earlier = self._add_range(pattern, row)
        else:
            text = "it is a number, a range like 600-699 or a prefix like +4930*"
            raise ValueError(text)  # noqa: TRY004  # its text is wrong, not its type
        if earlier is None:
            self.rows.append(row)
        return earlier

    def _add_range(self, pattern: Range, row: Did) -> Did | None:
        starts, ranges = self._ranges.setdefault(len(pattern.low), ([], []))
        at = bisect_right(starts, pattern.low)
        for other, earlier in ranges[max(0, at - 1) : at + 1]:
            if other.low <= pattern.high and pattern.low <= other.high:
                return earlier
        starts.insert(at, pattern.low)
        ranges.insert(at, (pattern, row))
        return None


_NO_RANGES: tuple[list[str], list[tuple[Range, Did]]] = ([], [])


def _steps(row: Did, number: str, usual: Sequence[str]) -> tuple[Step, ...]:
    return tuple(Step(peer, row.user or number) for peer in row.peers or usual)


def _meaning(rows: list[Did]) -> list[tuple[object, ...]]:
    return [row[:-1] for row in rows]
