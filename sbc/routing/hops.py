"""Hops: where a peer's requests really go, as health and live calls are kept by."""

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from sbc.sip.flow import Flow

Probe = Literal["off", "options"]


class Hop(NamedTuple):
    """One numeric place of one peer, over one transport and from one socket of ours."""

    peer: str
    flow: Flow
    """Without connection number: whichever connection is open, it is the same place."""


@dataclass(frozen=True, slots=True)
class HealthRule:
    """How a peer's hops are judged. What calls tell of them always counts."""

    probe: Probe = "off"
    """`options`: they are asked by OPTIONS too."""
    interval_s: float = 30.0
    """Between two probes; without probes how long a hop that is down rests before a call tries."""
    timeout_s: float = 4.0
    """Until a probe counts as unanswered."""
    fail_after: int = 3
    """Failures in a row until a hop is down."""
    recover_after: int = 2
    """Signs of life in a row until one that was down is up."""


UNASKED: Final = HealthRule()


def hop_of(peer: str, flow: Flow) -> Hop:
    """The hop that a flow to a peer leads to."""
    return Hop(peer, flow if flow.connection == 0 else flow._replace(connection=0))
