"""What a policy file may define for its own rules, and for those of the files after it."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from sbc.document.schema import BadValue, OneOrMany, Section
from sbc.policy.calendar_schema import CalendarSection
from sbc.policy.countries import check_country
from sbc.policy.emergency import is_service
from sbc.routing.patterns import parse_number_pattern

_NAME_LENGTH: Final = 62
_MOST_DIGITS: Final = 15
_PATTERN_HINT: Final = "for example: 112, or 0112"


def check_name(text: str) -> str:
    """A name of a set or calendar: letters, digits, blanks, ``_``, ``-`` and ``.``.

    Raises:
        BadValue: it holds something else.
    """
    plain = text.translate(str.maketrans("", "", " _-."))
    if not plain.isalnum() or len(text) > _NAME_LENGTH or text != text.strip():
        raise BadValue(f"{text!r} is no name", f"letters, digits, _ and -, up to {_NAME_LENGTH}")
    return text


def parse_emergency_pattern(value: object) -> str:
    """A number pattern.

    Raises:
        BadValue: it is none, or one that holds all numbers.
    """
    if not isinstance(value, str):
        raise BadValue("expected a number pattern", _PATTERN_HINT)
    try:
        parse_number_pattern(value)
    except ValueError as error:
        raise BadValue(str(error), _PATTERN_HINT) from None
    if not any(character.isdigit() for character in value):
        raise BadValue(f"{value!r} would make too much an emergency", _PATTERN_HINT)
    return value


def check_service(text: str) -> str:
    """A name of an emergency service (RFC 5031 §4.2), in lower case.

    Raises:
        BadValue: it is none.
    """
    name = text.lower().removeprefix("urn:service:")
    if not is_service(name) or not name.replace(".", "").replace("-", "").isalnum():
        raise BadValue(f"{text!r} is no emergency service", "for example: sos, or sos.police")
    return name


def check_service_number(text: str) -> str:
    """The number that an emergency service has.

    Raises:
        BadValue: it is none that can be dialled.
    """
    digits = text.removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS):
        raise BadValue(f"{text!r} is no number", f"{_PATTERN_HINT}; one number, no pattern")
    return text


DefinedName = Annotated[
    str,
    AfterValidator(check_name),
    WithJsonSchema({"type": "string", "pattern": r"^[A-Za-z0-9]", "examples": ["bad hosts"]}),
]
Region = Annotated[
    str,
    AfterValidator(check_country),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z]{2}$", "examples": ["DE"]}),
]
EmergencyPattern = Annotated[
    str,
    PlainValidator(parse_emergency_pattern),
    WithJsonSchema({"type": "string", "examples": ["112"]}),
]
ServiceName = Annotated[
    str,
    AfterValidator(check_service),
    WithJsonSchema({"type": "string", "examples": ["sos"]}),
]
ServiceNumber = Annotated[
    str,
    AfterValidator(check_service_number),
    WithJsonSchema({"type": "string", "pattern": r"^\+?[0-9]+$", "examples": ["112"]}),
]
Text = Annotated[str, Field(min_length=1)]


class SetSection(Section):
    """A named set of networks or numbers, which conditions name as `set:NAME`.

    A decision costs the same however many entries there are. `sbc status` tells how many there are,
    how old the file is, and how often conditions found something; to try a feed before it blocks
    anybody, let the last of the `requirements` `pass` what is in it, and look at the hits.
    """

    kind: Literal["networks", "numbers"] = Field(
        description="`networks`: addresses and prefixes, for `source`. `numbers`: number patterns, "
        "for `called` and `caller`.",
        examples=["networks"],
    )
    entries: Annotated[tuple[Text, ...], OneOrMany()] = Field(
        default=(),
        description="Entries: `ENTRY`, or `ENTRY until 2026-12-31T18:00Z` for one that ends.",
        examples=[["192.0.2.0/24", "198.51.100.7 until 2026-12-31T18:00Z"]],
    )
    file: Text | None = Field(
        default=None,
        description="File, relative to this one, with more entries, one on each line; what follows "
        "`#` or `;` is a comment. A changed file is taken by itself when it has been left alone "
        "for some seconds; while it is missing or broken what was read before goes on, and an "
        "error is logged and shown by `sbc status`. `sbc rollback` writes it, unless it is a feed: "
        "with `expires`, `optional` or entries that end, or outside the directory of sbc.yaml.",
        examples=["lists/feed.txt"],
    )
    optional: bool = Field(
        default=False,
        description="Whether to start although the file is missing, or with the good lines of a "
        "broken one: for a feed that something else fetches.",
    )
    expires: float | None = Field(
        default=None,
        gt=0,
        le=1e9,
        description="Seconds after the last change of the file after which none of its set's "
        "entries counts any more, with an error in the log; without it they never expire.",
        examples=[172800],
    )


class EmergencySection(Section):
    """Which calls are emergency calls.

    They pass limits on parsed messages, `geo` and `fraud`, and `admission` as long as one phone has
    no more than four at once. `urn:service:sos` is one always. Access control, authentication and
    limits per source hold for them too: a stranger gains nothing by dialling 112.
    """

    numbers: Annotated[tuple[EmergencyPattern, ...], OneOrMany()] = Field(
        default=(),
        description="Numbers, in the form that they have inside, beside those of the countries.",
        examples=[["0112", "116117"]],
    )
    country: Annotated[tuple[Region, ...], OneOrMany()] = Field(
        default=(),
        description="Countries whose emergency numbers count; without it those that the peers' "
        "`numbers` name. 112 and 911 count always.",
        examples=["DE"],
    )
    services: dict[ServiceName, ServiceNumber] = Field(
        default={},
        description="The number that a call to an emergency service calls, in the form that it has "
        "inside: routes see it in place of `urn:service:sos`. `sos` is 112 unless it stands here; "
        "`sos.police` and the like are what `sos` is unless they do. `test.sos` has no number by "
        "itself, so that no test sends anybody out.",
        examples=[{"sos": "112", "sos.police": "110"}],
    )


class Definitions(Section):
    """What rules may name."""

    version: int = Field(default=1, ge=1, le=1, description="Version of this format.", examples=[1])
    include: Annotated[tuple[Text, ...], OneOrMany()] = Field(
        default=(),
        description="Policy files, relative to this one, that are read before it: their rules come "
        "first, and what they define may be used here. A file is read once, whoever includes it.",
        examples=["lists.yaml"],
    )
    variables: dict[str, Text | tuple[Text, ...]] = Field(
        default={},
        description="Texts and lists that `${NAME}` stands for in this file and the files after "
        "it; a name that is none is looked up in the environment.",
        examples=[{"home": ["DE", "AT"]}],
    )
    sets: dict[DefinedName, SetSection] = Field(
        default={}, description="Named sets of networks and numbers."
    )
    calendars: dict[DefinedName, CalendarSection] = Field(
        default={}, description="Named parts of all time, for the condition `time`."
    )
    emergency: EmergencySection | None = Field(
        default=None, description="Which calls are emergency calls."
    )
