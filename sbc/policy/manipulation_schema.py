"""What a policy file may say of headers."""

from typing import Annotated, Final, Literal

from pydantic import Field

from sbc.document.schema import OneOrMany, Section
from sbc.policy.manipulation_parts import PARTS
from sbc.policy.manipulation_rules import Direction, On
from sbc.policy.manipulation_values import MAX_VALUE, VARIABLES

MOST_OPERATIONS: Final = 32

_Place = Annotated[str, Field(min_length=1, max_length=128)]
_Value = Annotated[str, Field(min_length=1, max_length=MAX_VALUE)]
_Name = Annotated[str, Field(min_length=1)]
_Names = Annotated[tuple[_Name, ...], Field(min_length=1), OneOrMany()]

Verb = Literal["set", "add", "remove", "rename", "regex", "move", "pass"]
VERBS: Final[tuple[Verb, ...]] = ("set", "add", "remove", "rename", "regex", "move", "pass")

_VARIABLES = ", ".join(f"`$({name})`" for name in VARIABLES)


class OperationSection(Section):
    """One change: exactly one of `set`, `add`, `remove`, `rename`, `regex`, `move`, `pass`.

    Each names a header, as `X-Foo`, or a part of the addresses in it, as `From.display`.
    """

    set_: _Place | None = Field(
        default=None,
        alias="set",
        description="The header, or part, that says `value` from then on. Parts: "
        + ", ".join(f"`{part}`" for part in PARTS)
        + ".",
        examples=["P-Asserted-Identity.uri.host"],
    )
    add: _Place | None = Field(
        default=None,
        description="The header that is added with `value`, beside any of that name.",
        examples=["X-Trunk"],
    )
    remove: _Place | None = Field(
        default=None, description="The header, or part, that is removed.", examples=["X-Internal"]
    )
    rename: _Place | None = Field(
        default=None,
        description="The header that is called `to` from then on.",
        examples=["X-Old-Name"],
    )
    regex: _Place | None = Field(
        default=None,
        description="The header, or part, in which whatever matches `match` becomes `replace`.",
        examples=["P-Asserted-Identity.uri.user"],
    )
    move: _Place | None = Field(
        default=None,
        description="The header, or part, whose first value `to` says from then on; it is removed.",
        examples=["X-Caller-Name"],
    )
    pass_: _Place | None = Field(
        default=None,
        alias="pass",
        description="The header that goes through as the other side sent it, whatever topology "
        "hiding would do with it.",
        examples=["User-Agent"],
    )
    value: _Value | None = Field(
        default=None,
        description=f"For `set` and `add`: a text with variables: {_VARIABLES}, and "
        "`$(header:NAME)` or `$(header:NAME.part)` for what a header of the message says.",
        examples=["$(peer)"],
    )
    to: _Place | None = Field(
        default=None, description="For `rename` and `move`.", examples=["From.display"]
    )
    match: Annotated[str, Field(min_length=1, max_length=512)] | None = Field(
        default=None,
        description="For `regex`: a regular expression (RE2).",
        examples=["^00([1-9][0-9]+)$"],
    )
    replace: Annotated[str, Field(max_length=MAX_VALUE)] | None = Field(
        default=None,
        description="For `regex`: a text with variables; `$(1)` is what the first group matched, "
        "`$(0)` all of it.",
        examples=["+$(1)"],
    )


class HeaderRuleKeys(Section):
    """What a rule for headers has beside its name and its conditions."""

    on: On = Field(default="requests", description="Which messages it is for.")
    direction: Direction = Field(
        default="out",
        description="`out`: messages as they leave. `in`: messages as they come, after they were "
        "let in and before a call is routed.",
    )
    from_: _Names = Field(
        default=(),
        alias="from",
        description="Peers or networks that messages come from; all when left out.",
        examples=["trunk"],
    )
    toward: _Names = Field(
        default=(),
        description="Peers or networks that messages go to, with `direction: out`; all when left "
        "out.",
        examples=["pbx"],
    )
    do: Annotated[
        tuple[OperationSection, ...],
        Field(
            min_length=1,
            max_length=MOST_OPERATIONS,
            description="What is done, in order: all of it, or nothing where the result could "
            "not be said.",
            examples=[[{"set": "X-Trunk", "value": "$(peer)"}]],
        ),
    ]
