"""What a call is handed: configuration in force, entropy and ports. Never part of its data."""

from dataclasses import dataclass, field
from typing import Protocol

from sbc.policy.model import PolicySet
from sbc.policy.numbers import NoPlan, NumberPlan
from sbc.policy.proofs import NO_PROOFS, Proofs
from sbc.policy.world import World
from sbc.routing.accounts import Logins
from sbc.routing.facing import listener_of
from sbc.routing.model import Listener, Network, Peer, Settings
from sbc.routing.repair import Quirk
from sbc.sip.flow import Flow


class IdSource(Protocol):
    """Entropy, handed in so that tests are equations."""

    def token(self) -> str:
        """16 lower-case hexadecimal digits that nobody can guess."""

    def key(self, length: int) -> bytes:
        """That many unguessable bytes, for SRTP keys."""


class PortSource(Protocol):
    """Media ports per network."""

    def take(self, network: str, now: float) -> int:
        """An even port; the one above it is its RTCP port.

        Raises:
            PortsExhausted: the network's range has no free pair.
        """

    def give_back(self, network: str, port: int, now: float) -> None:
        """Put a port into quarantine, from which it returns to the pool."""


_NO_PLAN = NoPlan()
_NO_WORLD = World()
_NO_POLICY = PolicySet()


@dataclass(slots=True)
class Context:
    """The surroundings of all calls that began under one configuration."""

    settings: Settings
    networks: dict[str, Network]
    ids: IdSource
    ports: PortSource
    instance: str
    """Marks the branches of this process, so that a request that comes back is recognised."""
    logins: Logins = field(default_factory=Logins)
    """Our accounts at peers: one object for all configurations, so that a new password holds."""
    plan: NumberPlan = _NO_PLAN
    policy: PolicySet = _NO_POLICY
    """What was asked when the calls began, with the rules for headers."""
    world: World = _NO_WORLD
    """What the conditions of rules may look up."""
    version: int = 0
    """The number that the configuration is kept under; 0 for none."""
    proofs: Proofs = NO_PROOFS
    """What is known of connections, for the conditions of rules."""
    peers: dict[str, Peer] = field(init=False)
    repairs: dict[str, frozenset[Quirk]] = field(init=False)
    """By the names of peers that are known to be wrong, what is put right."""

    def __post_init__(self) -> None:
        self.peers = {peer.name: peer for peer in self.settings.peers}
        self.repairs = {peer.name: peer.repairs for peer in self.settings.peers if peer.repairs}

    def listener(self, flow: Flow) -> Listener:
        """The socket of ours that a flow runs over: what Via and Contact must name."""
        return listener_of(self.networks[flow.network], flow)
