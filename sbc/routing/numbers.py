"""What an operator says of numbers toward one peer, as frozen data.

Inside, a number is what its sender's inbound rules made of it, as a rule E.164 with a plus; each
peer is told it in the form that its outbound rules ask for.
"""

from dataclasses import dataclass
from typing import Literal

from sbc.routing.patterns import NumberPattern

NumberFormat = Literal["as-is", "e164", "international", "international-00", "national"]
"""`international` is E.164 without the plus; `national` dials abroad with the country's prefix."""
UriForm = Literal["keep", "sip", "phone", "tel"]
"""How a number stands in a Request-URI: as it came, ``sip:``, with ``user=phone``, ``tel:``."""


@dataclass(frozen=True, slots=True)
class PrefixRule:
    """Take characters from the front of a number that matches, and put others there."""

    pattern: NumberPattern
    strip: int = 0
    """Characters; a shorter number loses them all."""
    add: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True)
class Rewriting:
    """What becomes of the numbers of one direction, in this order."""

    before: tuple[PrefixRule, ...] = ()
    """The first that matches is applied."""
    format: NumberFormat = "as-is"
    after: tuple[PrefixRule, ...] = ()
    """The first that matches is applied."""
    called: bool = True
    """Whether called numbers are rewritten: Request-URI and To."""
    caller: bool = True
    """Whether callers' numbers are rewritten: From and identity headers."""

    @property
    def changes(self) -> bool:
        """Whether it can change any number at all."""
        return bool(self.before or self.after or self.format != "as-is")


AS_IS = Rewriting()


@dataclass(frozen=True, slots=True)
class NumberRules:
    """The number rules of a peer."""

    country: str = ""
    """The region whose dialling habits its numbers follow (``"DE"``); empty for none."""
    inbound: Rewriting = AS_IS
    """For numbers that the peer sends, before anything is routed."""
    outbound: Rewriting = AS_IS
    """For numbers that the peer is sent."""
    uri: UriForm = "keep"


AS_WRITTEN = NumberRules()
"""The rules of a peer that has none, and of a stranger."""
