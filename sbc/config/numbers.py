"""Number rules of a peer: what its file may say of them, and what they become."""

import re
from typing import Annotated, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from sbc.config.values import parse_number
from sbc.document.problem import Path
from sbc.document.schema import BadValue, OneOrMany, Section
from sbc.document.text import Document
from sbc.numbering import country_of
from sbc.policy.numbers import NumberRole
from sbc.routing.numbers import NumberFormat, NumberRules, PrefixRule, Rewriting, UriForm
from sbc.routing.patterns import Exact, Range, parse_number_pattern

_DIALLED = re.compile(r"\+?[0-9*#]{0,20}")
_COUNTRY_EXAMPLE = "for example: DE or 49"


def parse_country(value: object) -> str:
    """A region of its two letters or its calling code."""
    found = country_of(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise BadValue(
            f"{value!r} is no country with a numbering plan",
            "two letters or the calling code, " + _COUNTRY_EXAMPLE,
        )
    return found


def parse_added(value: object) -> str:
    """What a rule puts in front of a number."""
    if not isinstance(value, str) or _DIALLED.fullmatch(value) is None:
        raise BadValue(
            f"{value!r} cannot stand in front of a number",
            "digits, * and #, 20 at most, and + only as the first",
        )
    return value


Country = Annotated[
    str,
    PlainValidator(parse_country),
    WithJsonSchema({"type": "string", "examples": ["DE", "49"]}),
]
_Pattern = Annotated[
    str,
    PlainValidator(parse_number),
    WithJsonSchema({"type": "string", "examples": ["0*"]}),
]
_Added = Annotated[
    str,
    PlainValidator(parse_added),
    WithJsonSchema({"type": "string", "pattern": _DIALLED.pattern, "examples": ["+49"]}),
]


class PrefixRuleSection(Section):
    """Takes characters from the front of a number that matches, and puts others there."""

    match: _Pattern = Field(
        description="Numbers it is for, written as in a route's `number`.", examples=["0*"]
    )
    strip: Annotated[int, Field(ge=0, le=30)] = Field(
        default=0, description="How many characters are taken from the front.", examples=[1]
    )
    add: _Added = Field(
        default="", description="What is put in front afterwards.", examples=["+49"]
    )


class _DirectionSection(Section):
    before: tuple[PrefixRuleSection, ...] = Field(
        default=(), description="Prefix rules before `format`; the first that matches is applied."
    )
    after: tuple[PrefixRuleSection, ...] = Field(
        default=(), description="Prefix rules after `format`; the first that matches is applied."
    )
    of: Annotated[tuple[NumberRole, ...], Field(min_length=1), OneOrMany()] = Field(
        default=("called", "caller"),
        description="Which numbers: `called` (Request-URI and To), `caller` (From and the identity "
        "headers).",
        examples=[["called", "caller"]],
    )


class InboundSection(_DirectionSection):
    """Numbers that the peer sends, before they are routed."""

    format: Literal["as-is", "e164"] | None = Field(
        default=None,
        description="`e164`: `+` and all digits, as routes then see it; `as-is`. Without it "
        "`e164` where there is a `country`. Short codes, emergency numbers and extensions stay as "
        "they are.",
        examples=["e164"],
    )


class OutboundSection(_DirectionSection):
    """Numbers that the peer is sent."""

    format: NumberFormat = Field(
        default="as-is",
        description="`e164`: `+4930...`; `international`: `4930...`; `international-00`: "
        "`004930...`; `national`: as dialled in `country`, abroad with its international prefix; "
        "`as-is`. What is no number of the plan stays as it is.",
        examples=["e164"],
    )
    uri: UriForm = Field(
        default="keep",
        description="How the called number stands in the Request-URI: `sip`; `phone`: with "
        "`user=phone`; `tel`: a tel URI, if the number is global; `keep`: with `user=phone` if it "
        "came so or as a tel URI.",
        examples=["phone"],
    )


class NumbersSection(Section):
    """Number rules: what a peer sends is brought into one form, and into the peer's own again."""

    country: Country | None = Field(
        default=None,
        description="Whose dialling habits its numbers follow: two letters, or the calling code.",
        examples=["DE"],
    )
    inbound: InboundSection = Field(
        default=InboundSection(), description="What becomes of numbers that it sends."
    )
    outbound: OutboundSection = Field(
        default=OutboundSection(), description="In which form it is sent numbers."
    )


def build_numbers(document: Document, section: NumbersSection, path: Path) -> NumberRules:
    """The number rules of a peer; what is wrong with them is reported in the document."""
    country = section.country or ""
    usual: NumberFormat = "e164" if country else "as-is"
    inbound, outbound = section.inbound, section.outbound
    if outbound.format == "national" and not country:
        document.report(
            (*path, "outbound", "format"),
            "a national form is that of a country, and there is none",
            f"add the peer's numbers.country, {_COUNTRY_EXAMPLE}",
        )
    return NumberRules(
        country=country,
        inbound=_direction(document, inbound, inbound.format or usual, (*path, "inbound")),
        outbound=_direction(document, outbound, outbound.format, (*path, "outbound")),
        uri=outbound.uri,
    )


def _direction(
    document: Document, section: _DirectionSection, form: NumberFormat, path: Path
) -> Rewriting:
    return Rewriting(
        before=_rules(document, section.before, (*path, "before")),
        format=form,
        after=_rules(document, section.after, (*path, "after")),
        called="called" in section.of,
        caller="caller" in section.of,
    )


def _rules(
    document: Document, sections: tuple[PrefixRuleSection, ...], path: Path
) -> tuple[PrefixRule, ...]:
    found = []
    for number, section in enumerate(sections):
        here = (*path, number)
        pattern = parse_number_pattern(section.match)
        where = document.place(here).where
        if isinstance(pattern, (Exact, Range)):
            _check_strip(document, section, pattern, here)
        if not section.strip and not section.add:
            document.report(here, "this rule changes nothing", "give it strip, or add, or both")
        found.append(PrefixRule(pattern, section.strip, section.add, where))
    return tuple(found)


def _check_strip(
    document: Document, section: PrefixRuleSection, pattern: Exact | Range, path: Path
) -> None:
    length = len(pattern.text if isinstance(pattern, Exact) else pattern.low)
    if section.strip > length:
        document.report(
            (*path, "strip"),
            f"{section.match} has {length} characters, of which {section.strip} cannot be taken",
            f"{length} at most",
        )
    elif section.strip == length and not section.add:
        document.report(
            (*path, "strip"),
            f"nothing would be left of {section.match}",
            "strip less, or add what is to be called instead",
        )
