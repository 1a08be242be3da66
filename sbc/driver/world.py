"""What decisions under a configuration may look up."""

from collections.abc import Iterable

from sbc.numbering import WorldKinds, WorldPlan
from sbc.policy.emergency import Emergency, EmergencyNumbers
from sbc.policy.world import NOWHERE, Counters, Places, World
from sbc.routing.model import Peer

PLAN = WorldPlan()
"""One for all configurations, as it remembers what it was asked."""


def world_of(
    peers: Iterable[Peer],
    emergency: Emergency,
    *,
    places: Places = NOWHERE,
    counters: Counters = NOWHERE,
) -> World:
    """The world of a configuration.

    Args:
        peers: Whose countries' emergency numbers and short codes are known, unless policies name
            others.
        emergency: What policies say of emergency calls.
    """
    countries = emergency.countries or {peer.numbers.country: None for peer in peers}
    return World(
        places=places,
        numbers=WorldKinds(country for country in countries if country),
        plan=PLAN,
        counters=counters,
        emergency=EmergencyNumbers(emergency.numbers, dict(emergency.services)),
    )
