"""Policy text to frozen objects; a pure function of the text and the names it may use."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from sbc.document.problem import Path, Problem, Severity, did_you_mean
from sbc.document.schema import Section, validate
from sbc.document.text import Document, read_document
from sbc.policy.ban_rules import BanRules
from sbc.policy.bans_schema import ban_rules
from sbc.policy.conditions import (
    Conditions,
    Named,
    NamedCalendars,
    Test,
    conditions,
    matcher_of,
)
from sbc.policy.expressions import regular
from sbc.policy.facts import FACTS
from sbc.policy.gate import PARSED_LEVELS
from sbc.policy.matchers import SET, Flag, is_set
from sbc.policy.model import SOURCES, STAGES, PolicySet, RateLimit, StageName
from sbc.policy.rules import Rule
from sbc.policy.schema import PolicyFile, RateLimitSection, RuleSection, rules_of
from sbc.policy.shadows import shadowed


@dataclass(frozen=True, slots=True)
class Names:
    """What the conditions of a policy may name; None where anything is accepted."""

    networks: Collection[str] | None = None
    peers: Collection[str] | None = None
    sets: Named = field(default_factory=dict)
    calendars: NamedCalendars = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """One policy file: what it says, and what is wrong with it."""

    stages: Mapping[StageName, tuple[Rule, ...]]
    rate_limits: tuple[RateLimit, ...]
    problems: tuple[Problem, ...]
    bans: BanRules | None = None

    @property
    def broken(self) -> bool:
        """Whether any problem is an error; then there are no rules."""
        return any(problem.is_error for problem in self.problems)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Those of access control."""
        return self.stages.get("rules", ())

    @property
    def all_rules(self) -> Iterable[Rule]:
        """Those of every stage."""
        return (rule for rules in self.stages.values() for rule in rules)


def load_policy(
    text: str,
    file: str,
    networks: Collection[str] | None = None,
    peers: Collection[str] | None = None,
) -> LoadedPolicy:
    """Read one policy file.

    Args:
        file: the name to show for it.
        networks: names that conditions may use; None accepts any.
        peers: likewise.
    """
    document = read_document(text, file)
    model = validate(document, PolicyFile)
    if model is None:
        return LoadedPolicy({}, (), tuple(document.problems))
    reader = _Reader(document, Names(networks, peers))
    limits = tuple(
        reader.limit(section, ("rate_limits", number))
        for number, section in enumerate(model.rate_limits)
    )
    reader.find_shadowed(
        "rate_limits", [(one.name, one.when, f"{one.per} {one.shadow}") for one in limits]
    )
    stages: dict[StageName, tuple[Rule, ...]] = {}
    for stage in (SOURCES, *STAGES):
        sections = enumerate(rules_of(model, stage))
        rules = tuple(reader.rule(section, (stage.name, n)) for n, section in sections)
        reader.find_shadowed(stage.name, [(rule.name, rule.when, "") for rule in rules])
        stages[stage.name] = rules
    if document.broken:
        return LoadedPolicy({}, (), tuple(document.problems))
    bans = None if model.bans is None else ban_rules(model.bans, document.place(("bans",)).where)
    return LoadedPolicy(stages, limits, tuple(document.problems), bans)


def combine(policies: Iterable[LoadedPolicy]) -> PolicySet:
    """Several files as one: the rules of the first before those of the second."""
    files = tuple(policies)
    return PolicySet(
        (rule for policy in files for rule in policy.rules),
        (limit for policy in files for limit in policy.rate_limits),
        {
            stage.name: [rule for policy in files for rule in policy.stages.get(stage.name, ())]
            for stage in (SOURCES, *STAGES)
        },
        next((policy.bans for policy in files if policy.bans is not None), None),
    )


