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

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Final, Literal, NamedTuple, Protocol

from sbc.policy.buckets import PLACES, Buckets
from sbc.policy.model import Facts, Level, PolicySet, RateLimit
from sbc.policy.mutes import Mutes
from sbc.policy.rationing import Rationing
from sbc.prefixes import source_key
from sbc.sip.flow import Address, Flow

LEVELS: Final[tuple[Level, ...]] = ("flow", "source", "prefix", "asn", "peer", "network")
"""The levels before parsing, as they are asked."""

PARSED_LEVELS: Final[tuple[Level, ...]] = ("user", "method")
"""The levels after it."""

_SHARED: Final = frozenset({"prefix", "asn", "network"})
"""The levels at which strangers pay for each other."""

STANDINGS = 16_384
"""Sources whose limits are remembered per network; those of others are found again."""

MAX_USER = 128
"""Characters of a user's name that are told apart."""

MAX_METHOD = 32


class Verdict(NamedTuple):
    """Whether a message goes on to the parser, and what decided it."""

    admitted: bool
    rule: str = ""
    where: str = ""
    level: str = ""
    """By what the limit counts that had no token left."""


ADMITTED = Verdict(True)

KnownPeer = Callable[[str, str], str | None]
"""The name of the peer that a source (network, host) belongs to."""

FlowKey = tuple[str, int] | tuple[str, int, int]
"""What tells a flow from others of its network: address and port, and of streams the number."""


Welcome = Literal["away", "stranger", "known"]
"""How a datagram is received: not at all; when there is time; or before those of all strangers."""


class Blocklist(Protocol):
    """Who is banned."""

    def blocked(self, network: str, host: str, port: int, now: float) -> Verdict | None:
        """What has a source dropped; None for nothing."""


class _Gauge(NamedTuple):
    """A bucket that a message must pass."""

    buckets: Buckets
    key: Hashable
    """None for the message's flow."""
    denied: Verdict | None
    """None for a limit that only counts."""


_Limits = list[tuple[Buckets, Level, Verdict | None]]
"""The buckets of the limits that fit a source, the widest first."""


class _Standing(NamedTuple):
    """What a source is, and the buckets that its messages pass."""

    gauges: tuple[_Gauge, ...]
    known: bool
    """Whether it is a peer or a registered phone."""

    def take(self, flow: "FlowKey", now: float) -> Verdict | None:
        """Count a message of a flow; what denies it, if anything does."""
        for buckets, key, denied in self.gauges:
            taken = buckets.take(flow if key is None else key, now, self.known)
            if not taken and denied is not None:
                return denied
        return None


