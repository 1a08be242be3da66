"""Rate limits per source, asked before a message is parsed, and a few asked after it.

A message passes one bucket of every level that has a limit for it, the narrowest first: its flow
(address and port), its source (address; of IPv6 the /64), the prefix around that (/24, /48), the
autonomous system, the peer, the network. Of each level the first limit that fits counts, and beside
it the first that is only a shadow.

Who is known is not counted with strangers. A registered phone is its own source: the flow that it
registered on, so that neither a neighbour behind the same NAT nor a forger of its address uses up
its budget. A peer is its own source too. Limits that many share (prefix, asn, network) count
them only if their conditions ask for them by `registered`, `known_peer` or `peer`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, Protocol

from sbc.policy.buckets import PLACES, Buckets
from sbc.policy.facts import Facts
from sbc.policy.gate import (
    ADMITTED,
    SHARED,
    FlowKey,
    Gate,
    Kept,
    KnownPeer,
    Source,
    Verdict,
    flow_key,
)
from sbc.policy.model import PolicySet
from sbc.policy.mutes import Mutes
from sbc.policy.rationing import Rationing
from sbc.policy.world import World
from sbc.prefixes import source_key
from sbc.sip.flow import Address, Flow, Transport

__all__ = ["ADMITTED", "Admission", "Blocklist", "KnownPeer", "Verdict", "Welcome"]

MAX_USER: Final = 128
"""Characters of a user's name that are told apart."""

Welcome = Literal["away", "stranger", "known"]
"""How a datagram is received: not at all; when there is time; or before those of all strangers."""


class Blocklist(Protocol):
    """Who is banned."""

    def blocked(self, network: str, flow: FlowKey, now: float) -> Verdict | None:
        """What has a flow's messages dropped; None for nothing."""


