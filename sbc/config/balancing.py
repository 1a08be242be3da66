"""Sharing calls among peers and targets: what sbc.yaml may say of it, and what it comes to."""

from collections.abc import Sequence
from typing import Annotated, Protocol

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from sbc.config.values import parse_target
from sbc.document.problem import Path, Severity
from sbc.document.schema import BadValue, OneOrMany, Section, TextFor
from sbc.document.text import Document
from sbc.routing.balance import UNRANKED, Balance, HashOn, Rank, Strategy
from sbc.routing.failover import DEFAULT_FAILOVER, HUNTING_CODES, FailoverRule, may_hunt
from sbc.routing.hops import HealthRule, Probe
from sbc.routing.model import Target


def _check_code(code: int) -> int:
    if not may_hunt(code):
        raise BadValue(
            f"{code} says something of the callee or the caller, so no other target may be tried",
            "codes from 400 to 599, but for 401, 407, 486 and 487",
        )
    return code


TargetText = Annotated[
    Target,
    PlainValidator(parse_target),
    WithJsonSchema(
        {"type": "string", "examples": ["192.0.2.10:5060", "pbx.example.com;transport=tcp"]}
    ),
]
_Priority = Annotated[int, Field(ge=0, le=65535)]
_Weight = Annotated[int, Field(ge=0, le=65535)]
_Code = Annotated[int, AfterValidator(_check_code)]


class TargetSection(Section):
    """One target of a peer."""

    address: TargetText = Field(
        description="`host[:port][;transport=tcp]`.", examples=["192.0.2.10:5060"]
    )
    priority: _Priority = Field(
        default=0, description="Lower is tried first, whatever `balance` says.", examples=[0]
    )
    weight: _Weight = Field(
        default=1,
        description="Its share of the calls among targets of its priority, where `balance` is not "
        "`order`.",
        examples=[1],
    )
    drain: bool = Field(
        default=False,
        description="Whether it gets no new calls, so that it can be taken out of service when "
        "those it has have ended.",
        examples=["true"],
    )


class ShareSection(Section):
    """One peer that a route leads to."""

    peer: str = Field(description="Its name.", examples=["pbx"])
    priority: _Priority = Field(
        default=0, description="Lower is tried first, whatever `balance` says.", examples=[0]
    )
    weight: _Weight = Field(
        default=1,
        description="Its share of the calls among peers of its priority, where `balance` is not "
        "`order`.",
        examples=[1],
    )


class FailoverSection(Section):
    """When the next target, or the next peer, is tried. A route's word comes before a peer's."""

    codes: Annotated[tuple[_Code, ...], OneOrMany()] | None = Field(
        default=None,
        description="Answers after which the next is tried, in place of "
        f"{', '.join(map(str, sorted(HUNTING_CODES)))}. No answer and a failed connection always "
        "lead on; busy (486), 6xx and what the caller must answer (401, 407) never do.",
        examples=[[404, 500, 503]],
    )
    timeout: Annotated[float, Field(ge=0.5, le=32)] | None = Field(
        default=None,
        description=f"Seconds without any response before the next is tried; without it "
        f"{DEFAULT_FAILOVER.timeout_s:g}.",
        examples=[4],
    )
    budget: Annotated[float, Field(gt=0, le=600)] | None = Field(
        default=None,
        description="Seconds from the beginning of a call within which another is tried. Who shows "
        "no sign of ringing is left at its end at the latest, if there is another. Without it "
        f"{DEFAULT_FAILOVER.budget_s:g}.",
        examples=[20],
    )

    def rule(self) -> FailoverRule:
        """As the cores have it."""
        codes = None if self.codes is None else frozenset(self.codes)
        return FailoverRule(codes, self.timeout, self.budget)


class HealthSection(Section):
    """How it is told which targets are in service. What calls show of them always counts."""

    probe: Probe = Field(
        default="off",
        description="`options`: each target is asked by OPTIONS too; any answer but 503 and 408 is "
        "a sign of life. Off by default, since there are peers that do not answer it.",
        examples=["options"],
    )
    interval: Annotated[float, Field(ge=1, le=3600)] = Field(
        default=30.0,
        description="Seconds between two probes. Without probes: how long a target that is down "
        "rests before one call tries it again.",
        examples=[30],
    )
    timeout: Annotated[float, Field(ge=0.5, le=32)] = Field(
        default=4.0, description="Seconds until a probe counts as unanswered.", examples=[4]
    )
    fail_after: Annotated[int, Field(ge=1, le=100)] = Field(
        default=3,
        description="Failures in a row, of calls and probes, until a target is down.",
        examples=[3],
    )
    recover_after: Annotated[int, Field(ge=1, le=100)] = Field(
        default=2,
        description="Signs of life in a row until a target that was down is up.",
        examples=[2],
    )

    def rule(self) -> HealthRule:
        """As the cores have it."""
        return HealthRule(
            self.probe, self.interval, self.timeout, self.fail_after, self.recover_after
        )


BalanceWord = Annotated[
    Strategy,
    Field(
        description="How those of equal priority share calls. `order`: the first takes all that "
        "it can; `weight`: by weight, at random; `hash`: by weight, and the same `hash_on` always "
        "goes to the same one while it is there; `least-calls`: to whichever has the fewest calls "
        "for its weight."
    ),
]
HashWord = Annotated[
    HashOn, Field(description="What `balance: hash` goes by: `source` is the sender's address.")
]


class Balanced(Protocol):
    """A section whose entries share calls."""

    @property
    def balance(self) -> Strategy:
        """How."""

    @property
    def hash_on(self) -> HashOn:
        """By what, if by hash."""

    @property
    def model_fields_set(self) -> set[str]:
        """The keys that were written."""


TargetEntry = Annotated[TargetSection, TextFor("address")]
ShareEntry = Annotated[ShareSection, TextFor("peer")]


def targets_of(sections: Sequence[TargetSection]) -> tuple[Target, ...]:
    """The targets of a peer."""
    return tuple(
        Target(
            host=one.address.host,
            port=one.address.port,
            transport=one.address.transport,
            rank=Rank(one.priority, one.weight),
            drain=one.drain,
        )
        for one in sections
    )


def sharing_of(section: Balanced) -> Balance:
    """How the entries of a section share calls."""
    return Balance(section.balance, section.hash_on)


def ranks_of(sections: Sequence[ShareSection]) -> tuple[Rank, ...]:
    """Where the peers of a route stand; empty where all stand alike."""
    ranks = tuple(Rank(one.priority, one.weight) for one in sections)
    return ranks if any(rank != UNRANKED for rank in ranks) else ()


def check_balance(
    document: Document, path: Path, section: Balanced, ranks: Sequence[Rank], key: str
) -> None:
    """Warn of what is written and means nothing.

    Args:
        key: Where the entries with those ranks stand.
    """
    if section.balance == "order" and any(rank.weight != 1 for rank in ranks):
        document.report(
            (*path, key),
            "a weight means nothing while balance is order",
            "balance: weight",
            key=True,
            severity=Severity.WARNING,
        )
    if section.balance != "hash" and "hash_on" in section.model_fields_set:
        document.report(
            (*path, "hash_on"),
            f"it means nothing while balance is {section.balance}",
            "balance: hash",
            key=True,
            severity=Severity.WARNING,
        )


def check_health(document: Document, path: Path, section: HealthSection) -> None:
    """Complain about probes that would overtake each other."""
    if section.timeout > section.interval:
        document.report(
            (*path, "health", "timeout"),
            f"a probe would be waited for longer ({section.timeout:g} s) than until the next "
            f"({section.interval:g} s)",
            "a timeout of at most interval",
        )
