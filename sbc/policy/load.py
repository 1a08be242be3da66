"""Policy text to frozen objects; a pure function of the text and the names it may use."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sbc.document.problem import Path, Problem, Severity, did_you_mean
from sbc.document.schema import validate
from sbc.document.text import Document, read_document
from sbc.policy.model import Conditions, PolicySet, RateLimit, Rule
from sbc.policy.schema import (
    PolicyFile,
    RateLimitSection,
    RequestConditions,
    RuleSection,
    SourceConditions,
)
from sbc.prefixes import IpNetwork, PrefixMap


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """One policy file: what it says, and what is wrong with it."""

    rules: tuple[Rule, ...]
    rate_limits: tuple[RateLimit, ...]
    problems: tuple[Problem, ...]

    @property
    def broken(self) -> bool:
        """Whether any problem is an error; then there are no rules."""
        return any(problem.is_error for problem in self.problems)


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
        return LoadedPolicy((), (), tuple(document.problems))
    reader = _Reader(document, networks, peers)
    limits = [
        reader.limit(section, ("rate_limits", number))
        for number, section in enumerate(model.rate_limits)
    ]
    rules = [reader.rule(section, ("rules", number)) for number, section in enumerate(model.rules)]
    reader.find_shadowed_limits(model.rate_limits)
    reader.find_shadowed_rules(model.rules)
    if document.broken:
        return LoadedPolicy((), (), tuple(document.problems))
    return LoadedPolicy(tuple(rules), tuple(limits), tuple(document.problems))


def combine(policies: Iterable[LoadedPolicy]) -> PolicySet:
    """Several files as one: the rules of the first before those of the second."""
    files = tuple(policies)
    return PolicySet(
        (rule for policy in files for rule in policy.rules),
        (limit for policy in files for limit in policy.rate_limits),
    )


class _Reader:
    """Sections to rules, with their places."""

    __slots__ = ("_document", "_names", "_networks", "_peers")

    def __init__(
        self,
        document: Document,
        networks: Collection[str] | None,
        peers: Collection[str] | None,
    ) -> None:
        self._document = document
        self._networks = networks
        self._peers = peers
        self._names: dict[str, int] = {}

    def rule(self, section: RuleSection, path: Path) -> Rule:
        """A rule."""
        where = self._name(section.name, path)
        when = self._conditions(section.when, (*path, "when"))
        verb = section.then
        return Rule(section.name, when, verb.outcome, where, verb.status, verb.text)

    def limit(self, section: RateLimitSection, path: Path) -> RateLimit:
        """A rate limit."""
        where = self._name(section.name, path)
        when = self._conditions(section.when, (*path, "when"))
        return RateLimit(section.name, when, section.per, section.rate, section.burst, where)

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

    def _conditions(self, section: SourceConditions, path: Path) -> Conditions:
        self._check(section.network, self._networks, "networks", (*path, "network"))
        self._check(section.peer, self._peers, "peers", (*path, "peer"))
        if section.peer is not None and section.known_peer is False:
            self._document.report(
                (*path, "known_peer"),
                "no peer is an unknown one: the conditions peer and known_peer contradict",
                "remove one of them",
            )
        prefixes = section.source or ()
        request = section if isinstance(section, RequestConditions) else RequestConditions()
        return Conditions(
            networks=_set(section.network),
            trusted=None if section.trust is None else section.trust == "trusted",
            sources=PrefixMap((p, str(p)) for p in prefixes) if prefixes else None,
            source_texts=tuple(str(prefix) for prefix in prefixes),
            peers=_set(section.peer),
            known_peer=section.known_peer,
            methods=_set(request.method),
            registered=section.registered,
            agents=None
            if request.user_agent is None
            else tuple(piece.lower() for piece in request.user_agent),
        )

    def _check(
        self,
        names: tuple[str, ...] | None,
        known: Collection[str] | None,
        what: str,
        path: Path,
    ) -> None:
        for number, name in enumerate(names or ()):
            if known is not None and name not in known:
                place = (*path, number) if (*path, number) in self._document.values else path
                self._document.report(
                    place, f"there is no {what[:-1]} {name!r}", did_you_mean(name, known, what)
                )

    def find_shadowed_rules(self, rules: tuple[RuleSection, ...]) -> None:
        """Warn about rules that an earlier one leaves nothing."""
        self._find_shadowed("rules", [(rule.name, rule.when, "") for rule in rules])

    def find_shadowed_limits(self, limits: tuple[RateLimitSection, ...]) -> None:
        """Warn about limits that an earlier one leaves nothing."""
        self._find_shadowed(
            "rate_limits", [(limit.name, limit.when, limit.per) for limit in limits]
        )

    def _find_shadowed(self, key: str, entries: list[tuple[str, SourceConditions, str]]) -> None:
        asked = [when.model_dump(exclude_none=True) for _, when, _ in entries]
        for number, (name, _, kind) in enumerate(entries):
            for earlier, (above, _, other_kind) in enumerate(entries[:number]):
                if kind == other_kind and covers(asked[earlier], asked[number]):
                    line = self._document.place((key, earlier)).line
                    self._document.report(
                        (key, number),
                        f"{name!r} can never match: {above!r} in line {line} takes all of it",
                        "put the narrower one first",
                        severity=Severity.WARNING,
                    )
                    break


def covers(wide: Mapping[str, object], narrow: Mapping[str, object]) -> bool:
    """Whether everything that fulfils the conditions `narrow` surely fulfils `wide`."""
    return all(key in narrow and _within(key, narrow[key], value) for key, value in wide.items())


def _within(key: str, narrow: object, wide: object) -> bool:
    if isinstance(narrow, tuple) and isinstance(wide, tuple):
        if key == "source":
            return all(any(_is_subnet(inner, outer) for outer in wide) for inner in narrow)
        if key == "user_agent":
            return all(any(outer.lower() in inner.lower() for outer in wide) for inner in narrow)
        return set(narrow) <= set(wide)
    return narrow == wide


def _is_subnet(inner: IpNetwork, outer: IpNetwork) -> bool:
    if inner.version == 4:
        return outer.version == 4 and inner.subnet_of(outer)
    return outer.version == 6 and inner.subnet_of(outer)


def _set(words: tuple[str, ...] | None) -> frozenset[str] | None:
    return None if words is None else frozenset(words)