class Admission:
    """All buckets of the process.

    Args:
        trusted: whether each network is.
        known_peer: who a source is, if it is anybody.
        places: keys remembered per limit and network.
    """

    __slots__ = ("_gates", "_known_peer", "_places", "_rationing", "blocklist", "mutes")

    def __init__(
        self,
        policy: PolicySet,
        trusted: Mapping[str, bool],
        known_peer: KnownPeer,
        places: int = PLACES,
    ) -> None:
        self._places = places
        self._gates: dict[str, _Gate] = {}
        self._known_peer = known_peer
        self._rationing = Rationing()
        self.mutes = Mutes()
        self.blocklist: Blocklist | None = None
        self.apply(policy, trusted, known_peer)

    def apply(self, policy: PolicySet, trusted: Mapping[str, bool], known_peer: KnownPeer) -> None:
        """Put other policies and peers in force; proven flows stay proven.

        Limits that are what they were keep their buckets; those of others begin full.
        """
        self._known_peer = known_peer
        before = self._gates
        self._gates = {
            network: _Gate(
                network, is_trusted, policy, self._places, known_peer, before.get(network)
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

    def admit(self, flow: Flow, counted: str, now: float) -> Verdict:
        """Count one message, and say whether it may pass.

        Args:
            counted: the address it comes from, or whom the connection proves to be a peer.
        """
        gate = self._gates.get(flow.network)
        if gate is None:
            return ADMITTED
        if self.blocklist is not None:
            blocked = self.blocklist.blocked(flow.network, *flow.remote, now)
            if blocked is not None:
                return blocked
        key = flow_key(flow)
        standing = gate.standing(counted, key)
        denied = standing.take(key, now) if standing else gate.take_new(counted, key, now)[0]
        return denied or ADMITTED

    def admits_datagram(self, network: str, remote: Address, now: float) -> Welcome:
        """Count one datagram, of which nothing was looked at, and say how it is received."""
        gate = self._gates.get(network)
        if gate is None:
            return "known"
        host, port = remote
        if self.blocklist is not None:
            blocked = self.blocklist.blocked(network, host, port, now)
            if blocked is not None:
                gate.dropped += 1
                self._dropped(gate, remote, "flow", now)
                return "away"
        standing = gate.standing(host, remote)
        if standing is None:
            denied, known = gate.take_new(host, remote, now)
        else:
            denied, known = standing.take(remote, now), standing.known
        if denied is None:
            return "known" if known or gate.trusted else "stranger"
        gate.dropped += 1
        if not known and denied.level not in _SHARED:
            self._dropped(gate, remote, denied.level, now)
        return "away"

    def admits_connection(self, network: str, remote: Address, now: float) -> bool:
        """Whether a connection may be accepted; that it is not banned is all that is asked."""
        if self.blocklist is None or network not in self._gates:
            return True
        return self.blocklist.blocked(network, *remote, now) is None

    def admit_request(self, facts: Facts, flow: Flow, user: str, now: float) -> Verdict:
        """Count a request that was parsed, by who sends it and what it asks.

        Args:
            user: who sends it, as far as that is certain; ``""`` for nobody.
        """
        gate = self._gates.get(facts.network)
        if gate is None or not gate.parsed:
            return ADMITTED
        own = facts.peer or (flow_key(flow) if facts.registered else source_key(facts.host))
        return gate.admit_request(facts, own, user[:MAX_USER], now)

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

    def dropped_datagrams(self) -> int:
        """How many datagrams were dropped before they were looked at."""
        return sum(gate.dropped for gate in self._gates.values())

    def _dropped(self, gate: "_Gate", remote: Address, level: str, now: float) -> None:
        """Count a datagram that found no token of its own, for the kernel to drop the next ones."""
        if self.mutes.kernel is None or gate.trusted:
            return
        host = source_key(remote[0])
        whole = level == "source" and host not in gate.proven_hosts
        self.mutes.dropped(gate.network, host, 0 if whole else remote[1], now)


def flow_key(flow: Flow) -> FlowKey:
    """What tells a flow from others of its network.

    No datagram can be in the name of a stream: the number is one that only streams have.
    """
    return (*flow.remote, flow.connection) if flow.reliable else flow.remote


class _Gate:
    """One network: who is who on it, and which buckets their messages pass."""

    __slots__ = (
        "_asks_host", "_denials", "_known_peer", "_known_standings", "_limits", "_places",
        "_standings", "buckets", "dropped", "network", "parsed", "proven", "proven_hosts",
        "trusted",
    )  # fmt: skip

    def __init__(
        self,
        network: str,
        trusted: bool,
        policy: PolicySet,
        places: int,
        known_peer: KnownPeer,
        before: "_Gate | None",
    ) -> None:
        self.network = network
        self.trusted = trusted
        self._places = places
        self._known_peer = known_peer
        self.proven: dict[FlowKey, None] = {} if before is None else before.proven
        """The flows of registered phones, the one proven last at the end."""
        self.proven_hosts: Counter[str] = Counter() if before is None else before.proven_hosts
        """How many of them each source has."""
        self.dropped = 0 if before is None else before.dropped
        kept = {} if before is None else {_budget(one.limit): one for one in before.buckets}
        self.buckets = [
            self._buckets(limit, kept.get(_budget(limit)))
            for limit in policy.rate_limits
            if limit.when.trusted in (None, trusted)
            and (limit.when.networks is None or network in limit.when.networks)
        ]
        """In the order of the limits."""
        limits = [one.limit for one in self.buckets]
        self._denials = [
            None if limit.shadow else Verdict(False, limit.name, limit.where, limit.per)
            for limit in limits
        ]
        self._asks_host = any(limit.when.sources is not None for limit in limits)
        self._limits: dict[tuple[str | None, bool], _Limits] = {}
        self.parsed = [one for one in self.buckets if one.limit.per in PARSED_LEVELS]
        self._standings: dict[str, _Standing] = {}
        self._known_standings: dict[str, _Standing] = {}

    def standing(self, counted: str, flow: FlowKey) -> _Standing | None:
        """What a source is; None for one that is not remembered."""
        kept = self._known_standings if flow in self.proven else self._standings
        return kept.get(counted)

    def take_new(self, counted: str, flow: FlowKey, now: float) -> tuple[Verdict | None, bool]:
        """Count a message of a source that is not remembered.

        The limits that it shares with others are asked first: where those are used up nothing
        is found out or remembered of it, which makes a flood from invented sources cheap.

        Returns:
            What denies it, if anything does, and whether its source is known.
        """
        peer, registered = self._known_peer(self.network, counted), flow in self.proven
        known = peer is not None or registered
        gauges = []
        for buckets, level, denied in self._limits_for(counted, peer, registered):
            key = self._key(level, counted, peer, registered)
            if key == "":
                continue
            taken = buckets.take(flow if key is None else key, now, known)
            if not taken and denied is not None:
                return denied, known
            gauges.append(_Gauge(buckets, key, denied))
        kept = self._known_standings if registered else self._standings
        if len(kept) >= min(STANDINGS, self._places):
            # They are found again, each when it is needed.
            kept.clear()
        kept[counted] = _Standing(tuple(reversed(gauges)), known)
        return None, known

    def admit_request(self, facts: Facts, own: Hashable, user: str, now: float) -> Verdict:
        """Count a request after it was parsed."""
        asked: set[tuple[Level, bool]] = set()
        known = bool(facts.peer or facts.registered or user)
        for buckets in self.parsed:
            limit = buckets.limit
            key = user if limit.per == "user" else (own, facts.method[:MAX_METHOD])
            if not key or (limit.per, limit.shadow) in asked or not limit.when.hold(facts):
                continue
            asked.add((limit.per, limit.shadow))
            if not buckets.take(key, now, known) and not limit.shadow:
                return Verdict(False, limit.name, limit.where, limit.per)
        return ADMITTED

    def vouch(self, flow: FlowKey) -> None:
        """Count a flow by itself; with too many of them the oldest loses that."""
        if flow in self.proven:
            del self.proven[flow]
        else:
            self.proven_hosts[source_key(flow[0])] += 1
        self.proven[flow] = None
        if len(self.proven) > self._places // 2:
            self.withdraw(next(iter(self.proven)))

    def withdraw(self, flow: FlowKey) -> None:
        """Count a flow as a stranger's again."""
        if flow in self.proven:
            del self.proven[flow]
            host = source_key(flow[0])
            self.proven_hosts[host] -= 1
            if not self.proven_hosts[host]:
                del self.proven_hosts[host]

    def judge_by(self, known_peer: KnownPeer) -> None:
        """Know peers otherwise from now on."""
        self._known_peer = known_peer
        self._limits.clear()
        self._standings.clear()
        self._known_standings.clear()

    def _buckets(self, limit: RateLimit, before: Buckets | None) -> Buckets:
        if before is None:
            return Buckets(limit, self._places, self.proven)
        before.limit = limit
        return before

    def _limits_for(self, counted: str, peer: str | None, registered: bool) -> "_Limits":
        """The limits of a source; of those that nothing tells apart they are found only once."""
        kind = (peer, registered)
        limits = self._limits.get(kind)
        if limits is None:
            facts = Facts(self.network, self.trusted, counted, peer=peer, registered=registered)
            limits = self._choose(facts)
            if not self._asks_host:
                self._limits[kind] = limits
        return limits

    def _choose(self, facts: Facts) -> "_Limits":
        known = facts.peer is not None or facts.registered
        chosen: dict[tuple[Level, bool], tuple[Buckets, Level, Verdict | None]] = {}
        for buckets, denied in zip(self.buckets, self._denials, strict=True):
            limit = buckets.limit
            place = (limit.per, limit.shadow)
            if place in chosen or limit.per in PARSED_LEVELS or not limit.when.hold(facts):
                continue
            if not known or limit.per not in _SHARED or _asks_for_known(limit):
                chosen[place] = (buckets, limit.per, denied)
        return sorted(chosen.values(), key=lambda one: -LEVELS.index(one[1]))

    def _key(self, level: Level, counted: str, peer: str | None, registered: bool) -> Hashable:
        """What a source is counted by at a level; None for its flow, ``""`` for nothing."""
        if level == "flow" or (level == "source" and registered):
            return None
        if level == "source":
            # An IPv6 peer is itself, whoever else is in its /64.
            return source_key(counted) if peer is None else counted
        if level == "prefix":
            return prefix_key(counted)
        if level == "asn":
            return ""
        return (peer or "") if level == "peer" else self.network


def _budget(limit: RateLimit) -> tuple[object, ...]:
    """What makes a limit the same as another, wherever it stands."""
    return limit.name, limit.per, limit.rate, limit.burst


def _asks_for_known(limit: RateLimit) -> bool:
    when = limit.when
    return bool(when.registered or when.known_peer or when.peers)


def prefix_key(host: str) -> str:
    """The /24 around an IPv4 address, the /48 around an IPv6 address."""
    if ":" in host:
        return ":".join(source_key(host).split(":")[:3])
    return host.rpartition(".")[0]
