"""Policies as frozen objects: conditions, rules, rate limits, and what a decision carries."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from sbc.prefixes import PrefixMap

Outcome = Literal["allow", "reject", "drop"]

Level = Literal["flow", "source", "prefix", "asn", "peer", "network", "user", "method"]
"""What a rate limit counts by; see `sbc.policy.admission`."""


class Facts(NamedTuple):
    """What is known about a request when it is decided on."""

    network: str
    trusted: bool
    """Whether that network is trusted."""
    host: str
    """Numeric source address."""
    method: str = ""
    peer: str | None = None
    """The PBX or trunk that the source address belongs to, if any."""
    registered: bool = False
    """Whether the request came on the flow of a live binding."""
    user_agent: str | None = None
    """Value of User-Agent (Server in none of them)."""


class Evidence(NamedTuple):
    """One condition of a decision: what was looked at, its value, and what the rule wanted."""

    fact: str
    value: str
    wanted: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to a request, and why. There is no decision without a rule."""

    outcome: Outcome
    rule: str
    where: str
    """``file:line`` of the rule; ``"built in"`` for what no file says."""
    status: int = 0
    """The SIP status of a reject; 0 otherwise."""
    text: str = ""
    """The reason phrase of a reject; empty for the usual one of the status."""
    tested: tuple[Evidence, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether the request goes on."""
        return self.outcome == "allow"

    @property
    def explanation(self) -> str:
        """The decision on one line, for logs, journals and operators."""
        status = f" {self.status}" if self.status else ""
        values = ", ".join(
            f"{test.fact} {test.value} ({test.wanted} wanted)" for test in self.tested
        )
        return f"{self.outcome}{status} by rule {self.rule!r} ({self.where})" + (
            f": {values}" if values else ""
        )


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a rule asks of the facts; None asks nothing. All of them must hold."""

    networks: frozenset[str] | None = None
    trusted: bool | None = None
    sources: PrefixMap[str] | None = field(default=None, compare=False)
    """Each prefix gives its own text; compared by `source_texts`."""
    source_texts: tuple[str, ...] = ()
    peers: frozenset[str] | None = None
    known_peer: bool | None = None
    methods: frozenset[str] | None = None
    registered: bool | None = None
    agents: tuple[str, ...] | None = None
    """Lower-case pieces, any of which User-Agent contains."""

    def hold(self, facts: Facts) -> bool:
        """Whether all of them hold; the cheap ones are asked first."""
        if self.trusted is not None and facts.trusted is not self.trusted:
            return False
        if self.methods is not None and facts.method not in self.methods:
            return False
        if self.registered is not None and facts.registered is not self.registered:
            return False
        if self.known_peer is not None and (facts.peer is not None) is not self.known_peer:
            return False
        if self.networks is not None and facts.network not in self.networks:
            return False
        if self.peers is not None and facts.peer not in self.peers:
            return False
        return self._source_and_agent_hold(facts)

    def _source_and_agent_hold(self, facts: Facts) -> bool:
        if self.sources is not None and self.sources.find(facts.host) is None:
            return False
        return self.agents is None or self._agent(facts) is not None

    def _agent(self, facts: Facts) -> str | None:
        text = (facts.user_agent or "").lower()
        for piece in self.agents or ():
            if piece in text:
                return piece
        return None

    def tested(self, facts: Facts) -> tuple[Evidence, ...]:
        """The values that were looked at, each with what was wanted; for facts that hold."""
        tests: list[Evidence] = []
        if self.trusted is not None:
            tests.append(Evidence("trust", _trust(facts.trusted), _trust(self.trusted)))
        if self.methods is not None:
            tests.append(Evidence("method", facts.method, _any_of(self.methods)))
        for fact, value, wanted in (
            ("registered", facts.registered, self.registered),
            ("known_peer", facts.peer is not None, self.known_peer),
        ):
            if wanted is not None:
                tests.append(Evidence(fact, _yes(value), _yes(wanted)))
        if self.networks is not None:
            tests.append(Evidence("network", facts.network, _any_of(self.networks)))
        if self.peers is not None:
            tests.append(Evidence("peer", facts.peer or "none", _any_of(self.peers)))
        if self.sources is not None:
            tests.append(Evidence("source", facts.host, self.sources.find(facts.host) or "none"))
        if self.agents is not None:
            tests.append(
                Evidence("user_agent", facts.user_agent or "", f"*{self._agent(facts) or ''}*")
            )
        return tuple(tests)


def _trust(trusted: bool) -> str:
    return "trusted" if trusted else "untrusted"


def _yes(value: bool) -> str:
    return "true" if value else "false"


def _any_of(words: Iterable[str]) -> str:
    return "|".join(sorted(words))


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: the first whose conditions hold decides."""

    name: str
    when: Conditions
    outcome: Outcome
    where: str
    status: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A token bucket: `burst` messages at once, then `rate` per second.

    The conditions may ask for network, trust, source, known peer and registered; nothing of the
    message is known yet.
    """

    name: str
    when: Conditions
    per: Level
    """What has a bucket of its own."""
    rate: float
    burst: int
    where: str
    shadow: bool = False
    """Whether it only counts what it would drop."""


class PolicySet:
    """All rules and rate limits in force, compiled. Immutable; swapped as one reference."""

    __slots__ = ("_by_method", "_others", "rate_limits", "rules")

    def __init__(self, rules: Iterable[Rule] = (), rate_limits: Iterable[RateLimit] = ()) -> None:
        self.rules = tuple(rules)
        self.rate_limits = tuple(rate_limits)
        methods: set[str] = set()
        for rule in self.rules:
            methods.update(rule.when.methods or ())
        self._by_method = {
            (trusted, method): self._select(trusted, method)
            for trusted in (False, True)
            for method in methods
        }
        self._others = {trusted: self._select(trusted, None) for trusted in (False, True)}

    def _select(self, trusted: bool, method: str | None) -> tuple[Rule, ...]:
        return tuple(
            rule
            for rule in self.rules
            if rule.when.trusted in (None, trusted)
            and (rule.when.methods is None or method in rule.when.methods)
        )

    def candidates(self, facts: Facts) -> tuple[Rule, ...]:
        """The rules that trust and method leave possible, in order."""
        found = self._by_method.get((facts.trusted, facts.method))
        return self._others[facts.trusted] if found is None else found
