"""Conditions of rules, compiled: which facts must be what."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sbc.policy.facts import FACTS, Fact, Facts
from sbc.policy.matchers import (
    SET,
    AddressSet,
    Amount,
    AnyOf,
    Calendar,
    Calendars,
    Domains,
    Flag,
    Matcher,
    OneOf,
    Pieces,
    Statuses,
    addresses,
    is_set,
    numbers,
    shown,
    within,
)
from sbc.policy.world import FAILED_CLOSED, FAILED_OPEN, UNKNOWN


class Evidence(NamedTuple):
    """One condition of a decision: what was looked at, its value, and what the rule wanted."""

    fact: str
    value: str
    wanted: str


class Test(NamedTuple):
    """One condition: what one fact must be, or with `negated` must not be."""

    name: str
    fact: Fact
    matcher: Matcher
    negated: bool = False

    def holds(self, facts: Facts) -> bool:
        """Whether the facts are so."""
        return self.matcher.matches(self.fact.read(facts)) is not self.negated

    def __str__(self) -> str:
        no_value: object = frozenset() if self.fact.kind == "names" else ""
        wanted = self.matcher.wanted(no_value)
        return f"{self.name} not {wanted}" if self.negated else f"{self.name} {wanted}"

    def evidence(self, facts: Facts) -> Evidence:
        """What was looked at, its value, and what was wanted."""
        value = self.fact.read(facts)
        wanted = self.matcher.wanted(value)
        return Evidence(self.name, shown(value), f"not {wanted}" if self.negated else wanted)


_CHEAP: Final = (
    "trust", "method", "registered", "known_peer", "network", "peer", "transport", "secure",
    "authenticated", "user", "source",
)  # fmt: skip
"""The facts that are asked first, since they cost next to nothing."""

_COST: Final = {name: number for number, name in enumerate((*_CHEAP, *FACTS))} | {
    name: number for number, name in enumerate(_CHEAP)
}


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a rule asks of the facts. All of them must hold; none at all always do."""

    tests: tuple[Test, ...] = ()

    def hold(self, facts: Facts) -> bool:
        """Whether all of them hold; the cheap ones are asked first."""
        for test in self.tests:
            if test.matcher.matches(test.fact.read(facts)) is test.negated:
                return False
        return True

    def tested(self, facts: Facts) -> tuple[Evidence, ...]:
        """The values that were looked at, each with what was wanted; for facts that hold."""
        return tuple(test.evidence(facts) for test in self.tests)

    def unmet(self, facts: Facts) -> tuple[Evidence, ...]:
        """Those that do not hold."""
        return tuple(test.evidence(facts) for test in self.tests if not test.holds(facts))

    def matcher(self, name: str) -> Matcher | None:
        """What a fact must be; None where nothing is asked of it, or only what it must not be."""
        for test in self.tests:
            if test.name == name and not test.negated:
                return test.matcher
        return None

    def possible(self, **known: object) -> bool:
        """Whether they may hold where some facts (by their names) are known already."""
        return all(
            test.matcher.matches(known[test.name]) is not test.negated
            for test in self.tests
            if test.name in known
        )

    def __str__(self) -> str:
        return ", ".join(map(str, self.tests)) or "anything"

    def asks(self, name: str) -> bool:
        """Whether anything is asked of a fact."""
        return any(test.name == name for test in self.tests)


def conditions(tests: Iterable[Test]) -> Conditions:
    """Conditions, the cheap ones first."""
    return Conditions(tuple(sorted(tests, key=lambda test: _COST.get(test.name, len(_COST)))))


def asks(not_: Mapping[str, object] | None = None, **wanted: object) -> Conditions:
    """Conditions from plain values as a file gives them, without sets and calendars."""
    tests = [Test(name, FACTS[name], matcher_of(FACTS[name].kind, v)) for name, v in wanted.items()]
    tests += [
        Test(name, FACTS[name], matcher_of(FACTS[name].kind, value), negated=True)
        for name, value in (not_ or {}).items()
    ]
    return conditions(tests)


Named = Mapping[str, AddressSet]
NamedCalendars = Mapping[str, Calendar]


def matcher_of(
    kind: str, value: Any, sets: Named | None = None, calendars: NamedCalendars | None = None
) -> Matcher:
    """The matcher of what a condition of a file says.

    Raises:
        KeyError: a set or calendar of that name is not there.
        ValueError: the value is none of that kind.
    """
    if kind == "flag":
        return Flag(value)
    if kind == "amount":
        return Amount(value.get("above"), value.get("below"))
    words = _words(value)
    named = [(sets or {})[word.removeprefix(SET)] for word in words if is_set(word)]
    if kind == "prefixes":
        return addresses((word for word in words if not isinstance(word, str)), named)
    if kind == "numbers":
        return numbers((word for word in words if not is_set(word)), named)
    if kind == "calendars":
        return Calendars(tuple((calendars or {})[word] for word in words))
    return _BY_WORDS.get(kind, _one_of)(words)


def in_spite_of_failure(matcher: Matcher, stops: bool, negated: bool) -> Matcher:
    """A matcher of what a database knows, that does what is wanted when the database fails.

    Args:
        stops: Whether the rule ends a request.
        negated: Whether it is a condition that must not hold.
    """
    if not isinstance(matcher, OneOf):
        return matcher
    return OneOf(matcher.words | {FAILED_CLOSED if stops is not negated else FAILED_OPEN})


def _one_of(words: tuple[str, ...]) -> Matcher:
    return OneOf(frozenset(words))


def _countries(words: tuple[str, ...]) -> Matcher:
    return OneOf(frozenset(UNKNOWN if word == "unknown" else word.upper() for word in words))


def _or_unknown(words: tuple[str, ...]) -> Matcher:
    return OneOf(frozenset(UNKNOWN if word == "unknown" else word for word in words))


_BY_WORDS: Final[dict[str, Callable[[tuple[str, ...]], Matcher]]] = {
    "countries": _countries,
    "number_kinds": _or_unknown,
    "asns": _or_unknown,
    "pieces": lambda words: Pieces(tuple(word.lower() for word in words)),
    "names": lambda words: AnyOf(frozenset(word.lower() for word in words)),
    "protections": lambda words: AnyOf(frozenset(words)),
    "statuses": Statuses,
    "domains": lambda words: Domains(tuple(word.lower() for word in words)),
}


def _words(value: Any) -> tuple[Any, ...]:
    return (
        tuple(value) if isinstance(value, Collection) and not isinstance(value, str) else (value,)
    )


def covers(wide: Conditions, narrow: Conditions) -> bool:
    """Whether everything that fulfils `narrow` surely fulfils `wide`."""
    return all(any(_implies(other, test) for other in narrow.tests) for test in wide.tests)


def _implies(narrow: Test, wide: Test) -> bool:
    if narrow.name != wide.name or narrow.negated is not wide.negated:
        return False
    if narrow.negated:
        return within(wide.matcher, narrow.matcher)
    return within(narrow.matcher, wide.matcher)
