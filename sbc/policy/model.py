"""Policies as frozen objects: stages of rules, rate limits, and what a decision carries."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from sbc.policy.ban_rules import BanRules
from sbc.policy.call_facts import NOBODY, Owners
from sbc.policy.call_limits import CallLimit
from sbc.policy.conditions import Conditions, Evidence
from sbc.policy.emergency import NO_EMERGENCY, Emergency
from sbc.policy.facts import Facts
from sbc.policy.manipulation_rules import HeaderRule, HeaderRules
from sbc.policy.media import MediaPolicy, MediaRule
from sbc.policy.rules import Action, Outcome, Rule, Rules, Verb
from sbc.policy.sets import EntrySet
from sbc.policy.takeover import NOTIFY, TakeoverRules
from sbc.policy.tariffs import NO_TARIFFS, Tariffs
from sbc.routing.codecs import CodecRules

StageName = Literal["sources", "requirements", "rules", "geo", "identity", "fraud"]

Level = Literal["flow", "source", "prefix", "asn", "peer", "network", "user", "method"]
"""What a rate limit counts by; see `sbc.policy.admission`."""


class Stage(NamedTuple):
    """One step of the way of a request through the policy."""

    name: StageName
    verbs: tuple[Verb, ...]
    """What its rules may say."""
    calls_only: bool
    """Whether only calls are asked about."""
    emergencies: bool
    """Whether emergency calls are asked about, too."""
    description: str


SOURCES: Final = Stage(
    "sources",
    ("allow", "block"),
    False,
    True,
    "Sources that are never limited or banned (`allow`), or dropped before anything of them is "
    "read (`block`); only the source may be asked about. What none is about goes on.",
)
"""What is asked before parsing; see `sbc.policy.admission`."""

STAGES: Final[tuple[Stage, ...]] = (
    Stage(
        "requirements",
        ("pass", "reject", "drop"),
        False,
        True,
        "What a request must be like before anything else is asked: TLS, certificates, SRTP.",
    ),
    Stage(
        "rules",
        ("allow", "reject", "drop"),
        False,
        True,
        "Who may do what; the first that matches decides, and what none allows is denied.",
    ),
    Stage(
        "geo",
        ("pass", "warn", "reject", "drop"),
        False,
        False,
        "From where and whereto, once it is known who asks; exceptions (`pass`) come first.",
    ),
    Stage(
        "identity",
        ("pass", "warn", "reject", "drop", "replace", "tag", "anonymize", "challenge"),
        True,
        True,
        "Who may present which number.",
    ),
    Stage(
        "fraud",
        ("pass", "warn", "cap", "reject", "drop"),
        True,
        False,
        "What calls may cost, and patterns of toll fraud.",
    ),
)
"""In the order in which a request passes them."""

ARRIVAL: Final = ("requirements", "rules")
"""The stages before authentication; the others come after it."""


class Step(NamedTuple):
    """What one stage said."""

    stage: str
    rule: str
    """Its name, or what is built in."""
    where: str
    """``file:line`` of the rule; ``"built in"`` for what no file says."""
    action: Action
    tested: tuple[Evidence, ...] = ()

    @property
    def explanation(self) -> str:
        """The step on one line."""
        values = ", ".join(
            f"{test.fact} {test.value} ({test.wanted} wanted)" for test in self.tested
        )
        return f"{self.action} by rule {self.rule!r} ({self.where})" + (
            f": {values}" if values else ""
        )


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
    trail: tuple[Step, ...] = ()
    """What every stage said whose rules were asked and had something to say, in their order."""
    codecs: CodecRules | None = None
    """What the media rules of the policy say of the call; None where none matches."""

    @property
    def allowed(self) -> bool:
        """Whether the request goes on."""
        return self.outcome == "allow"

    @property
    def explanation(self) -> str:
        """The decision on one line, for logs, journals and operators."""
        action = Action(self.outcome, self.status)
        return Step("", self.rule, self.where, action, self.tested).explanation

    def effects(self, verb: Verb) -> tuple[Step, ...]:
        """The steps that want something done to a request that goes on."""
        return tuple(step for step in self.trail if step.action.verb == verb)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A token bucket: `burst` messages at once, then `rate` per second.

    The conditions ask for what is known before anything of a message is read; those of limits per
    user and method may ask for all that is known of a request.
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
    """Everything that policies say, compiled. Immutable; swapped as one reference."""

    __slots__ = (
        "_stages", "admission", "bans", "emergency", "headers", "media", "owners", "rate_limits",
        "sets", "takeover", "tariffs",
    )  # fmt: skip

    def __init__(
        self,
        rules: Iterable[Rule] = (),
        rate_limits: Iterable[RateLimit] = (),
        stages: Mapping[StageName, Iterable[Rule]] | None = None,
        *,
        bans: BanRules | None = None,
        sets: Iterable[EntrySet] = (),
        emergency: Emergency = NO_EMERGENCY,
        admission: Iterable[CallLimit] = (),
        headers: Iterable[HeaderRule] = (),
        media: Iterable[MediaRule] = (),
        owners: Owners = NOBODY,
        tariffs: Tariffs = NO_TARIFFS,
        takeover: TakeoverRules | None = None,
    ) -> None:
        """Compile the rules.

        Args:
            rules: Those of access control.
            stages: Those of all other stages.
            bans: What is held against sources; None for only counting it.
            sets: The named sets that conditions ask.
            emergency: Which calls are emergency calls.
            admission: Limits on calls.
            headers: What is changed of messages that pass.
            media: Those for the media of calls.
            owners: Who may present which numbers.
            tariffs: What calls cost.
            takeover: What is done about registrations that somebody else takes over.
        """
        self.media = MediaPolicy(media)
        self.owners = owners
        self.tariffs = tariffs
        self.takeover = takeover or NOTIFY
        given = {**(stages or {}), "rules": rules}
        self._stages: dict[str, Rules] = {
            stage.name: Rules(given.get(stage.name, ())) for stage in (SOURCES, *STAGES)
        }
        self.rate_limits = tuple(rate_limits)
        self.bans = bans
        self.sets = tuple(sets)
        self.emergency = emergency
        self.admission = tuple(admission)
        self.headers = HeaderRules(headers)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules of access control, in order."""
        return self._stages["rules"].all

    def stage(self, name: StageName) -> Rules:
        """The rules of one stage."""
        return self._stages[name]

    @property
    def stages(self) -> dict[str, tuple[Rule, ...]]:
        """All rules, by stage."""
        return {name: rules.all for name, rules in self._stages.items()}

    def first(self, stage: StageName, facts: Facts) -> Rule | None:
        """The rule of a stage that decides on a request."""
        return self._stages[stage].first(facts)