class _Reader:
    """Sections to rules, with their places."""

    __slots__ = ("_document", "_known", "_names")

    def __init__(self, document: Document, known: Names) -> None:
        self._document = document
        self._known = known
        self._names: dict[str, int] = {}

    def rule(self, section: RuleSection, path: Path) -> Rule:
        """A rule."""
        where = self._name(section.name, path)
        return Rule(
            section.name, self._conditions(section.when, (*path, "when")), section.then, where
        )

    def limit(self, section: RateLimitSection, path: Path) -> RateLimit:
        """A rate limit."""
        where = self._name(section.name, path)
        when = self._conditions(section.when, (*path, "when"))
        if section.per not in PARSED_LEVELS:
            for test in when.tests:
                if test.fact.parsed:
                    self._document.report(
                        (*path, "when", *(("not",) if test.negated else ()), test.name),
                        f"{test.name!r} is not known yet where messages per {section.per} count",
                        "only limits per user or method may ask for it",
                    )
        return RateLimit(
            section.name, when, section.per, section.rate, section.burst, where, section.shadow
        )

    def _name(self, name: str, path: Path) -> str:
        place = self._document.place(path)
        first = self._names.setdefault(name, place.line)
        if first != place.line:
            self._document.report(
                (*path, "name"),
                f"the name {name!r} is taken",
                f"by line {first}; explanations need names that differ",
            )
        return place.where

    def _conditions(self, section: Section, path: Path) -> Conditions:
        tests = list(self._tests(section, path))
        unwanted = getattr(section, "not_", None)
        if unwanted is not None:
            tests += [one._replace(negated=True) for one in self._tests(unwanted, (*path, "not"))]
        asked = {test.name: test.matcher for test in tests if not test.negated}
        if "peer" in asked and asked.get("known_peer") == Flag(False):
            self._document.report(
                (*path, "known_peer"),
                "no peer is an unknown one: the conditions peer and known_peer contradict",
                "remove one of them",
            )
        return conditions(tests)

    def _tests(self, section: Section, path: Path) -> Iterable[Test]:
        for name in type(section).model_fields:
            value = None if name == "not_" else getattr(section, name)
            if value is None:
                continue
            here = (*path, name)
            fact = FACTS[name]
            if isinstance(value, Section):
                value = value.model_dump()
                if all(bound is None for bound in value.values()):
                    self._document.report(here, "no bound is given", "for example: {above: 10}")
                    continue
            elif self._unknown(fact.kind, value, here):
                continue
            known = self._known
            if fact.kind == "regex":
                yield Test(name, fact, regular(value))
            else:
                yield Test(name, fact, matcher_of(fact.kind, value, known.sets, known.calendars))

    def _unknown(self, kind: str, value: object, path: Path) -> bool:
        """Complain about names that are not there; whether there are any."""
        words = value if isinstance(value, tuple) else ()
        named: dict[str, tuple[Collection[str] | None, str]] = {
            "networks": (self._known.networks, "network"),
            "peers": (self._known.peers, "peer"),
            "calendars": (self._known.calendars, "calendar"),
        }
        known, what = named.get(kind, (self._known.sets, "set"))
        found = False
        for number, word in enumerate(words):
            if kind not in named and not is_set(word):
                continue
            name = word.removeprefix(SET) if kind not in named else word
            if known is not None and name not in known:
                place = (*path, number) if (*path, number) in self._document.values else path
                hint = did_you_mean(name, known, f"{what}s")
                self._document.report(place, f"there is no {what} {name!r}", hint)
                found = True
        return found

    def find_shadowed(self, key: str, entries: list[tuple[str, Conditions, str]]) -> None:
        """Warn about entries that an earlier one of their kind leaves nothing."""
        for kind in dict.fromkeys(kind for _, _, kind in entries):
            alike = [number for number, entry in enumerate(entries) if entry[2] == kind]
            for below, above in shadowed([entries[number][1] for number in alike]):
                number, earlier = alike[below], alike[above]
                line = self._document.place((key, earlier)).line
                self._document.report(
                    (key, number),
                    f"{entries[number][0]!r} can never match: {entries[earlier][0]!r} in line "
                    f"{line} takes all of it",
                    "put the narrower one first",
                    severity=Severity.WARNING,
                )
