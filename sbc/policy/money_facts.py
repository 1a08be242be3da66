"""Facts about what a call costs, and about what its sender's calls were like.

The table is part of `sbc.policy.facts.FACTS`. What is counted is that before the call which is
decided on.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from sbc.policy.facts import Facts

_RISKY_KINDS: Final = frozenset({"premium", "satellite"})


class Count(NamedTuple):
    """One counter."""

    description: str
    example: float


COUNTS: Final[dict[str, Count]] = {
    "spend_hour": Count(
        "What the sender's calls cost in the last hour, by `tariffs`: ended ones, live ones so far "
        "and their next minute, and one minute of those that still ring.",
        10,
    ),
    "spend_day": Count("What the sender's calls cost in the last 24 hours, likewise.", 50),
    "calls_hour": Count("How many calls the sender began in the last hour.", 60),
    "live_calls": Count("How many other calls of the sender are live, ringing ones too.", 5),
    "risky_calls": Count("How many of those go to destinations with a class of risk.", 1),
    "risky_numbers": Count(
        "How many different numbers with a class of risk the sender called in the last hour.", 3
    ),
    "short_calls": Count(
        "How many of the sender's calls of the last hour were answered and over within 10 seconds.",
        20,
    ),
    "failed_calls": Count("How many of the sender's calls of the last hour nobody answered.", 30),
    "diverter_calls": Count(
        "How many calls are live that the same party forwarded, by Diversion or History-Info.", 2
    ),
    "diverter_spend_hour": Count(
        "What calls that the same party forwarded cost in the last hour.", 10
    ),
}
"""By the name of the fact; what each counts is `sbc.policy.ledger`'s to know."""


def _price(facts: "Facts") -> float:
    return facts.world.tariffs.price(facts.called_number).per_minute


def _risk(facts: "Facts") -> str:
    number, world = facts.called_number, facts.world
    risk = world.tariffs.risk(number)
    kind = "" if risk else world.numbers.kind(number)
    return kind if kind in _RISKY_KINDS else risk


def _counted(name: str) -> Callable[["Facts"], float]:
    return lambda facts: facts.world.counters.count(name, facts)


MONEY_FACTS: Final[dict[str, tuple[str, Callable[["Facts"], Any], str, Any]]] = {
    "price": (
        "amount",
        lambda facts: facts.once("price", lambda: _price(facts)),
        "What a minute of the call costs, by `tariffs`.",
        {"above": 0.5},
    ),
    "risk": (
        "words",
        lambda facts: facts.once("risk", lambda: _risk(facts)),
        "Classes of risk of the called number by `tariffs`, or else by the numbering plan.",
        ["irsf", "premium", "satellite"],
    ),
    "new_country": (
        "flag",
        lambda facts: bool(facts.world.counters.count("new_country", facts)),
        "Whether the sender never, in 30 days, called that country before yesterday.",
        None,
    ),
    "calls_back": (
        "flag",
        lambda facts: bool(facts.world.counters.count("calls_back", facts)),
        "Whether the called number called in within the last 24 hours and nobody answered it.",
        None,
    ),
    **{
        name: ("amount", _counted(name), count.description, {"above": count.example})
        for name, count in COUNTS.items()
    },
}
"""By the key that a condition has in a file."""
