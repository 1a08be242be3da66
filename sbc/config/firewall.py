"""What sbc.yaml says of the kernel's packet filter."""

from typing import Annotated

from pydantic import Field

from sbc.document.schema import Section
from sbc.firewall.nftables import FirewallSettings, Mode
from sbc.firewall.ruleset import Rate

_BURST_S = 2
"""What may come at once, in seconds of the rate."""


class FirewallSection(Section):
    """Whether the kernel, too, turns away who is banned."""

    nftables: Mode = Field(
        default="auto",
        description="`auto`: a table of our own holds the bans where the process may make it, and "
        "where not they are in force in the process alone, which costs more; `required`: no start "
        "without it; `off`: none. Nobody else's table is ever touched, nobody else can change ours "
        "and it ends with the process. Needs the program nft, Linux 5.12 and CAP_NET_ADMIN.",
        examples=["auto"],
    )
    packets_per_source: Annotated[int, Field(ge=0, le=10_000_000)] = Field(
        default=0,
        description="Packets per second that the kernel lets an address (IPv6: a /64) send to our "
        "untrusted listeners which is neither a peer's nor has a registered phone; 0 for no such "
        "limit. The limits of the policies count messages; this one is for what is far above.",
        examples=[500],
    )


def build_firewall(section: FirewallSection) -> FirewallSettings:
    """The settings that a section makes."""
    rate = section.packets_per_source
    return FirewallSettings(section.nftables, Rate(rate, rate * _BURST_S) if rate else None)
