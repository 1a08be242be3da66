"""How the phones of a peer of kind endpoints register."""

from dataclasses import dataclass
from typing import Literal

RegistrationMode = Literal["relay", "cache", "local"]


@dataclass(frozen=True, slots=True)
class Registration:
    """Who decides on a REGISTER of these phones, and for how long. Seconds."""

    mode: RegistrationMode = "relay"
    """`relay`: the registrar behind us, each time; `cache`: the same, but most refreshes are
    answered by us; `local`: we are the registrar."""
    phone_expires_s: int = 90
    """`cache`: the longest life told to a phone, which keeps its NAT open."""
    registrar_expires_s: int = 3600
    """`cache`: the life asked of the registrar."""
    min_expires_s: int = 60
    """`local`: shorter lives are refused with 423."""
    max_expires_s: int = 3600
    """`local`: longer lives are cut."""
    max_contacts: int = 10
    """`local`: of one user; above them the one that would end first gives way."""
    path: bool = False
    """`relay` and `cache`: whether the registrar is told a Path through us (RFC 3327)."""


RELAYED = Registration()
"""What holds where nothing was written."""
