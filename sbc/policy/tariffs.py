"""What calls cost, and how risky their destinations are: tables by the prefix of the number.

A table may say only one of both, so that a list of risky destinations goes with any price list:
price and risk of a number are each found by the longest prefix that says something of it.
"""

import re
from collections.abc import Iterable
from typing import Final, Generic, NamedTuple, TypeVar

MOST_ROWS: Final = 200_000
"""Of all tables together."""
SHORT_NUMBER_DIGITS: Final = 6
"""A number without country code that has no more digits is an extension, which costs nothing."""
NO_RISK: Final = ""

V = TypeVar("V")


class Price(NamedTuple):
    """What a call costs, in the currency of the tables."""

    per_minute: float = 0.0
    connect: float = 0.0
    """Once, when it is answered."""

    def of(self, minutes: float) -> float:
        """What an answered call of some length costs."""
        return self.connect + self.per_minute * minutes


class Row(NamedTuple):
    """A row of a table: what it says of all numbers that begin so."""

    prefix: str
    """Digits of an E.164 number, without ``+``."""
    price: Price | None = None
    """None where it says nothing of prices."""
    risk: str | None = None
    """Class of risk; ``""`` for none, which takes numbers out of a wider row's class. None where
    it says nothing of risks."""
    name: str = ""
    """What people call the destination."""


FREE: Final = Price()


class CutOff(NamedTuple):
    """What an account may spend before its live calls are ended; None for no such limit."""

    hour: float | None = None
    day: float | None = None


class _ByPrefix(Generic[V]):
    """Values by prefix, of which the longest counts."""

    __slots__ = ("_lengths", "_values")

    def __init__(self, values: Iterable[tuple[str, V]]) -> None:
        self._values = dict(values)
        self._lengths = sorted({len(prefix) for prefix in self._values}, reverse=True)

    def __len__(self) -> int:
        return len(self._values)

    def find(self, digits: str) -> V | None:
        """What the longest prefix of a number says."""
        for length in self._lengths:
            found = self._values.get(digits[:length])
            if found is not None:
                return found
        return None


class Tariffs:
    """Tables of prices and risks. Immutable; of rows with one prefix the last counts."""

    __slots__ = ("_names", "_prices", "_risks", "_rows", "currency", "cut_off", "unknown_price")

    def __init__(
        self,
        rows: Iterable[Row] = (),
        unknown_price: float = 0.0,
        currency: str = "",
        cut_off: CutOff | None = None,
    ) -> None:
        """Put rows in force.

        Args:
            unknown_price: Of a minute to a number that no row has a price for.
            currency: What the amounts are in, for people.
            cut_off: When live calls are ended; None for never.
        """
        self.cut_off = cut_off
        known = self._rows = tuple(rows)
        self.unknown_price = Price(unknown_price)
        self.currency = currency
        self._prices = _ByPrefix((row.prefix, row.price) for row in known if row.price is not None)
        self._risks = _ByPrefix((row.prefix, row.risk) for row in known if row.risk is not None)
        self._names = _ByPrefix((row.prefix, row.name) for row in known if row.name)

    def __len__(self) -> int:
        return len(self._rows)

    def __eq__(self, other: object) -> bool:
        """Equal when they say the same in the same words."""
        return isinstance(other, Tariffs) and self._said() == other._said()

    def __hash__(self) -> int:
        return hash((len(self._rows), self.unknown_price, self.currency))

    def __str__(self) -> str:
        return f"{len(self)} rows, unknown {self.amount(self.unknown_price.per_minute)}"

    def _said(self) -> tuple[object, ...]:
        return (self._rows, self.unknown_price, self.currency, self.cut_off)

    def price(self, number: str) -> Price:
        """What calls to a number cost; extensions and names cost nothing."""
        digits = digits_of(number)
        return FREE if not digits else self._prices.find(digits) or self.unknown_price

    def risk(self, number: str) -> str:
        """The class of risk of a number; ``""`` for none."""
        return self._risks.find(digits_of(number)) or NO_RISK

    def name(self, number: str) -> str:
        """What the destination of a number is called; empty where no table says it."""
        return self._names.find(digits_of(number)) or ""

    def amount(self, value: float) -> str:
        """An amount for people."""
        return f"{value:.2f} {self.currency}".rstrip()


NO_TARIFFS: Final = Tariffs()


_LEADING: Final = re.compile(r"[0-9]*")
_FEATURE: Final = re.compile(r"[*#]{1,2}[0-9]{1,3}[*#](?=.)")
"""What some networks take for a wish in front of a number: ``#31#`` hides who calls."""


def digits_of(number: str) -> str:
    """The digits of a number with country code; of a longer one without, those that it has.

    What stands behind them does not count, nor a feature's code in front: whoever is dialled so
    may not mind, and be paid.

    Returns:
        ``""`` for what is no number, or an extension.
    """
    if number[:1] in ("*", "#"):
        number = _FEATURE.sub("", number, count=1)
    if number.startswith("+"):
        return _leading(number[1:])
    digits = _leading(number)
    return "" if len(digits) <= SHORT_NUMBER_DIGITS else digits.removeprefix("00")


def _leading(text: str) -> str:
    match = _LEADING.match(text)
    return "" if match is None else match[0]
