"""What one call means for the ledger, as plain data."""

from typing import NamedTuple

from sbc.policy.accounts import account_of, diverter_of
from sbc.policy.facts import FACTS, Facts
from sbc.policy.tariffs import FREE, Price


class Charge(NamedTuple):
    """What one call means for the ledger."""

    account: str
    """Who pays; ``""`` for a call that came in, for which nobody does."""
    number: str
    """Who is called, or who called in."""
    price: Price = FREE
    risk: str = ""
    country: str = ""
    diverter: str = ""
    """The account of whoever forwarded it."""


class PastCall(NamedTuple):
    """A call that is over."""

    charge: Charge
    began: float
    answered: float | None
    ended: float


def charge_of(facts: Facts) -> Charge:
    """What a call costs whoever makes it.

    Raises:
        ParseError: a header that says who forwarded it is malformed (400).
    """
    number = facts.called_number
    return Charge(
        account=account_of(facts),
        number=number,
        price=facts.world.tariffs.price(number),
        risk=FACTS["risk"].read(facts),
        country=country_of(facts),
        diverter=diverter_of(facts),
    )


def country_of(facts: Facts) -> str:
    """The country of the called number; empty if unknown."""
    country: str = FACTS["called_country"].read(facts)
    return country


def charge_to_data(charge: Charge) -> list[object]:
    """A charge as JSON has it."""
    return [*charge[:2], *charge.price, *charge[3:]]


def charge_from_data(data: list[object]) -> Charge:
    """What `charge_to_data` made.

    Raises:
        ValueError: it is no export.
    """
    account, number, per_minute, connect, risk, country, diverter = map(str, data)
    price = Price(float(per_minute), float(connect))
    return Charge(account, number, price, risk, country, diverter)
