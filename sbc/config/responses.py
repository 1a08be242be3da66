"""Response rules of a peer: what its file may say of them, and what they become."""

from typing import Annotated

from pydantic import Field, PlainValidator, WithJsonSchema

from sbc.document.problem import Path
from sbc.document.schema import BadValue, Section
from sbc.document.text import Document
from sbc.routing.responses import ResponseRule, ResponseRules

_LONGEST = 80


def parse_phrase(value: object) -> str:
    """A reason phrase that is safe in a start line."""
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= _LONGEST
        or not (value.isascii() and value.isprintable())
    ):
        raise BadValue(
            f"{value!r} is no reason phrase", f"printable ASCII, {_LONGEST} characters at most"
        )
    return value


Status = Annotated[int, Field(ge=300, le=699)]
Failure = Annotated[int, Field(ge=400, le=699)]
Cause = Annotated[int, Field(ge=1, le=127)]
_Phrase = Annotated[
    str, PlainValidator(parse_phrase), WithJsonSchema({"type": "string", "maxLength": _LONGEST})
]


class ResponseRuleSection(Section):
    """Says a final failure otherwise. With `status` and `cause` both must be met."""

    status: Status | None = Field(
        default=None, description="The SIP status that it is for.", examples=[603]
    )
    cause: Cause | None = Field(
        default=None,
        description="The Q.850 cause that it is for: that of Reason, else what the status means.",
        examples=[34],
    )
    becomes: Failure = Field(description="The SIP status instead.", examples=[486])
    reason: _Phrase | None = Field(
        default=None,
        description="The reason phrase; without it the registered one.",
        examples=["Busy Here"],
    )
    becomes_cause: Cause | None = Field(
        default=None,
        description="The Q.850 cause in Reason and in the record; without it the one that stands "
        "for `becomes`.",
        examples=[17],
    )


class ResponsesSection(Section):
    """How final failures are told on; of each list the first rule that matches is applied."""

    received: tuple[ResponseRuleSection, ...] = Field(
        default=(),
        description="For what the peer answers to a call. Whether another peer is tried depends "
        "on what it really answered.",
    )
    sent: tuple[ResponseRuleSection, ...] = Field(
        default=(), description="For what the peer is answered to its calls, whoever said it."
    )


def build_responses(document: Document, section: ResponsesSection, path: Path) -> ResponseRules:
    """The response rules of a peer; what is wrong with them is reported in the document."""
    return ResponseRules(
        received=_rules(document, section.received, (*path, "received")),
        sent=_rules(document, section.sent, (*path, "sent")),
    )


def _rules(
    document: Document, sections: tuple[ResponseRuleSection, ...], path: Path
) -> tuple[ResponseRule, ...]:
    found: list[ResponseRule] = []
    for number, section in enumerate(sections):
        here = (*path, number)
        if section.status is None and section.cause is None:
            document.report(
                here,
                "this rule is for everything",
                "give it the status, or the cause, that it is for",
            )
        for earlier in found:
            if _covers(earlier, section):
                document.report(
                    here,
                    f"the rule in {earlier.where} takes all of it",
                    "put the narrower one first",
                )
                break
        found.append(
            ResponseRule(
                becomes=section.becomes,
                status=section.status,
                q850=section.cause,
                reason=section.reason or "",
                becomes_q850=section.becomes_cause,
                where=document.place(here).where,
            )
        )
    return tuple(found)


def _covers(wide: ResponseRule, narrow: ResponseRuleSection) -> bool:
    return wide.status in (None, narrow.status) and wide.q850 in (None, narrow.cause)
