"""DID tables: written in sbc.yaml, or as CSV files whose complaints name file, line and column."""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, PlainValidator, WithJsonSchema

from sbc.config.values import parse_number
from sbc.document.problem import Path as KeyPath
from sbc.document.problem import Problem, Severity, did_you_mean
from sbc.document.reading import why_unreadable
from sbc.document.schema import BadValue, OneOrMany, Section
from sbc.document.text import Document
from sbc.routing.did import Did, DidTable
from sbc.routing.model import Peer

COLUMNS = ("number", "peer", "user", "failover")
MOST_PROBLEMS = 20
"""Complaints about one file; who sorts a column wrongly wants no hundred thousand."""

_USER = re.compile(r"[!-~]{1,64}")
_NOT_IN_USER = frozenset('@<>":;?')
_SPREADSHEET = re.compile(r"[0-9][.,][0-9]+E\+[0-9]+", re.IGNORECASE)
_HEADER_EXAMPLE = "the first line names the columns, for example: number,peer,user,failover"

Complain = Callable[[str, str, str], None]
"""Takes the column, what is wrong and what would be right."""


def parse_user(value: object) -> str:
    """A user part as it can stand in a URI."""
    if not isinstance(value, str) or _USER.fullmatch(value) is None or _NOT_IN_USER & set(value):
        raise BadValue(f"{value!r} is no user", "for example: 600")
    return value


_Number = Annotated[
    str, PlainValidator(parse_number), WithJsonSchema({"type": "string", "examples": ["+4930600"]})
]
_User = Annotated[
    str, PlainValidator(parse_user), WithJsonSchema({"type": "string", "examples": ["600"]})
]


class DidSection(Section):
    """Where one number, range or prefix goes."""

    peer: Annotated[tuple[str, ...], OneOrMany()] = Field(
        default=(),
        description="Peers, tried in this order; without it those of the route.",
        examples=["pbx"],
    )
    user: _User | None = Field(
        default=None,
        description="Who is called there; without it the number itself.",
        examples=["600"],
    )
    failover: str | None = Field(
        default=None,
        description="Another number of the table, called when none of the peers can be.",
        examples=["+4930600"],
    )


class DidsSection(Section):
    """A table of numbers, which routes use by its name."""

    file: Annotated[str, Field(min_length=1)] | None = Field(
        default=None,
        description="A CSV file, relative to this one. Its first line names the columns: `number` "
        "(exact, `+4930600-+4930699`, or `+4930*`), and if wanted `peer` (several with blanks "
        "between), `user`, `failover`. A line that begins with `#` is a remark. The file is read "
        "again by a reload.",
        examples=["dids.csv"],
    )
    numbers: dict[_Number, DidSection] = Field(
        default={},
        description="Numbers, ranges and prefixes that are written here. An exact number comes "
        "before a range, a range before a prefix, a longer prefix before a shorter.",
        examples=[{"+4930600": {"peer": "pbx", "user": "600"}}],
    )


def build_dids(
    document: Document,
    sections: dict[str, DidsSection],
    peers: Sequence[Peer],
    read: Callable[[Path], str],
) -> tuple[DidTable, ...]:
    """The tables; what is wrong with them, or their files, is reported in the document."""
    builder = _Builder(document, {peer.name: peer for peer in peers}, read)
    return tuple(builder.table(name, section) for name, section in sections.items())


