"""The section `tariffs` of a policy file, and its CSV files; complaints name file, line and column.

The tables themselves are `sbc.policy.tariffs`.
"""

import csv
import math
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Final, NamedTuple

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from sbc.document.problem import Problem, Severity
from sbc.document.reading import why_unreadable
from sbc.document.schema import BadValue, OneOrMany, Section
from sbc.document.text import Document
from sbc.policy.tariffs import MOST_ROWS, NO_TARIFFS, CutOff, Price, Row, Tariffs

COLUMNS: Final = ("prefix", "price_per_minute", "connect", "risk", "name")
MOST_PROBLEMS: Final = 20
"""Complaints about one file; who sorts a column wrongly wants no hundred thousand."""
LONGEST_NAME: Final = 80
DEAREST: Final = 100_000.0

_PREFIX = re.compile(r"\+?([0-9]{1,15})")
_RISK = re.compile(r"[a-z][a-z0-9-]{0,31}|")
_HEADER_EXAMPLE = f"the first line names the columns: {','.join(COLUMNS)}"
_PREFIX_EXAMPLE = "digits with country code and without 00, for example: +88213"
_RISK_EXAMPLE = "a word in small letters, for example: irsf, satellite, premium, none"

ReadText = Callable[[Path], str]
"""Reads a file; raises OSError or ValueError."""


def parse_prefix(value: object) -> str:
    """``+4930`` or ``4930``: the digits.

    Raises:
        BadValue: it is neither.
    """
    found = _PREFIX.fullmatch(value) if isinstance(value, str) else None
    if found is None or found[1].startswith("0"):
        raise BadValue(f"{value!r} is no prefix of a number", _PREFIX_EXAMPLE)
    return found[1]


def parse_price(value: object) -> float:
    """An amount of money.

    Raises:
        BadValue: it is none, or one that no call costs.
    """
    hint = f"a number from 0 to {DEAREST:g}, with a point: 0.12"
    try:
        amount = float(str(value))
    except ValueError:
        raise BadValue(f"{value!r} is no price", hint) from None
    if not (math.isfinite(amount) and 0.0 <= amount <= DEAREST):
        raise BadValue(f"{value!r} is no price", hint)
    return amount


def check_risk(text: str) -> str:
    """A class of risk; ``none`` takes numbers out of a wider prefix's class.

    Raises:
        BadValue: it is no word.
    """
    if _RISK.fullmatch(text) is None:
        raise BadValue(f"{text!r} is no class of risk", _RISK_EXAMPLE)
    return "" if text == "none" else text


_Price = Annotated[
    float, PlainValidator(parse_price), WithJsonSchema({"type": "number", "minimum": 0})
]


class TariffSection(Section):
    """What calls to numbers of one prefix cost, and their class of risk."""

    prefix: Annotated[
        str,
        PlainValidator(parse_prefix),
        WithJsonSchema({"type": "string", "pattern": r"^\+?[1-9][0-9]*$"}),
    ] = Field(description="What the numbers begin with, with country code.", examples=["+88213"])
    price_per_minute: _Price | None = Field(
        default=None,
        description="What a minute costs; without it, what a shorter prefix says.",
        examples=[0.12],
    )
    connect: _Price = Field(
        default=0.0, description="What the call costs once, when it is answered.", examples=[0.05]
    )
    risk: Annotated[str, AfterValidator(check_risk)] | None = Field(
        default=None,
        description="A class of risk, a word of yours; `none` for numbers that a shorter prefix "
        "calls risky and you do not. Without it, what a shorter prefix says.",
        examples=["satellite"],
    )
    name: Annotated[str, Field(max_length=LONGEST_NAME)] = Field(
        default="", description="What people call the destination.", examples=["Emsat"]
    )


class CutOffSection(Section):
    """What an account may spend before its live calls are ended."""

    hour: _Price | None = Field(
        default=None, description="In an hour, counted as `spend_hour`.", examples=[150]
    )
    day: _Price | None = Field(
        default=None, description="In 24 hours, counted as `spend_day`.", examples=[500]
    )


class TariffsSection(Section):
    """What calls cost and how risky destinations are: what `price`, `risk` and `spend_hour` ask.

    The longest prefix counts, of prices and of risks apart. Where several policy files have
    tariffs, the first that has a prefix counts for it, as with rules.
    """

    currency: Annotated[str, Field(max_length=16)] = Field(
        default="", description="What the amounts are in; for people only.", examples=["EUR"]
    )
    unknown_price: _Price | None = Field(
        default=None,
        description="What a minute costs to a number that no prefix has a price for. Set it to "
        "what your dearest ordinary destination costs: what you do not know is seldom cheap.",
        examples=[1],
    )
    cut_off: CutOffSection | None = Field(
        default=None,
        description="Ends, within half a minute, all calls of an account that cost something, once "
        "it has spent so much. Rules are asked only when a call begins; this is for those that are "
        "up by then. It is the same for phones and PBX: set it above all limits of rules.",
    )
    files: Annotated[tuple[str, ...], OneOrMany()] = Field(
        default=(),
        description="CSV files, relative to this one, the first before the second. Their first "
        "line names the columns: `prefix`, and if wanted `price_per_minute`, `connect`, `risk`, "
        "`name`. A line that begins with `#` is a remark. They are read again by a reload.",
        examples=[["my-prices.csv", "data/fraud-destinations.csv"]],
    )
    prices: tuple[TariffSection, ...] = Field(
        default=(), description="Rows that are written here; they come before those of files."
    )


