"""Policy text to frozen objects; a pure function of the text and the names it may use."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_
from typing import Final

from sbc.document.problem import Path, Problem, Severity, did_you_mean
from sbc.document.schema import Section, validate
from sbc.document.text import Document, read_document
from sbc.policy.ban_rules import BanRules
from sbc.policy.bans_schema import ban_rules
from sbc.policy.call_facts import NOBODY, Owned, Owners
from sbc.policy.call_limits import CallLimit
from sbc.policy.conditions import (
    Conditions,
    Test,
    conditions,
    in_spite_of_failure,
    matcher_of,
)
from sbc.policy.emergency import NO_EMERGENCY, Emergency
from sbc.policy.expressions import regular
from sbc.policy.facts import FACTS, header_fact
from sbc.policy.gate import PARSED_LEVELS
from sbc.policy.library import Library, emergency_of
from sbc.policy.manipulation_load import HeaderRuleReader
from sbc.policy.manipulation_rules import HeaderRule
from sbc.policy.matchers import SET, Flag, is_set
from sbc.policy.media import MediaRule
from sbc.policy.media_schema import codec_rules
from sbc.policy.model import SOURCES, STAGES, PolicySet, RateLimit, StageName
from sbc.policy.owners import joined
from sbc.policy.rules import STOPS, Rule
from sbc.policy.schema import (
    CallLimitSection,
    HeaderRuleSection,
    MediaRuleSection,
    OwnersSection,
    PolicyFile,
    RateLimitSection,
    RuleSection,
    rules_of,
)
from sbc.policy.sets import EntrySet
from sbc.policy.shadows import shadowed
from sbc.policy.takeover import TakeoverRules
from sbc.policy.takeover_schema import build_takeover
from sbc.policy.tariffs_schema import NO_TABLE, TariffTable, build_tariffs, combined


@dataclass(frozen=True, slots=True)
class Names:
    """What the conditions of a policy may name; None where anything is accepted."""

    networks: Collection[str] | None = None
    peers: Collection[str] | None = None
    library: Library = field(default_factory=Library)


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """One policy file: what it says, and what is wrong with it."""

    stages: Mapping[StageName, tuple[Rule, ...]]
    rate_limits: tuple[RateLimit, ...]
    problems: tuple[Problem, ...]
    """Its own, behind those of the files that it includes."""
    bans: BanRules | None = None
    sets: Mapping[str, EntrySet] = field(default_factory=dict)
    emergency: Emergency = NO_EMERGENCY
    admission: tuple[CallLimit, ...] = ()
    headers: tuple[HeaderRule, ...] = ()
    media: tuple[MediaRule, ...] = ()
    owners: Owners = NOBODY
    tariffs: TariffTable = NO_TABLE
    takeover: TakeoverRules | None = None
    included: tuple["LoadedPolicy", ...] = ()
    """The files that it includes, whose problems are its problems."""

    @property
    def files(self) -> tuple["LoadedPolicy", ...]:
        """It, and before it all that it includes."""
        return (*(file for one in self.included for file in one.files), self)

    @property
    def broken(self) -> bool:
        """Whether any problem is an error; then there are no rules."""
        return any(problem.is_error for problem in self.problems)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Those of access control."""
        return self.stages.get("rules", ())


def load_policy(
    text: str,
    file: str,
    networks: Collection[str] | None = None,
    peers: Collection[str] | None = None,
    library: Library | None = None,
) -> LoadedPolicy:
    """Read one policy file, and those that it includes.

    Args:
        file: the name to show for it.
        networks: names that conditions may use; None accepts any.
        peers: likewise.
        library: What was defined before, and how files are read; it learns what this one defines.
    """
    library = Library() if library is None else library
    document = read_document(text, file)
    included: list[LoadedPolicy] = []
    library.include(
        document,
        lambda text, file: included.append(load_policy(text, file, networks, peers, library)),
    )
    library.expand(document, text)
    own = _load(document, Names(networks, peers, library))
    problems = (*(problem for one in included for problem in one.problems), *own.problems)
    return replace(own, included=tuple(included), problems=problems)


def _load(document: Document, names: Names) -> LoadedPolicy:
    """What a document itself says."""
    model = validate(document, PolicyFile)
    if model is None:
        return LoadedPolicy({}, (), tuple(document.problems))
    sets = names.library.define(document, model)
    reader = _Reader(document, names)
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
    headers = reader.headers(model.headers)
    admission = tuple(reader.call_limit(one, n) for n, one in enumerate(model.admission))
    media = tuple(reader.media(one, ("media", n)) for n, one in enumerate(model.media))
    reader.find_shadowed("media", [(one.name, one.when, "") for one in media])
    owners = reader.owners(model.owners)
    tariffs = build_tariffs(document, model.tariffs, names.library.read)
    if document.broken:
        return LoadedPolicy({}, (), tuple(document.problems))
    return LoadedPolicy(
        stages,
        limits,
        tuple(document.problems),
        bans=None if model.bans is None else ban_rules(model.bans, document.place(("bans",)).where),
        sets=sets,
        emergency=emergency_of(model.emergency),
        admission=admission,
        headers=headers,
        media=media,
        owners=owners,
        tariffs=tariffs,
        takeover=build_takeover(document, model.registrations),
    )


