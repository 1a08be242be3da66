"""Who may bring anything at all: asked before a datagram is looked at or a connection accepted."""

from typing import Protocol

from sbc.sip.flow import Address


class Doorkeeper(Protocol):
    """Turns sources away."""

    def admits_datagram(self, network: str, remote: Address, now: float) -> bool:
        """Whether a datagram may pass; one that may not is as if it had been lost."""

    def admits_connection(self, network: str, remote: Address, now: float) -> bool:
        """Whether a connection may be accepted, before any byte of it is read."""


class OpenDoor:
    """Turns nobody away."""

    def admits_datagram(self, network: str, remote: Address, now: float) -> bool:
        """Every one may."""
        del network, remote, now
        return True

    def admits_connection(self, network: str, remote: Address, now: float) -> bool:
        """Every one may."""
        del network, remote, now
        return True
