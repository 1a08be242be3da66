"""What a policy file may say.

The pydantic side of `sbc.policy.load`; the decisions themselves know nothing of it.
"""

import re
from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from sbc.document.schema import BadValue, OneOrMany, Section
from sbc.policy.model import Outcome
from sbc.prefixes import IpNetwork

MAX_TEXT_LENGTH = 128
METHOD_PATTERN = r"^[A-Z]+$"


def parse_prefix(value: object) -> IpNetwork:
    """``192.0.2.0/24``, or a single address.

    Raises:
        BadValue: it is neither, or has bits behind the prefix.
    """
    if not isinstance(value, str):
        raise BadValue("expected an address or a prefix", "for example: 192.0.2.0/24")
    try:
        return ip_network(value)
    except ValueError:
        pass
    try:
        wide = ip_network(value, strict=False)
    except ValueError:
        raise BadValue(
            f"{value!r} is neither an address nor a prefix", "for example: 192.0.2.0/24"
        ) from None
    raise BadValue(f"{value} has bits set behind its prefix length", f"did you mean {wide}?")


class Verb(Section):
    """What a rule does, as data."""

    outcome: Outcome
    status: int = 0
    text: str = ""


def parse_verb(value: object) -> Verb:
    """``allow``, ``drop``, ``reject``, ``reject 404`` or ``reject 404 Not here``.

    Raises:
        BadValue: it is none of them.
    """
    hint = "one of: allow, drop, reject 403, reject 403 Some text"
    if not isinstance(value, str):
        raise BadValue("expected what to do", hint)
    verb, _, rest = value.strip().partition(" ")
    if verb == "allow" and not rest:
        return Verb(outcome="allow")
    if verb == "drop" and not rest:
        return Verb(outcome="drop")
    if verb != "reject":
        raise BadValue(f"{value!r} is not understood", hint)
    status, _, text = rest.strip().partition(" ")
    if status and not (status.isascii() and status.isdigit() and 400 <= int(status[:4]) <= 699):
        raise BadValue(f"{status!r} is no status from 400 to 699", hint)
    text = text.strip()
    if len(text) > MAX_TEXT_LENGTH or not text.isprintable():
        raise BadValue(f"the text is longer than {MAX_TEXT_LENGTH} or not printable", hint)
    return Verb(outcome="reject", status=int(status or 403), text=text)


def check_method(text: str) -> str:
    """A SIP method, which is case-sensitive (RFC 3261 §7.1)."""
    if not re.fullmatch(METHOD_PATTERN, text):
        raise BadValue(f"{text!r} is no method", f"did you mean {text.upper()!r}?")
    return text


Prefix = Annotated[
    IpNetwork,
    PlainValidator(parse_prefix),
    WithJsonSchema({"type": "string", "examples": ["192.0.2.0/24"]}),
]
Prefixes = Annotated[tuple[Prefix, ...], Field(min_length=1), OneOrMany()]
Method = Annotated[
    str,
    AfterValidator(check_method),
    WithJsonSchema({"type": "string", "pattern": METHOD_PATTERN, "examples": ["INVITE"]}),
]
Methods = Annotated[tuple[Method, ...], Field(min_length=1), OneOrMany()]
Word = Annotated[str, Field(min_length=1)]
Words = Annotated[tuple[Word, ...], Field(min_length=1), OneOrMany()]
RuleName = Annotated[str, Field(min_length=1, max_length=80)]


class SourceConditions(Section):
    """What may be asked before a message is read. All conditions given must hold."""

    network: Words | None = Field(
        default=None, description="Names of networks it came on.", examples=["outside"]
    )
    trust: Literal["trusted", "untrusted"] | None = Field(
        default=None, description="Trust of the network it came on."
    )
    source: Prefixes | None = Field(
        default=None, description="Addresses or prefixes of the source.", examples=["192.0.2.0/24"]
    )
    peer: Words | None = Field(
        default=None, description="Names of peers, known by their source address.", examples=["pbx"]
    )
    known_peer: bool | None = Field(
        default=None, description="Whether the source address belongs to any PBX or trunk."
    )
    registered: bool | None = Field(
        default=None,
        description="In a rule: whether it came from a phone with a live registration, on that "
        "registration's flow. In a rate limit: whether the source address has one.",
    )


class RequestConditions(SourceConditions):
    """What may be asked about a request."""

    method: Methods | None = Field(
        default=None, description="Methods, in capitals.", examples=["REGISTER"]
    )
    user_agent: Words | None = Field(
        default=None,
        description="Pieces of the User-Agent header, any of which it contains; case is ignored.",
        examples=["friendly-scanner"],
    )


class RuleSection(Section):
    """One rule. The first rule whose conditions hold decides."""

    name: RuleName = Field(
        description="What logs and explanations call the rule.", examples=["registrations"]
    )
    when: RequestConditions = Field(
        default=RequestConditions(),
        description="Conditions, all of which must hold; without any the rule always matches.",
        examples=[{"trust": "untrusted", "method": "REGISTER"}],
    )
    then: Annotated[
        Verb,
        PlainValidator(parse_verb),
        WithJsonSchema(
            {
                "type": "string",
                "pattern": r"^(allow|drop|reject( [456][0-9][0-9]( .+)?)?)$",
                "examples": ["allow", "drop", "reject 403 Register first"],
            }
        ),
    ] = Field(
        description="`allow`, `drop` (say nothing), or `reject` with a status and a text.",
        examples=["reject 403 Register first"],
    )


class RateLimitSection(Section):
    """A limit on messages, counted before they are read."""

    name: RuleName = Field(
        description="What logs and explanations call the limit.", examples=["strangers"]
    )
    when: SourceConditions = Field(
        default=SourceConditions(),
        description="Whose messages count here; the first limit that fits a source is its limit.",
        examples=[{"trust": "untrusted"}],
    )
    per: Literal["source", "network"] = Field(
        default="source",
        description="`source`: a budget for each source address (IPv6: each /64). `network`: one "
        "budget for all strangers on a network together, on top of their own.",
    )
    rate: float = Field(gt=0, le=1e9, description="Messages per second.", examples=[20])
    burst: int = Field(ge=1, le=10**9, description="Messages at once.", examples=[60])


class PolicyFile(Section):
    """A policy file."""

    version: int = Field(default=1, ge=1, le=1, description="Version of this format.", examples=[1])
    rate_limits: tuple[RateLimitSection, ...] = Field(
        default=(), description="Limits on messages per source or per network."
    )
    rules: tuple[RuleSection, ...] = Field(
        default=(), description="Who may do what; the first that matches decides."
    )