class Admission:
    """All buckets of the process.

    Args:
        trusted: whether each network is.
        known_peer: who a source is, if it is anybody.
        places: keys remembered per limit and network.
        wall: seconds since 1970, where conditions ask for the time.
    """

    __slots__ = (
        "_gates", "_known_peer", "_places", "_rationing", "_wall", "blocklist", "mutes",
    )  # fmt: skip

    def __init__(
        self,
        policy: PolicySet,
        trusted: Mapping[str, bool],
        known_peer: KnownPeer,
        places: int = PLACES,
        *,
        world: World | None = None,
        wall: Callable[[], float] = float,
    ) -> None:
        self._places = places
        self._wall = wall
        self._gates: dict[str, Gate] = {}
        self._known_peer = known_peer
        self._rationing = Rationing()
        self.mutes = Mutes()
        self.blocklist: Blocklist | None = None
        """Asked before any bucket, but not of sources that the policy exempts."""
        self.apply(policy, trusted, known_peer, world)

    def apply(
        self,
        policy: PolicySet,
        trusted: Mapping[str, bool],
        known_peer: KnownPeer,
        world: World | None = None,
    ) -> None:
        """Put other policies and peers in force; proven flows stay proven.

        Limits that are what they were keep their buckets; those of others begin full.
        """
        self._known_peer = known_peer
        before = self._gates
        self._gates = {
            network: Gate(
                network,
                is_trusted,
                policy,
                places=self._places,
                known_peer=known_peer,
                world=world or World(),
                wall=self._wall,
                before=before.get(network),
            )
            for network, is_trusted in trusted.items()
        }

    def peers_moved(self, known_peer: KnownPeer, hosts: Iterable[str]) -> None:
        """Know peers by other addresses from now on: these hosts became peers, or ceased to be."""
        self._known_peer = known_peer
        moved = list(hosts)
        for network, gate in self._gates.items():
            gate.judge_by(known_peer)
            for host in moved:
                self.mutes.release(network, source_key(host))

    def admit(self, flow: Flow, counted: str, now: float, proven: tuple[str, ...] = ()) -> Verdict:
        """Count one message, and say whether it may pass.

        Args:
            counted: the address it comes from, or whom the connection proves to be a peer.
            proven: the domains that the client's certificate of the connection proves.
        """
        gate = self._gates.get(flow.network)
        if gate is None:
            return ADMITTED
        kept: Kept = counted
        if flow.reliable:
            kept = Source(counted, flow.transport, proven)
        return self._decide(gate, kept, flow_key(flow), now)[0] or ADMITTED

    def admits_datagram(self, network: str, remote: Address, now: float) -> Welcome:
        """Count one datagram, of which nothing was looked at, and say how it is received."""
        gate = self._gates.get(network)
        if gate is None:
            return "known"
        denied, known = self._decide(gate, remote[0], remote, now)
        if denied is None:
            return "known" if known or gate.trusted else "stranger"
        gate.dropped += 1
        if not known and denied.level not in SHARED:
            self._dropped(gate, remote, denied.level, now)
        return "away"

    def admits_connection(
        self, network: str, remote: Address, transport: Transport, now: float
    ) -> bool:
        """Whether a connection may be accepted: its source is neither blocked nor banned."""
        ruling = self._ruling(network, remote, transport, now)
        if ruling is not None:
            return ruling.admitted
        blocklist = self.blocklist if network in self._gates else None
        return blocklist is None or blocklist.blocked(network, (*remote, 0), now) is None

    def forbids_connection(
        self, network: str, remote: Address, transport: Transport, now: float
    ) -> bool:
        """Whether a rule of `sources` says that none may be accepted, banned or not."""
        ruling = self._ruling(network, remote, transport, now)
        return ruling is not None and not ruling.admitted

    def _ruling(
        self, network: str, remote: Address, transport: Transport, now: float
    ) -> Verdict | None:
        gate = self._gates.get(network)
        if gate is None:
            return None
        kept, stranger = Source(remote[0], transport), (*remote, 0)
        standing = gate.standing(kept, stranger, now) or gate.ruled(kept, stranger)
        return None if standing is None else standing.ruling

    def exempts(self, network: str, host: str, now: float) -> bool:
        """Whether a rule of `sources` exempts an address from limits and bans."""
        gate = self._gates.get(network)
        if gate is None:
            return False
        standing = gate.standing(host, (host, 0), now) or gate.ruled(host, (host, 0))
        return standing is not None and standing.ruling is ADMITTED

    def counts_requests(self, network: str) -> bool:
        """Whether any limit of a network counts requests that were parsed."""
        gate = self._gates.get(network)
        return gate is not None and bool(gate.parsed)

    def admit_request(self, facts: Facts, flow: Flow, user: str, now: float) -> Verdict:
        """Count a request that was parsed, by who sends it and what it asks.

        Args:
            user: who sends it, as far as that is certain; ``""`` for nobody.
        """
        gate = self._gates.get(facts.network)
        if gate is None or not gate.parsed:
            return ADMITTED
        own = facts.peer or (flow_key(flow) if facts.registered else source_key(facts.host))
        return gate.take_parsed(facts, own, user[:MAX_USER], now) or ADMITTED

    def vouch(self, flow: Flow) -> None:
        """A flow proved itself (a registration was accepted on it): it is its own source."""
        gate = self._gates.get(flow.network)
        if gate is not None:
            gate.vouch(flow_key(flow))
            self.mutes.release(flow.network, source_key(flow.remote[0]))

    def withdraw(self, flow: Flow) -> None:
        """The last registration of a flow ended: it is a stranger's again."""
        gate = self._gates.get(flow.network)
        if gate is not None:
            gate.withdraw(flow_key(flow))

    def may_answer(self, host: str, now: float) -> bool:
        """Whether garbage from a source may be answered: at most once per source and second."""
        return self._rationing.may_answer(source_key(host), now)

    @property
    def remembered(self) -> int:
        """How many buckets there are, over all networks."""
        return sum(len(buckets) for gate in self._gates.values() for buckets in gate.buckets)

    def buckets(self) -> list[tuple[str, Buckets]]:
        """The buckets of each limit on each network, with the network's name."""
        return [(name, one) for name, gate in self._gates.items() for one in gate.buckets]

    def _decide(
        self, gate: Gate, kept: Kept, flow: FlowKey, now: float
    ) -> tuple[Verdict | None, bool]:
        """What denies a message, if anything does, and whether its source is known."""
        standing = gate.standing(kept, flow, now) or gate.ruled(kept, flow)
        if standing is not None and standing.ruling is not None:
            return (None, True) if standing.ruling.admitted else (standing.ruling, standing.known)
        if self.blocklist is not None:
            blocked = self.blocklist.blocked(gate.network, flow, now)
            if blocked is not None:
                return blocked, False
        if standing is None:
            return gate.take_new(kept, flow, now)
        return standing.take(flow, now), standing.known

    def _dropped(self, gate: Gate, remote: Address, level: str, now: float) -> None:
        """Count a datagram that found no token of its own, for the kernel to drop the next ones.

        A forger gains nothing by it: whom he names is muted only where the budget of that name is
        used up already, so only what would be dropped here is dropped there. Peers, registered
        phones and exempted sources never come to this; and no address is muted as a whole that has
        a registered phone, or is as the limit of one flow.
        """
        if self.mutes.kernel is None or gate.trusted or remote in gate.proven:
            return
        host = source_key(remote[0])
        whole = level == "source" and host not in gate.proven_hosts
        self.mutes.dropped(gate.network, host, 0 if whole else remote[1], now)
