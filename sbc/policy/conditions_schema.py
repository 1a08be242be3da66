"""How conditions are written in a policy file: made of the table of facts."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    WithJsonSchema,
    create_model,
)

from sbc.document.schema import BadValue, OneOrMany, Section
from sbc.policy.countries import check_country
from sbc.policy.expressions import regular
from sbc.policy.facts import FACTS, SECRET
from sbc.policy.matchers import is_set
from sbc.policy.prefix_text import parse_prefix
from sbc.prefixes import IpNetwork
from sbc.routing.patterns import parse_number_pattern
from sbc.sip.grammar import is_token
from sbc.sip.headers import key_of

METHOD_PATTERN = r"^[A-Z]+$"


def check_method(text: str) -> str:
    """A SIP method, which is case-sensitive (RFC 3261 §7.1)."""
    if not re.fullmatch(METHOD_PATTERN, text):
        raise BadValue(f"{text!r} is no method", f"did you mean {text.upper()!r}?")
    return text


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


def _one_line(text: str) -> str:
    """Logs, terminals and headers show it."""
    if not text.isprintable():
        raise BadValue(f"{text!a} holds characters that cannot be seen", "one line of plain text")
    return text


RuleName = Annotated[str, Field(min_length=1, max_length=80), AfterValidator(_one_line)]


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


def check_asn(text: str) -> str:
    """The number of an autonomous system, without ``AS`` in front, or ``unknown``.

    Raises:
        BadValue: it is neither.
    """
    number = text.upper().removeprefix("AS")
    if not re.fullmatch(r"[1-9][0-9]{0,9}|UNKNOWN", number):
        raise BadValue(f"{text!r} is no autonomous system", "for example: 64500, or unknown")
    return number.lower()


def check_country_or_unknown(text: str) -> str:
    """ISO 3166 letters of a country, or ``unknown``.

    Raises:
        BadValue: it is neither.
    """
    return text if text == "unknown" else check_country(text)


def check_header(name: str) -> str:
    """The name of a header that conditions may look into.

    Raises:
        BadValue: it is none, or the header proves who sends.
    """
    if not is_token(name):
        raise BadValue(f"{name!r} is no name of a header", "for example: X-Department")
    if key_of(name) in SECRET:
        raise BadValue(f"{name} proves who sends, and is shown to nobody", "ask for `user`")
    return name


def parse_status(value: object) -> str:
    """A status, or a class of them.

    Raises:
        BadValue: it is neither.
    """
    text = str(value)
    if not re.fullmatch(r"[1-6](?:[0-9]{2}|[0-9]x|xx)", text):
        raise BadValue(f"{text!r} is no status of a response", "for example: 486, 18x, 4xx")
    return text


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


def many(item: Any) -> Any:
    """A list of at least one; a single one will do."""
    return Annotated[tuple[item, ...], Field(min_length=1), OneOrMany()]


_Source = Annotated[
    IpNetwork | str,
    PlainValidator(parse_prefix_or_set),
    WithJsonSchema({"type": "string", "examples": ["192.0.2.0/24", "set:bad"]}),
]
Pattern = Annotated[
    str,
    PlainValidator(parse_pattern),
    WithJsonSchema({"type": "string", "examples": ["+49*", "set:premium"]}),
]


def _by_header(item: Any) -> Any:
    values = many(item)
    return Annotated[
        dict[Annotated[str, AfterValidator(check_header)], values],  # type: ignore[valid-type]  # made by kind
        Field(min_length=1),
    ]


_Expression = Annotated[str, AfterValidator(check_expression)]
_Status = Annotated[
    str,
    PlainValidator(parse_status),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["4xx", 486]}),
]
_TYPES: Final[dict[str, Any]] = {
    "flag": bool,
    "trust": Literal["trusted", "untrusted"],
    "amount": Bounds,
    "prefixes": many(_Source),
    "numbers": many(Pattern),
    "methods": Methods,
    "countries": many(Annotated[str, AfterValidator(check_country_or_unknown)]),
    "regex": many(_Expression),
    "headers": _by_header(_Expression),
    "statuses": Annotated[
        tuple[_Status, ...], Field(min_length=1), BeforeValidator(_listed), OneOrMany()
    ],
    "transports": many(Literal["udp", "tcp", "tls", "ws", "wss"]),
    "number_kinds": many(NumberKind),
    "asns": many(Annotated[str, AfterValidator(check_asn)]),
    "protections": many(Literal["none", "sdes", "dtls"]),
    "ownership": many(Literal["own", "foreign", "unlisted", "nothing"]),
}
"""How the values of each kind of fact are written; `Words` unless said."""


def _check_not(value: object) -> object:
    """What must not be so stands beside the facts, not in what is said of one.

    Raises:
        BadValue: it stands there.
    """
    if isinstance(value, dict) and "not" in value:
        raise BadValue(
            "'not' stands beside the facts, not in one",
            "for example: when: {method: INVITE, not: {source: 192.0.2.0/24}}",
        )
    return value


def _fields(names: Iterable[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in names:
        fact = FACTS[name]
        written = _TYPES.get(fact.kind, Words)
        examples = None if fact.example is None else [fact.example]
        found[name] = (
            Annotated[written | None, BeforeValidator(_check_not)],
            Field(default=None, description=fact.description, examples=examples),
        )
    return found


def _conditions(
    name: str,
    doc: str,
    facts: Iterable[str],
    not_here: Mapping[str, tuple[str, str]] | None = None,
) -> type[Section]:
    """A section of conditions on some facts, and of what must not be.

    Args:
        not_here: Facts that cannot be asked for, with why and what would be right.
    """
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
    made.not_here = none_of.not_here = not_here or {}
    return made


_UNREAD: Final = (
    "is not known yet: `sources` are asked before a message is read",
    "ask for it in `requirements` or `rules`",
)
_NO_HANDSHAKE: Final = (
    "is not known yet: `sources` are asked when a connection comes, before its TLS handshake",
    "ask for it in `requirements`, or here for `transport`",
)


SourceConditions = _conditions(
    "SourceConditions",
    "What may be asked before a message is read. All conditions given must hold.",
    (name for name, fact in FACTS.items() if not fact.parsed),
    {
        name: _NO_HANDSHAKE if name in ("tls_version", "client_certificate") else _UNREAD
        for name, fact in FACTS.items()
        if fact.parsed and not fact.answers
    },
)
RequestConditions = _conditions(
    "RequestConditions",
    "What may be asked about a request. All conditions given must hold.",
    (name for name, fact in FACTS.items() if not fact.answers),
)
MessageConditions = _conditions(
    "MessageConditions", "What may be asked about a message. All conditions given must hold.", FACTS
)
