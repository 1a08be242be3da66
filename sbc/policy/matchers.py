"""What the value of a fact must be: matchers, tested fast and told in words."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, Final, Protocol

from sbc.policy.world import FAILURES, UNKNOWN
from sbc.prefixes import IpNetwork, PrefixMap
from sbc.routing.patterns import (
    Exact,
    NumberPattern,
    Prefix,
    domain_covers,
    domain_matches,
    number_covers,
    parse_number_pattern,
)

SET: Final = "set:"
"""What a condition writes before the name of a set."""


class Matcher(Protocol):
    """What the value of a fact must be."""

    def matches(self, value: Any) -> bool:
        """Whether a value is what is wanted."""

    def wanted(self, value: Any) -> str:
        """What is wanted, in words; of several things the one that the value is."""


@dataclass(frozen=True, slots=True)
class Flag:
    """True, or false."""

    value: bool

    def matches(self, value: bool) -> bool:
        """See `Matcher`."""
        return value is self.value

    def wanted(self, value: bool) -> str:
        """See `Matcher`."""
        del value
        return shown(self.value)


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of some words."""

    words: frozenset[str]

    def matches(self, value: str | None) -> bool:
        """See `Matcher`."""
        return value in self.words

    def wanted(self, value: str | None) -> str:
        """See `Matcher`."""
        del value
        return any_of(self.words - FAILURES)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of some names."""

    names: frozenset[str]

    def matches(self, value: frozenset[str]) -> bool:
        """See `Matcher`."""
        return not self.names.isdisjoint(value)

    def wanted(self, value: frozenset[str]) -> str:
        """See `Matcher`."""
        return any_of(self.names & value or self.names)


@dataclass(frozen=True, slots=True)
class Pieces:
    """Contains at least one of some lower-case texts."""

    pieces: tuple[str, ...]

    def matches(self, value: str) -> bool:
        """See `Matcher`."""
        return any(piece in value for piece in self.pieces)

    def wanted(self, value: str) -> str:
        """See `Matcher`."""
        return "|".join(f"*{piece}*" for piece in self._found(value) or self.pieces)

    def _found(self, value: str) -> list[str]:
        return [piece for piece in self.pieces if piece in value][:1]


@dataclass(frozen=True, slots=True)
class Domains:
    """At least one domain that fits one of some patterns."""

    patterns: tuple[str, ...]

    def matches(self, value: tuple[str, ...]) -> bool:
        """See `Matcher`."""
        return any(domain_matches(pattern, one) for one in value for pattern in self.patterns)

    def wanted(self, value: tuple[str, ...]) -> str:
        """See `Matcher`."""
        del value
        return "|".join(self.patterns)


@dataclass(frozen=True, slots=True)
class Amount:
    """Above one number, below another, or both."""

    above: float | None = None
    below: float | None = None

    def matches(self, value: float) -> bool:
        """See `Matcher`."""
        return (self.above is None or value > self.above) and (
            self.below is None or value < self.below
        )

    def wanted(self, value: float) -> str:
        """See `Matcher`."""
        del value
        bounds = (("above", self.above), ("below", self.below))
        return " and ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)


@dataclass(frozen=True, slots=True)
class Regular:
    """Matches at least one regular expression; time is linear in the text (RE2).

    It looks at all of a value: what it left out at the end would be where to hide. How long that
    may be the parser bounds.
    """

    texts: tuple[str, ...]
    compiled: Any = field(compare=False, repr=False)

    def matches(self, value: str) -> bool:
        """See `Matcher`."""
        text = value
        if not text.isascii():
            # RE2 takes UTF-8 only; a stranger's bytes need not be that.
            text = text.encode("utf-8", "replace").decode()
        return self.compiled.search(text) is not None

    def wanted(self, value: str) -> str:
        """See `Matcher`."""
        del value
        return "|".join(f"/{text}/" for text in self.texts)


@dataclass(frozen=True, slots=True)
class Statuses:
    """A status of a response, or one of a class."""

    patterns: tuple[str, ...]

    def matches(self, value: str) -> bool:
        """See `Matcher`."""
        return any(value.startswith(one.rstrip("x")) for one in self.patterns) and bool(value)

    def wanted(self, value: str) -> str:
        """See `Matcher`."""
        del value
        return any_of(self.patterns)


class AddressSet(Protocol):
    """A named set of prefixes, whose entries may change while it is in use."""

    @property
    def name(self) -> str:
        """As conditions write it."""

    @property
    def kind(self) -> str:
        """``networks`` or ``numbers``."""

    def find(self, item: str) -> str | None:
        """The entry that holds an address or a number; None for none."""

    def hit(self, item: str) -> bool:
        """Whether an entry holds an address or a number; the set counts it."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """In one of some prefixes or sets."""

    texts: tuple[str, ...]
    networks: tuple[IpNetwork, ...] = field(compare=False, repr=False)
    prefixes: PrefixMap[str] = field(compare=False, repr=False)
    sets: tuple[AddressSet, ...] = field(default=(), compare=False, repr=False)

    def matches(self, value: str) -> bool:
        """See `Matcher`."""
        return self.prefixes.find(value) is not None or any(one.hit(value) for one in self.sets)

    def wanted(self, value: str) -> str:
        """See `Matcher`."""
        return self.prefixes.find(value) or _in_sets(self.sets, value) or "|".join(self.texts)


@dataclass(frozen=True, slots=True)
class Numbers:
    """A number that fits one of some patterns or sets."""

    texts: tuple[str, ...]
    exact: frozenset[str] = field(compare=False, repr=False)
    prefixes: Mapping[int, frozenset[str]] = field(compare=False, repr=False)
    """By length."""
    others: tuple[NumberPattern, ...] = field(compare=False, repr=False)
    sets: tuple[AddressSet, ...] = field(default=(), compare=False, repr=False)

    def matches(self, value: str) -> bool:
        """See `Matcher`."""
        return self._found(value) is not None or any(one.hit(value) for one in self.sets)

    def wanted(self, value: str) -> str:
        """See `Matcher`."""
        return self._found(value) or _in_sets(self.sets, value) or "|".join(self.texts)

    def _found(self, value: str) -> str | None:
        if value in self.exact:
            return value
        for length, texts in self.prefixes.items():
            if value[:length] in texts:
                return value[:length] + "*"
        for pattern in self.others:
            if not isinstance(pattern, Exact | Prefix) and pattern.holds(value):
                return "|".join(self.texts)
        return None


class Calendar(Protocol):
    """A named part of all time."""

    @property
    def name(self) -> str:
        """As conditions write it."""

    def holds(self, now: float) -> bool:
        """Whether a moment (seconds since 1970) lies in it."""


@dataclass(frozen=True, slots=True)
class Calendars:
    """A moment that lies in one of some calendars."""

    calendars: tuple[Calendar, ...]

    def matches(self, value: float) -> bool:
        """See `Matcher`."""
        return any(calendar.holds(value) for calendar in self.calendars)

    def wanted(self, value: float) -> str:
        """See `Matcher`."""
        del value
        return "|".join(calendar.name for calendar in self.calendars)


def addresses(entries: Iterable[IpNetwork], sets: Iterable[AddressSet] = ()) -> Addresses:
    """Prefixes and sets as one matcher."""
    prefixes, named = tuple(entries), tuple(sets)
    texts = (*map(str, prefixes), *(SET + one.name for one in named))
    return Addresses(texts, prefixes, PrefixMap((one, str(one)) for one in prefixes), named)


def numbers(patterns: Iterable[str], sets: Iterable[AddressSet] = ()) -> Numbers:
    """Patterns and sets as one matcher.

    Raises:
        ValueError: a pattern is none.
    """
    texts, named = tuple(patterns), tuple(sets)
    parsed = [parse_number_pattern(text) for text in texts]
    by_length: dict[int, set[str]] = {}
    for one in parsed:
        if isinstance(one, Prefix):
            by_length.setdefault(len(one.text), set()).add(one.text)
    return Numbers(
        (*texts, *(SET + one.name for one in named)),
        frozenset(one.text for one in parsed if isinstance(one, Exact)),
        {length: frozenset(found) for length, found in sorted(by_length.items(), reverse=True)},
        tuple(one for one in parsed if not isinstance(one, Exact | Prefix)),
        named,
    )


def _in_sets(sets: tuple[AddressSet, ...], value: str) -> str | None:
    for one in sets:
        entry = one.find(value)
        if entry is not None:
            return f"{SET}{one.name} {entry}"
    return None


def shown(value: object) -> str:
    """The value of a fact in an explanation: one line, however long or strange it is."""
    if value is None or value == UNKNOWN:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, frozenset | tuple):
        return "|".join(sorted(map(str, value))) or "none"
    text = f"{value:.10g}" if isinstance(value, float) else str(value)
    text = text if len(text) <= 120 else text[:117] + "..."
    return text if text.isprintable() else ascii(text)


def any_of(words: Iterable[str]) -> str:
    """Some words in a fixed order."""
    return "|".join(sorted(word or "unknown" for word in words))


def within(narrow: Matcher, wide: Matcher) -> bool:
    """Whether all that one matches the other matches; errs towards no."""
    if narrow == wide:
        return True
    if isinstance(narrow, OneOf) and isinstance(wide, OneOf):
        return narrow.words - FAILURES <= wide.words
    if isinstance(narrow, AnyOf) and isinstance(wide, AnyOf):
        return narrow.names <= wide.names
    if isinstance(narrow, Pieces) and isinstance(wide, Pieces):
        return all(any(o in i for o in wide.pieces) for i in narrow.pieces)
    if isinstance(narrow, Domains) and isinstance(wide, Domains):
        return all(any(domain_covers(o, i) for o in wide.patterns) for i in narrow.patterns)
    if isinstance(narrow, Addresses) and isinstance(wide, Addresses):
        return all(_address_within(text, wide.texts) for text in narrow.texts)
    if isinstance(narrow, Numbers) and isinstance(wide, Numbers):
        return all(_number_within(text, wide.texts) for text in narrow.texts)
    if isinstance(narrow, Amount) and isinstance(wide, Amount):
        return _low(narrow) >= _low(wide) and _high(narrow) <= _high(wide)
    return False


def _low(amount: Amount) -> float:
    return float("-inf") if amount.above is None else amount.above


def _high(amount: Amount) -> float:
    return float("inf") if amount.below is None else amount.below


def _address_within(text: str, wide: tuple[str, ...]) -> bool:
    if text in wide or is_set(text):
        return text in wide
    inner = ip_network(text)
    return any(
        outer.version == inner.version and inner.subnet_of(outer)  # type: ignore[arg-type]  # same version
        for outer in (ip_network(one) for one in wide if not is_set(one))
    )


def _number_within(text: str, wide: tuple[str, ...]) -> bool:
    if text in wide or is_set(text):
        return text in wide
    inner = parse_number_pattern(text)
    return any(number_covers(parse_number_pattern(one), inner) for one in wide if not is_set(one))


def is_set(word: object) -> bool:
    """Whether a value of a condition names a set."""
    return isinstance(word, str) and word.startswith(SET)
