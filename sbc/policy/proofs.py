"""What connections prove of whoever is at their other end, for the conditions of rules."""

from typing import Final, Protocol

from sbc.sip.flow import Flow


class Proofs(Protocol):
    """What is known of connections, by their flows."""

    def names(self, flow: Flow) -> tuple[str, ...]:
        """What the far end's certificate proves."""

    def tls_version(self, flow: Flow) -> float:
        """The version of TLS, as 1.3; 0 without."""


class NoProofs:
    """Nothing is known of any connection."""

    def names(self, flow: Flow) -> tuple[str, ...]:
        """See `Proofs`."""
        del flow
        return ()

    def tls_version(self, flow: Flow) -> float:
        """See `Proofs`."""
        del flow
        return 0.0


NO_PROOFS: Final = NoProofs()
