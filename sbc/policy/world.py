"""What decisions may look up: places, numbering plans and counters, all handed in."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from sbc.policy.emergency import USUAL_NUMBERS, EmergencyNumbers
from sbc.policy.numbers import NoPlan, NumberPlan
from sbc.policy.tariffs import NO_TARIFFS, Tariffs

if TYPE_CHECKING:
    from sbc.policy.facts import Facts

UNKNOWN: Final = ""
"""The country, kind or text of what nobody knows."""

FAILED_OPEN: Final = "database failed (open)"
FAILED_CLOSED: Final = "database failed (closed)"
"""What is known of a place when the database that should know it cannot be used.

``closed``: a condition that asks for it holds in rules that refuse and in no others; ``open``: it
holds in all others, and in none that refuses.
"""
FAILURES: Final = frozenset((FAILED_OPEN, FAILED_CLOSED))


class Places(Protocol):
    """Where in the world addresses are, as far as the operator's databases know."""

    def country(self, host: str) -> str:
        """ISO 3166 letters of the country of a numeric host; `UNKNOWN` if it is in none.

        One of `FAILURES` if that cannot be told.
        """

    def asn(self, host: str) -> str:
        """The autonomous system that announces a numeric host (``"64500"``), likewise."""


class NumberKinds(Protocol):
    """What the numbering plans say of E.164 numbers."""

    def country(self, e164: str) -> str:
        """ISO 3166 letters of a number's country, members of +1 told apart; `UNKNOWN` if none."""

    def kind(self, e164: str) -> str:
        """What a number is: ``fixed``, ``mobile``, ``premium``, ``satellite``, ``invalid``, ..."""


class Counters(Protocol):
    """What has been counted of whoever is asked about."""

    def count(self, what: str, facts: "Facts") -> float:
        """The present value of one counter for the sender of a request."""


class Nowhere:
    """No database, no plan and no counters: nothing is known, nothing was counted."""

    def country(self, of: str) -> str:
        """Nothing is anywhere."""
        del of
        return UNKNOWN

    def asn(self, host: str) -> str:
        """Nobody announces it."""
        del host
        return UNKNOWN

    def kind(self, e164: str) -> str:
        """No number is of any kind."""
        del e164
        return UNKNOWN

    def count(self, what: str, facts: "Facts") -> float:
        """Nothing was counted."""
        del what, facts
        return 0.0


NOWHERE: Final = Nowhere()
"""What decisions look up where nothing is there to be looked up."""


@dataclass(frozen=True, slots=True)
class World:
    """What a decision may look up; all of it is handed in, none of it changes within a decision."""

    places: Places = NOWHERE
    numbers: NumberKinds = NOWHERE
    plan: NumberPlan = field(default_factory=NoPlan)
    counters: Counters = NOWHERE
    tariffs: Tariffs = NO_TARIFFS
    emergency: EmergencyNumbers = USUAL_NUMBERS
    """Numbers that are for emergencies, beside those whose kind says so."""

    def is_emergency(self, number: str) -> bool:
        """Whether a number, in the form that it has inside, is for emergencies."""
        if number in self.emergency:
            return True
        # One with a country code is a subscriber's; to look that up is what costs most of a call.
        return number[:1] != "+" and self.numbers.kind(number) == "emergency"


NO_WORLD: Final = World()
"""A world of which nothing is known."""
