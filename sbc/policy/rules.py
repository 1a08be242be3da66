"""Rules in their order, found without trying them all.

A stage with many rules keeps them by one thing that each asks for: a source prefix, a number, a
word. A request is then asked only what the rules ask that its own values lead to, and what asks for
nothing of that kind; so a hundred thousand rules cost no more than a few.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import chain
from typing import Final, Literal, NamedTuple

from sbc.policy.conditions import Conditions
from sbc.policy.facts import FACTS, Facts
from sbc.policy.matchers import Addresses, Numbers, OneOf
from sbc.prefixes import PrefixMap
from sbc.routing.patterns import Exact, Prefix, parse_number_pattern

Outcome = Literal["allow", "reject", "drop"]

Verb = Literal[
    "allow", "reject", "drop", "pass", "warn", "replace", "tag", "anonymize", "challenge", "cap",
    "block", "change",
]  # fmt: skip
"""What a rule says is done; every stage has some of them."""

STOPS: Final[frozenset[str]] = frozenset({"reject", "drop"})
"""The verbs that end a request."""


def outcome_of(verb: Verb) -> Outcome:
    """What a verb means for the request."""
    return "reject" if verb == "reject" else "drop" if verb == "drop" else "allow"


class Action(NamedTuple):
    """What a rule does with a request."""

    verb: Verb
    status: int = 0
    """The SIP status of a reject; 0 otherwise."""
    text: str = ""
    """The reason phrase of a reject, or what another verb is about: a number, a tag, minutes."""

    def __str__(self) -> str:
        return " ".join(str(part) for part in self if part)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: of a stage, the first whose conditions hold decides."""

    name: str
    when: Conditions
    action: Action
    where: str
    """``file:line``."""

    @property
    def outcome(self) -> Outcome:
        """Whether the request goes on."""
        return outcome_of(self.action.verb)


FEW: Final = 8
"""So many rules are tried one after the other."""

_SORTED: Final = 64
"""So many numbers are sorted sooner than merged."""

_KEYS: Final = ("source", "called", "caller", "user", "peer", "source_country", "called_country",
                "source_asn", "network", "method")  # fmt: skip
"""The facts that rules are kept by; of those that a rule asks for, the first."""


class _Index:
    """Rules, by their numbers, under the values of one fact that they ask for."""

    __slots__ = ("_exact", "_lengths", "_prefixes", "read")

    def __init__(self, read: Callable[[Facts], str]) -> None:
        self.read = read
        self._exact: dict[str, list[int]] = {}
        self._lengths: list[int] = []
        self._prefixes: PrefixMap[list[int]] | None = None

    @classmethod
    def of(cls, name: str, entries: list[tuple[int, Conditions]]) -> "_Index":
        """The rules that ask for a fact."""
        index = cls(FACTS[name].read)
        networks: dict[object, list[int]] = {}
        lengths: set[int] = set()
        for number, when in entries:
            matcher = when.matcher(name)
            if isinstance(matcher, Addresses):
                for network in matcher.networks:
                    networks.setdefault(network, []).append(number)
                continue
            for key in _keys_of(matcher):
                index._exact.setdefault(key, []).append(number)
                if isinstance(matcher, Numbers) and key.endswith("*"):
                    lengths.add(len(key) - 1)
        if networks:
            index._prefixes = PrefixMap(networks.items())  # type: ignore[arg-type]  # all are networks
        index._lengths = sorted(lengths)
        return index

    def find(self, facts: Facts) -> list[list[int]]:
        """The rules, in rising lists, that the value of the fact leads to."""
        value = self.read(facts)
        if self._prefixes is not None:
            return self._prefixes.find_all(value)
        exact = self._exact
        found = [exact[value]] if value in exact else []
        if self._lengths and value:
            for length in self._lengths:
                numbers = exact.get(value[:length] + "*")
                if numbers is not None and len(value) >= length:
                    found.append(numbers)
        return found


def _keys_of(matcher: object) -> list[str]:
    if isinstance(matcher, OneOf):
        return list(matcher.words)
    assert isinstance(matcher, Numbers)
    parsed = [parse_number_pattern(text) for text in matcher.texts]
    return [one.text if isinstance(one, Exact) else one.text + "*" for one in parsed
            if isinstance(one, Exact | Prefix)]  # fmt: skip


def _key_of(when: Conditions) -> str | None:
    """The fact that a rule may be kept by."""
    for name in _KEYS:
        matcher = when.matcher(name)
        if isinstance(matcher, OneOf):
            return name
        if isinstance(matcher, Addresses) and matcher.networks and not matcher.sets:
            return name
        if isinstance(matcher, Numbers) and not (matcher.sets or matcher.others):
            return name
    return None


class Rules:
    """The rules of one stage. Immutable."""

    __slots__ = ("_always", "_indexes", "all")

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.all = tuple(rules)
        kept: dict[str, list[tuple[int, Conditions]]] = {}
        always: list[int] = []
        for number, rule in enumerate(self.all):
            key = _key_of(rule.when) if len(self.all) > FEW else None
            if key is None:
                always.append(number)
            else:
                kept.setdefault(key, []).append((number, rule.when))
        self._indexes = [_Index.of(name, entries) for name, entries in kept.items()]
        self._always = {
            trusted: [
                number
                for number in always
                if self.all[number].when.possible(trust="trusted" if trusted else "untrusted")
            ]
            for trusted in (False, True)
        }

    def __len__(self) -> int:
        return len(self.all)

    def first(self, facts: Facts) -> Rule | None:
        """The first rule whose conditions hold."""
        for number in self._possible(facts):
            rule = self.all[number]
            if rule.when.hold(facts):
                return rule
        return None

    def _possible(self, facts: Facts) -> Iterator[int] | list[int]:
        """The numbers, rising, of rules that may hold."""
        always = self._always[facts.trusted]
        if not self._indexes:
            return always
        found = [numbers for index in self._indexes for numbers in index.find(facts)]
        if not found:
            return always
        if sum(map(len, found)) + len(always) <= _SORTED:
            return sorted(chain(always, *found))
        return merge(always, *found)