class TariffTable(NamedTuple):
    """What one policy file says of tariffs."""

    rows: tuple[Row, ...] = ()
    """The first of one prefix counts."""
    unknown_price: float | None = None
    currency: str = ""
    cut_off: CutOff | None = None


NO_TABLE: Final = TariffTable()


def build_tariffs(
    document: Document, section: TariffsSection | None, read: ReadText
) -> TariffTable:
    """The table of a policy file; what is wrong with its files is reported in the document."""
    if section is None:
        return NO_TABLE
    rows = [_row_of(one) for one in section.prices]
    for number, name in enumerate(section.files):
        path = ("tariffs", "files", number)
        here = path if path in document.values else path[:2]
        file = Path(document.file).parent / name
        try:
            text = read(file)
        except (OSError, ValueError) as error:
            why = why_unreadable(error)
            document.report(here, f"{name}: cannot be read: {why}", f"looked at {file}")
            continue
        rows += _rows(text, str(file), document)
        if len(rows) > MOST_ROWS:
            document.report(here, f"more than {MOST_ROWS} rows", "leave out what nobody calls")
            break
    cut_off = section.cut_off
    limits = None if cut_off is None else CutOff(cut_off.hour, cut_off.day)
    return TariffTable(tuple(rows), section.unknown_price, section.currency, limits)


def combined(tables: Iterable[TariffTable]) -> Tariffs:
    """The tables of several policy files as one; the first that says something counts."""
    all_tables = tuple(tables)
    rows = [row for table in all_tables for row in table.rows]
    unknown = [one.unknown_price for one in all_tables if one.unknown_price is not None]
    currency = [one.currency for one in all_tables if one.currency]
    cut_off = next((one.cut_off for one in all_tables if one.cut_off is not None), None)
    if not rows and not unknown:
        return NO_TARIFFS
    return Tariffs(reversed(rows), next(iter(unknown), 0.0), next(iter(currency), ""), cut_off)


def _row_of(section: TariffSection) -> Row:
    price = None
    if section.price_per_minute is not None:
        price = Price(section.price_per_minute, section.connect)
    return Row(section.prefix, price, section.risk, section.name)


def _rows(text: str, file: str, document: Document) -> Iterator[Row]:
    """The rows of a CSV file that can be read."""
    lines = text.splitlines()
    first = next((n for n, line in enumerate(lines) if not _is_remark(line)), 0)
    header = lines[first] if lines else ""
    delimiter = ";" if ";" in header and "," not in header else ","
    columns = [name.strip().lower() for name in header.split(delimiter)]
    if "prefix" not in columns or len(set(columns)) != len(columns) or set(columns) - set(COLUMNS):
        _complain(document, file, first + 1, "the columns are not named so", _HEADER_EXAMPLE)
        return
    problems = 0
    for number, line in enumerate(lines[first + 1 :], start=first + 2):
        if _is_remark(line):
            continue
        try:
            yield _row(next(csv.reader([line], delimiter=delimiter, strict=True)), columns)
        except (BadValue, csv.Error) as error:
            problems += 1
            more = "; further complaints are left out" if problems == MOST_PROBLEMS else ""
            hint = error.hint if isinstance(error, BadValue) else "quotes come in pairs"
            _complain(document, file, number, f"{error}{more}", hint)
            if more:
                return


def _row(cells: list[str], columns: list[str]) -> Row:
    """The cells of one line as a row.

    Raises:
        BadValue: they are none.
    """
    if len(cells) > len(columns):
        raise BadValue(f"{len(cells)} cells stand under {len(columns)} columns", "quote commas")
    values = {name: cell.strip() for name, cell in zip(columns, cells, strict=False)}
    per_minute, risk = values.get("price_per_minute"), values.get("risk")
    connect = parse_price(values.get("connect") or "0")
    return Row(
        parse_prefix(values.get("prefix", "")),
        Price(parse_price(per_minute), connect) if per_minute else None,
        check_risk(risk) if risk else None,
        values.get("name", "")[:LONGEST_NAME],
    )


def _is_remark(line: str) -> bool:
    return not line.strip() or line.startswith("#")


def _complain(document: Document, file: str, line: int, message: str, hint: str) -> None:
    problem = Problem(Severity.ERROR, file, line, 1, "", message, hint)
    document.problems.append(problem)
