"""What a policy file may say.

The pydantic side of `sbc.policy.load`; the decisions themselves know nothing of it.
"""

import re
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema, create_model

from sbc.document.schema import BadValue, OneOrMany, Section
from sbc.policy.bans_schema import BansSection
from sbc.policy.expressions import regular
from sbc.policy.facts import FACTS
from sbc.policy.matchers import is_set
from sbc.policy.model import SOURCES, STAGES, Level, Stage
from sbc.policy.prefix_text import Prefix, parse_prefix
from sbc.policy.rules import Action, Verb
from sbc.prefixes import IpNetwork
from sbc.routing.patterns import parse_number_pattern

MAX_TEXT_LENGTH = 128
METHOD_PATTERN = r"^[A-Z]+$"


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


def check_method(text: str) -> str:
    """A SIP method, which is case-sensitive (RFC 3261 §7.1)."""
    if not re.fullmatch(METHOD_PATTERN, text):
        raise BadValue(f"{text!r} is no method", f"did you mean {text.upper()!r}?")
    return text


Prefixes = Annotated[tuple[Prefix, ...], Field(min_length=1), OneOrMany()]
Method = Annotated[
    str,
    AfterValidator(check_method),
    WithJsonSchema({"type": "string", "pattern": METHOD_PATTERN, "examples": ["INVITE"]}),
]
Methods = Annotated[tuple[Method, ...], Field(min_length=1), OneOrMany()]
Word = Annotated[str, Field(min_length=1)]
Words = Annotated[tuple[Word, ...], Field(min_length=1), OneOrMany()]
NumberKind = Literal[
    "fixed", "mobile", "fixed-or-mobile", "toll-free", "premium", "shared-cost", "voip", "personal",
    "pager", "company", "voicemail", "satellite", "short", "emergency", "invalid", "unallocated",
    "unknown",
]  # fmt: skip
"""What a number may be."""

RuleName = Annotated[str, Field(min_length=1, max_length=80)]


class Bounds(Section):
    """What an amount must be."""

    above: float | None = Field(default=None, description="More than this.", examples=[10])
    below: float | None = Field(default=None, description="Less than this.", examples=[100])


def parse_prefix_or_set(value: object) -> IpNetwork | str:
    """A prefix, or ``set:NAME``.

    Raises:
        BadValue: it is neither.
    """
    if isinstance(value, str) and is_set(value):
        return value
    return parse_prefix(value)


def parse_pattern(value: object) -> str:
    """A number pattern, or ``set:NAME``.

    Raises:
        BadValue: it is neither.
    """
    hint = "for example: +49*, 600, 600-699, 6??, set:premium"
    if not isinstance(value, str):
        raise BadValue("expected a number pattern", hint)
    if not is_set(value):
        try:
            parse_number_pattern(value)
        except ValueError as error:
            raise BadValue(str(error), hint) from None
    return value


def check_expression(text: str) -> str:
    """A regular expression that RE2 takes.

    Raises:
        BadValue: it is none.
    """
    try:
        regular([text])
    except ValueError as error:
        raise BadValue(str(error), "RE2 has no look-around and no backreferences") from None
    return text


def check_country(text: str) -> str:
    """ISO 3166 letters of a country, or ``unknown``.

    Raises:
        BadValue: it is neither.
    """
    if not re.fullmatch(r"[A-Za-z]{2}|unknown", text):
        raise BadValue(f"{text!r} is no country", "two letters, as DE, or unknown")
    return text


def _many(item: Any) -> Any:
    return Annotated[tuple[item, ...], Field(min_length=1), OneOrMany()]


_Source = Annotated[
    IpNetwork | str,
    PlainValidator(parse_prefix_or_set),
    WithJsonSchema({"type": "string", "examples": ["192.0.2.0/24", "set:bad"]}),
]
_Pattern = Annotated[
    str,
    PlainValidator(parse_pattern),
    WithJsonSchema({"type": "string", "examples": ["+49*", "set:premium"]}),
]
_TYPES: Final[dict[str, Any]] = {
    "flag": bool,
    "trust": Literal["trusted", "untrusted"],
    "amount": Bounds,
    "prefixes": _many(_Source),
    "numbers": _many(_Pattern),
    "methods": Methods,
    "countries": _many(Annotated[str, AfterValidator(check_country)]),
    "regex": _many(Annotated[str, AfterValidator(check_expression)]),
    "transports": _many(Literal["udp", "tcp", "tls", "ws", "wss"]),
    "number_kinds": _many(NumberKind),
}
"""How the values of each kind of fact are written; `Words` unless said."""


def _fields(names: Iterable[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in names:
        fact = FACTS[name]
        written = _TYPES.get(fact.kind, Words)
        examples = None if fact.example is None else [fact.example]
        found[name] = (
            written | None,
            Field(default=None, description=fact.description, examples=examples),
        )
    return found


def _conditions(name: str, doc: str, facts: Iterable[str]) -> type[Section]:
    """A section of conditions on some facts, and of what must not be."""
    names = tuple(facts)
    none_of: Any = create_model(
        f"Not{name}", __base__=Section, __doc__="None of these may hold.", **_fields(names)
    )
    fields = _fields(names)
    fields["not_"] = (
        none_of | None,
        Field(
            default=None,
            alias="not",
            description="Conditions none of which may hold.",
            examples=[{"source": "192.0.2.0/24"}],
        ),
    )
    made: type[Section] = create_model(name, __base__=Section, __doc__=doc, **fields)
    return made


SourceConditions = _conditions(
    "SourceConditions",
    "What may be asked before a message is read. All conditions given must hold.",
    (name for name, fact in FACTS.items() if not fact.parsed),
)
RequestConditions = _conditions(
    "RequestConditions", "What may be asked about a request. All conditions given must hold.", FACTS
)


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


class _PolicyFile(Section):
    """A policy file."""

    version: int = Field(default=1, ge=1, le=1, description="Version of this format.", examples=[1])
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
