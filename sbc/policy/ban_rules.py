"""What a policy says of bans, as frozen data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sbc.policy.offences import WEIGHTS, Offence
from sbc.prefixes import IpNetwork


@dataclass(frozen=True, slots=True)
class BanRules:
    """What a policy says of bans. Times in seconds."""

    threshold: float = 100.0
    half_life_s: float = 600.0
    ban_s: float = 600.0
    """The first ban of a source."""
    longest_s: float = 86_400.0
    mute_s: float = 30.0
    """The first mute of a flow; each further one is twice as long."""
    shadow: bool = False
    never: tuple[IpNetwork, ...] = ()
    weights: Mapping[Offence, float] = field(default_factory=lambda: WEIGHTS)
    scanners: tuple[str, ...] = ()
    """Lower-case pieces of User-Agent that name scanners."""
    where: str = ""
