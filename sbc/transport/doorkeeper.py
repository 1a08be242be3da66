"""Who may bring anything at all: asked before a datagram is looked at or a connection accepted."""

from typing import Literal, Protocol

from sbc.sip.flow import Address, Transport

Welcome = Literal["away", "stranger", "known"]
"""How a datagram is received: not at all; when there is time; or before those of all strangers."""


class Doorkeeper(Protocol):
    """Turns sources away."""

    def admits_datagram(self, network: str, remote: Address, now: float) -> Welcome:
        """How a datagram is received; one that is sent away is as if it had been lost."""

    def admits_connection(
        self, network: str, remote: Address, transport: Transport, now: float
    ) -> bool:
        """Whether a connection may be accepted, before any byte of it is read."""


class OpenDoor:
    """Turns nobody away."""

    def admits_datagram(self, network: str, remote: Address, now: float) -> Welcome:
        """None is kept waiting."""
        del network, remote, now
        return "known"

    def admits_connection(
        self, network: str, remote: Address, transport: Transport, now: float
    ) -> bool:
        """Every one may."""
        del network, remote, transport, now
        return True