def combine(policies: Iterable[LoadedPolicy]) -> PolicySet:
    """Several files as one: the rules of the first before those of the second."""
    files = tuple(file for policy in policies for file in policy.files)
    return PolicySet(
        (rule for policy in files for rule in policy.rules),
        (limit for policy in files for limit in policy.rate_limits),
        {
            stage.name: [rule for policy in files for rule in policy.stages.get(stage.name, ())]
            for stage in (SOURCES, *STAGES)
        },
        bans=next((policy.bans for policy in files if policy.bans is not None), None),
        sets=[one for policy in files for one in policy.sets.values()],
        emergency=reduce(or_, (policy.emergency for policy in files), NO_EMERGENCY),
        admission=(limit for policy in files for limit in policy.admission),
        headers=(rule for policy in files for rule in policy.headers),
        media=(rule for policy in files for rule in policy.media),
        owners=joined(policy.owners for policy in files),
        tariffs=combined(policy.tariffs for policy in files),
        takeover=next((one.takeover for one in files if one.takeover is not None), None),
    )


_SETS: Final = {"prefixes": "networks", "numbers": "numbers"}
"""The kind of sets that facts of a kind may be in."""

_PLACED: Final = frozenset(("source_country", "source_asn"))
"""The facts that databases know, which may fail."""


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
        stops = section.then.verb in STOPS
        when = self._conditions(section.when, (*path, "when"), stops)
        return Rule(section.name, when, section.then, where)

    def media(self, section: MediaRuleSection, path: Path) -> MediaRule:
        """A rule for media."""
        where = self._name(section.name, path)
        codecs = codec_rules(section.codecs, section.kinds, f"{section.name!r} ({where})")
        if not str(codecs):
            self._document.report(path, "the rule says nothing", "add codecs, or kinds", key=True)
        when = self._conditions(section.when, (*path, "when"))
        return MediaRule(section.name, when, codecs, where)

    def owners(self, section: OwnersSection) -> Owners:
        """Who owns which numbers."""
        known = self._known.peers
        for name in section.peers:
            if known is not None and name not in known:
                hint = did_you_mean(name, known, "peers")
                here = ("owners", "peers", name)
                self._document.report(here, f"there is no peer {name!r}", hint, key=True)
        return Owners(self._owned(section.peers, "peers"), self._owned(section.users, "users"))

    def _owned(self, lists: Mapping[str, tuple[str, ...]], key: str) -> dict[str, Owned]:
        return {
            name: matcher_of("numbers", texts, self._known.library.sets)
            for name, texts in lists.items()
            if not self._unknown("numbers", texts, ("owners", key, name))
        }

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

    def call_limit(self, section: CallLimitSection, number: int) -> CallLimit:
        """A limit on calls."""
        path: Path = ("admission", number)
        where = self._name(section.name, path)
        if section.max_calls is section.calls_per_second is section.max_kbps is None:
            hint = "add max_calls, calls_per_second or max_kbps"
            self._document.report(path, "the limit limits nothing", hint, key=True)
        return CallLimit(
            section.name,
            self._conditions(section.when, (*path, "when")),
            section.per,
            where,
            section.max_calls,
            section.calls_per_second,
            section.burst,
            section.max_kbps,
        )

    def headers(self, sections: tuple[HeaderRuleSection, ...]) -> tuple[HeaderRule, ...]:
        """The rules for headers."""
        reader = HeaderRuleReader(self._document, self._known.networks, self._known.peers)
        rules = []
        for number, section in enumerate(sections):
            path: Path = ("headers", number)
            where = self._name(section.name, path)
            when = self._conditions(section.when, (*path, "when"))
            rules.append(reader.rule(section, where, when, path))
        return tuple(rules)

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

    def _conditions(self, section: Section, path: Path, stops: bool = True) -> Conditions:
        """Conditions of a rule, or of a limit, which `stops` as a rule that refuses does."""
        tests = list(self._tests(section, path))
        unwanted = getattr(section, "not_", None)
        if unwanted is not None:
            tests += [one._replace(negated=True) for one in self._tests(unwanted, (*path, "not"))]
        tests = [
            one._replace(matcher=in_spite_of_failure(one.matcher, stops, one.negated))
            if one.name in _PLACED
            else one
            for one in tests
        ]
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
            known = self._known.library
            if fact.kind == "headers":
                for header, texts in value.items():
                    yield Test(f"{name} {header.lower()}", header_fact(header), regular(texts))
            elif fact.kind == "regex":
                yield Test(name, fact, regular(value))
            else:
                yield Test(name, fact, matcher_of(fact.kind, value, known.sets, known.calendars))

    def _unknown(self, kind: str, value: object, path: Path) -> bool:
        """Complain about names that are not there; whether there are any."""
        words = value if isinstance(value, tuple) else ()
        named: dict[str, tuple[Collection[str] | None, str]] = {
            "networks": (self._known.networks, "network"),
            "peers": (self._known.peers, "peer"),
            "calendars": (self._known.library.calendars, "calendar"),
        }
        sets = self._known.library.sets
        known, what = named.get(kind, (sets, "set"))
        found = False
        for number, word in enumerate(words):
            if kind not in named and not is_set(word):
                continue
            name = word.removeprefix(SET) if kind not in named else word
            place = (*path, number) if (*path, number) in self._document.values else path
            if known is not None and name not in known:
                hint = did_you_mean(name, known, f"{what}s")
                self._document.report(place, f"there is no {what} {name!r}", hint)
                found = True
            elif kind not in named and sets[name].kind != _SETS.get(kind):
                wanted = _SETS.get(kind)
                hint = f"a set of {wanted} is wanted" if wanted else "write the values out"
                self._document.report(place, f"{name!r} is a set of {sets[name].kind}", hint)
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
