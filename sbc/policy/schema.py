"""What a policy file may say.

The pydantic side of `sbc.policy.load`; the decisions themselves know nothing of it.
"""

import re
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import (
    Field,
    PlainValidator,
    WithJsonSchema,
    create_model,
)

from sbc.document.schema import BadValue, Section
from sbc.policy.bans_schema import BansSection
from sbc.policy.call_limits import Per
from sbc.policy.conditions_schema import (
    MessageConditions,
    Pattern,
    RequestConditions,
    RuleName,
    SourceConditions,
    Word,
    many,
)
from sbc.policy.library_schema import Definitions
from sbc.policy.manipulation_schema import HeaderRuleKeys
from sbc.policy.media_schema import CODECS, KINDS, CodecsSection, Kinds
from sbc.policy.model import SOURCES, STAGES, Level, Stage
from sbc.policy.rules import Action, Verb
from sbc.policy.takeover_schema import RegistrationsSection
from sbc.policy.tariffs_schema import TariffsSection

MAX_TEXT_LENGTH = 128


def parse_action(value: object, verbs: tuple[Verb, ...]) -> Action:
    """``allow``, ``drop``, ``reject``, ``reject 404``, ``reject 404 Not here``, ``cap 10``, ...

    Raises:
        BadValue: it is none of what a stage's rules may say.
    """
    hint = "one of: " + ", ".join(_EXAMPLES.get(verb, verb) for verb in verbs)
    if not isinstance(value, str):
        raise BadValue("expected what to do", hint)
    word, _, rest = value.strip().partition(" ")
    verb = next((one for one in verbs if one == word), None)
    rest = rest.strip()
    if verb is None or (bool(rest) if verb not in _TAKING else verb != "reject" and not rest):
        raise BadValue(f"{value!r} is not understood", hint)
    if len(rest) > MAX_TEXT_LENGTH or not rest.isprintable():
        raise BadValue(f"the text is longer than {MAX_TEXT_LENGTH} or not printable", hint)
    if verb == "reject":
        return _reject(rest, hint)
    if verb == "cap" and not (rest.isascii() and rest.isdigit() and 0 < int(rest[:6]) < 10**5):
        raise BadValue(f"{rest!r} is no number of minutes", hint)
    if verb == "replace" and not re.fullmatch(r"\+?[0-9*#]{1,32}", rest):
        raise BadValue(f"{rest!r} is no number", hint)
    return Action(verb, 0, rest)


_EXAMPLES: Final[dict[Verb, str]] = {
    "reject": "reject 403 Some text",
    "replace": "replace +4930123",
    "tag": "tag Possible fraud",
    "cap": "cap 10",
}
_TAKING: Final = frozenset(_EXAMPLES)
"""The verbs that have more to say."""


def _reject(rest: str, hint: str) -> Action:
    status, _, text = rest.partition(" ")
    if status and not (status.isascii() and status.isdigit() and 400 <= int(status[:4]) <= 699):
        raise BadValue(f"{status!r} is no status from 400 to 699", hint)
    return Action("reject", int(status or 403), text.strip())


class RuleSection(Section):
    """One rule. The first rule of a stage whose conditions hold decides."""

    name: RuleName = Field(
        description="What logs and explanations call the rule.", examples=["registrations"]
    )
    when: RequestConditions = Field(  # type: ignore[valid-type]  # made of the table of facts
        default=RequestConditions(),
        description="Conditions, all of which must hold; without any the rule always matches.",
        examples=[{"trust": "untrusted", "method": "REGISTER"}],
    )
    then: Action


class SourceRuleSection(RuleSection):
    """A rule that is asked before anything of a message is read."""

    when: SourceConditions = Field(  # type: ignore[valid-type]  # made of the table of facts
        default=SourceConditions(),
        description="Conditions on the source, all of which must hold.",
        examples=[{"source": "set:bad"}],
    )


def _rules(stage: Stage) -> Any:
    """The type of a stage's list of rules."""
    verbs = stage.verbs
    parsed = stage is not SOURCES
    words = [_EXAMPLES.get(verb, verb) for verb in verbs]
    action = Annotated[
        Action,
        PlainValidator(partial(parse_action, verbs=verbs)),
        WithJsonSchema(
            {"type": "string", "pattern": rf"^({'|'.join(verbs)})( .+)?$", "examples": words}
        ),
    ]
    section = create_model(
        f"{stage.name.capitalize()}Rule",
        __base__=RuleSection if parsed else SourceRuleSection,
        __doc__=stage.description,
        then=(
            action,
            Field(
                description=f"What is done: {', '.join(f'`{word}`' for word in words)}.",
                examples=[words[-1] if "reject" not in verbs else "reject 403 Not from here"],
            ),
        ),
    )
    return tuple[section, ...]  # type: ignore[valid-type]  # made of the table of stages


class RateLimitSection(Section):
    """A limit on messages, counted before they are read unless it is per user or method."""

    name: RuleName = Field(
        description="What logs and explanations call the limit.", examples=["strangers"]
    )
    when: RequestConditions = Field(  # type: ignore[valid-type]  # made of the table of facts
        default=RequestConditions(),
        description="Whose messages count here; of each `per` the first limit that fits a source "
        "is its limit. Only limits per user or method may ask for more than the source.",
        examples=[{"trust": "untrusted"}],
    )
    per: Level = Field(
        default="source",
        description="Who has a budget of his own. `source`: each source address (IPv6: each /64), "
        "each registered phone, each peer's address. `flow`: each address and port. `prefix`: each "
        "/24 (IPv6: /48). `asn`: each autonomous system. `peer`: each peer. `network`: all on a "
        "network together. `prefix`, `asn` and `network` count strangers only, unless `when` asks "
        "for `registered`, `known_peer` or `peer`. `user` and `method` count requests outside "
        "calls after they are read: each user who proved who he is, each method of each source.",
    )
    shadow: bool = Field(
        default=False,
        description="Count and report what it would drop (`sbc limits`), but drop nothing.",
    )
    rate: float = Field(gt=0, le=1e9, description="Messages per second.", examples=[20])
    burst: int = Field(ge=1, le=10**9, description="Messages at once.", examples=[60])