class _Builder:
    __slots__ = ("_document", "_failovers", "_peers", "_read")

    def __init__(
        self, document: Document, peers: dict[str, Peer], read: Callable[[Path], str]
    ) -> None:
        self._document = document
        self._peers = peers
        self._read = read
        self._failovers: list[tuple[Did, Complain]] = []
        """Rows of the table in work that name another, which may follow."""

    def table(self, name: str, section: DidsSection) -> DidTable:
        path: KeyPath = ("dids", name)
        table = DidTable(name)
        self._failovers = []
        for number, one in section.numbers.items():
            here = (*path, "numbers", number)
            where = self._document.place(here, key=True).where
            row = Did(number, one.peer, one.user or "", one.failover or "", where)
            self._add(table, row, self._in_document(here))
        if section.file is not None:
            self._read_file(table, section.file, (*path, "file"))
        elif not section.numbers:
            self._document.report(
                path, "the table is empty", "give it numbers, or a file", key=True
            )
        for row, complain in self._failovers:
            self._check_failover(table, row, complain)
        return table

    def _in_document(self, path: KeyPath) -> Complain:
        def complain(column: str, message: str, hint: str) -> None:
            inner = (*path, column)
            known = inner in self._document.values
            self._document.report(inner if known else path, message, hint, key=not known)

        return complain

    def _add(self, table: DidTable, row: Did, complain: Complain) -> None:
        for peer in row.peers:
            if peer not in self._peers:
                hint = did_you_mean(peer, self._peers, "peers")
                complain("peer", f"there is no peer {peer!r}", hint)
            elif self._peers[peer].kind != "endpoints" and not self._peers[peer].targets:
                complain("peer", f"peer {peer!r} has no address to send to", "give it an address")
        try:
            earlier = table.add(row)
        except ValueError as error:
            complain("number", f"{row.number!r} cannot be used: {error}", "")
            return
        if earlier is not None:
            hint = "each number can be in a table only once"
            complain("number", f"{row.number} is in {earlier.where} already", hint)
        elif row.failover:
            self._failovers.append((row, complain))

    def _check_failover(self, table: DidTable, row: Did, complain: Complain) -> None:
        found = table.find(row.failover)
        if found is None:
            complain("failover", f"{row.failover!r} is not in the table", "add a row for it")
        elif found is row:
            complain("failover", f"{row.number} is its own failover", "name another number")

    def _read_file(self, table: DidTable, name: str, path: KeyPath) -> None:
        file = Path(self._document.file).parent / name
        try:
            text = self._read(file)
        except (OSError, ValueError) as error:
            why = why_unreadable(error)
            self._document.report(path, f"{name}: cannot be read: {why}", f"looked at {file}")
            return
        problems = _FileProblems(self._document, str(file))
        for row, complain in _rows(text, str(file), problems):
            self._add(table, row, complain)


class _FileProblems:
    """Complaints about a CSV file; the first ones, and how many more there are."""

    def __init__(self, document: Document, file: str) -> None:
        self._document = document
        self._file = file
        self._count = 0

    def at(self, line: int) -> Complain:
        def complain(column: str, message: str, hint: str) -> None:
            self._count += 1
            if self._count == MOST_PROBLEMS:
                message, hint = f"{message}; further complaints are left out", ""
            if self._count <= MOST_PROBLEMS:
                problem = Problem(Severity.ERROR, self._file, line, 1, column, message, hint)
                self._document.problems.append(problem)

        return complain


def _rows(text: str, file: str, problems: _FileProblems) -> Iterator[tuple[Did, Complain]]:
    """The rows of a CSV file that can be read, each with how to complain of it."""
    lines = text.splitlines(keepends=True)
    header = lines[0] if lines else ""
    delimiter = ";" if ";" in header and "," not in header else ","
    columns = [name.strip().lower() for name in header.strip().split(delimiter)]
    if not _check_columns(columns, problems.at(1)):
        return
    reader = csv.reader(lines[1:], delimiter=delimiter, strict=True)
    while True:
        complain = problems.at(reader.line_num + 2)
        where = f"{file}:{reader.line_num + 2}"
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            complain("", f"this is no line of CSV: {error}", "quotes come in pairs")
            continue
        if not cells or cells[0].startswith("#"):
            continue
        row = _row([cell.strip() for cell in cells], columns, where, complain)
        if row is not None:
            yield row, complain


def _check_columns(columns: list[str], complain: Complain) -> bool:
    for column in columns:
        if column not in COLUMNS:
            complain("", f"there is no column {column!r}", _HEADER_EXAMPLE)
            return False
    if "number" not in columns or len(set(columns)) != len(columns):
        complain("", "the columns are not named, each once", _HEADER_EXAMPLE)
        return False
    return True


def _row(cells: list[str], columns: list[str], where: str, complain: Complain) -> Did | None:
    """The cells of one line as a row; None where they are none."""
    if len(cells) > len(columns):
        complain("", f"{len(cells)} cells stand under {len(columns)} columns", "quote commas")
        return None
    values = dict(zip(columns, cells, strict=False))
    column = ""
    try:
        for column, parse in _PARSERS.items():
            if column == "number" or values.get(column):
                parse(values.get(column, ""))
    except BadValue as error:
        complain(column, str(error), error.hint)
        return None
    peers = tuple(values.get("peer", "").split())
    user, failover = values.get("user", ""), values.get("failover", "")
    return Did(values["number"], peers, user, failover, where)


def _parse_cell(number: str) -> str:
    if _SPREADSHEET.fullmatch(number) is not None:
        raise BadValue(
            f"{number} is what a spreadsheet makes of a long number",
            "give the column the format text, and write the numbers again",
        )
    return parse_number(number)


_PARSERS: dict[str, Callable[[str], str]] = {"number": _parse_cell, "user": parse_user}
