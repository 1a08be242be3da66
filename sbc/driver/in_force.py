"""The configuration that new requests are judged by."""

from dataclasses import dataclass, field, replace

from sbc.driver.world import PLAN
from sbc.policy.caps import CallLimits
from sbc.policy.model import PolicySet
from sbc.policy.numbers import NumberPlan
from sbc.policy.world import Counters, World
from sbc.routing.accounts import Realm
from sbc.routing.location import Destination, Located, Locations
from sbc.routing.model import Network, Peer, Settings
from sbc.routing.table import RoutingTable
from sbc.trunks.registrations import Registrations


@dataclass(slots=True)
class InForce:
    """The configuration that new requests are judged by; replaced as one reference."""

    settings: Settings
    table: RoutingTable
    policy: PolicySet
    locations: Locations
    """What is known of the targets that are names."""
    version: int = 0
    """The number that the configuration is kept under; 0 for none."""
    networks: dict[str, Network] = field(default_factory=dict)
    located: dict[Destination, Located] = field(default_factory=dict)
    """What was asked for of `locations`, and numeric targets beside it."""
    by_credentials: dict[str, tuple[str, list[Peer]]] = field(default_factory=dict)
    """By network: the realm that unknown sources may log in to, and the peers they then are."""
    ours: frozenset[tuple[str, int]] = frozenset()
    """Addresses and ports of every listener, as we bind and as we advertise them."""
    plan: NumberPlan = PLAN
    world: World = field(default_factory=lambda: World(plan=PLAN))
    """What decisions may look up."""
    registrations: Registrations = field(default_factory=Registrations)
    """Ours with trunks, which outlive every configuration."""

    def __post_init__(self) -> None:
        self.world = replace(self.world, tariffs=self.policy.tariffs)
        self.networks = {network.name: network for network in self.settings.networks}
        self.ours = frozenset(
            (host, listener.port)
            for network in self.settings.networks
            for listener in network.listeners
            for host in (listener.bind, listener.advertise)
        )
        for peer in self.settings.peers:
            if peer.realm is not None and peer.realm.tells_peer:
                named = self.by_credentials.setdefault(peer.network, (peer.realm.name, []))
                named[1].append(peer)

    def attach(self, registrations: Registrations, counters: Counters) -> None:
        """Let decisions look up what outlives every configuration."""
        self.registrations = registrations
        self.world = replace(self.world, counters=counters)

    @property
    def trust(self) -> dict[str, bool]:
        """Whether each network is trusted."""
        return {name: network.trusted for name, network in self.networks.items()}

    @property
    def call_limits(self) -> dict[str, CallLimits]:
        """The caps of every peer."""
        return {
            peer.name: CallLimits(
                peer.limits.max_calls,
                peer.limits.calls_per_second,
                peer.limits.burst,
                peer.where,
                peer.limits.max_kbps,
            )
            for peer in self.settings.peers
        }

    def realm_of(self, peer: str) -> Realm | None:
        """What requests of a peer are challenged for; None where nothing is asked."""
        found = self.table.peer(peer)
        return None if found is None else found.realm