class MediaRuleSection(Section):
    """A rule for the codecs and kinds of media of calls; the first that matches decides."""

    name: RuleName = Field(
        description="What logs and explanations call the rule.", examples=["narrow trunks"]
    )
    when: RequestConditions = Field(  # type: ignore[valid-type]  # made of the table of facts
        default=RequestConditions(),
        description="Conditions, all of which must hold; without any the rule always matches.",
        examples=[{"peer": "carrier"}],
    )
    kinds: Kinds | None = KINDS
    codecs: CodecsSection = CODECS


class OwnersSection(Section):
    """Who may present which numbers, in the form that they have inside; `presents` asks for it."""

    peers: dict[Word, many(Pattern)] = Field(  # type: ignore[valid-type]  # made by a function
        default={},
        description="By the name of a peer, or of a group of phones: what its calls may present.",
        examples=[{"carrier": ["+4930123*"]}],
    )
    users: dict[Word, many(Pattern)] = Field(  # type: ignore[valid-type]  # made by a function
        default={},
        description="By the name of a user who logged in or whose phone is registered; counts "
        "before the list of the peer.",
        examples=[{"alice": ["+49301234"]}],
    )


class CallLimitSection(Section):
    """A limit on calls: 503 above it. A call passes every limit that fits it."""

    name: RuleName = Field(
        description="What logs and explanations call the limit.", examples=["calls of a phone"]
    )
    when: RequestConditions = Field(  # type: ignore[valid-type]  # made of the table of facts
        default=RequestConditions(),
        description="Whose calls count here, by who begins them; without it all.",
        examples=[{"registered": True}],
    )
    per: Per = Field(
        default="user",
        description="Whose calls are counted together: those of each `user` (who logged in, else "
        "the registered phone, else the peer, else the address), `peer`, `network` or `source` "
        "that begins them, or `all`.",
    )
    max_calls: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="At once.", examples=[4]
    )
    calls_per_second: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="New ones per second.", examples=[0.5]
    )
    burst: Annotated[int, Field(ge=1)] = Field(
        default=10, description="New ones at once, before `calls_per_second` counts.", examples=[10]
    )
    max_kbps: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="Kilobits per second that these calls together may bring in one direction.",
        examples=[2000],
    )


class HeaderRuleSection(HeaderRuleKeys):
    """Changes of headers in messages of calls, in registrations, and in what we answer ourselves.

    Every rule that fits is applied, in order. What we answer ourselves outside of calls (OPTIONS,
    REGISTER, refusals) comes from nobody: no `from` fits it, and conditions and variables are about
    the request that it answers. 100 is never changed.
    """

    name: RuleName = Field(
        description="What logs and explanations call the rule.", examples=["name of the trunk"]
    )
    when: MessageConditions = Field(  # type: ignore[valid-type]  # made of the table of facts
        default=MessageConditions(),
        description="Conditions, all of which must hold. Source, peer and network are those of "
        "whom the message comes from, `called` and `caller` those of the call. `header`, "
        "`header_matches` and `status` ask about the message as it is then, others about what it "
        "stands for, as it came. Of what the called side sends `user` and `owners` are not known.",
        examples=[{"method": "INVITE"}],
    )


class _PolicyFile(Definitions):
    """A policy file."""

    rate_limits: tuple[RateLimitSection, ...] = Field(
        default=(),
        description="Limits on messages. A message passes the limits of every `per` that fit it.",
    )
    bans: BansSection | None = Field(
        default=None,
        description="Bans of sources that scan, guess and flood; at most one of all policy files "
        "says something of them.",
        examples=[{"threshold": 100}],
    )
    owners: OwnersSection = Field(
        default=OwnersSection(), description="Who may present which numbers."
    )
    media: tuple[MediaRuleSection, ...] = Field(
        default=(), description="Which codecs and kinds of media calls have."
    )
    tariffs: TariffsSection | None = Field(
        default=None, description="What calls cost, and how risky their destinations are."
    )
    registrations: RegistrationsSection | None = Field(
        default=None, description="The guard against phones that somebody else takes over."
    )
    admission: tuple[CallLimitSection, ...] = Field(
        default=(), description="Limits on calls, beside those of peers in sbc.yaml."
    )
    headers: tuple[HeaderRuleSection, ...] = Field(
        default=(), description="Changes of headers in messages, and in what we answer ourselves."
    )


if TYPE_CHECKING:

    class PolicyFile(_PolicyFile):
        """A policy file, as far as its keys are fixed."""

else:
    PolicyFile = create_model(
        "PolicyFile",
        __base__=_PolicyFile,
        __doc__="A policy file.",
        **{
            stage.name: (_rules(stage), Field(default=(), description=stage.description))
            for stage in (SOURCES, *STAGES)
        },
    )


def rules_of(file: PolicyFile, stage: Stage) -> tuple[RuleSection, ...]:
    """The rules of one stage, as the file has them."""
    found: tuple[RuleSection, ...] = getattr(file, stage.name)
    return found
