"""One network's door: who is who on it, and which buckets the messages of each source pass.

What a source is does not change from message to message, so it is found once and remembered. Where
the table of that is full it is begun anew; nothing is lost by that but time.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from typing import Final, NamedTuple

from sbc.policy.buckets import Buckets
from sbc.policy.conditions import Conditions
from sbc.policy.facts import Facts
from sbc.policy.model import Level, PolicySet, RateLimit
from sbc.policy.world import World
from sbc.prefixes import source_key
from sbc.sip.flow import Flow, Transport

LEVELS: Final[tuple[Level, ...]] = ("network", "peer", "asn", "prefix", "source", "flow")
"""The levels before parsing, the widest first."""

PARSED_LEVELS: Final[tuple[Level, ...]] = ("user", "method")
"""The levels after it."""

SHARED: Final = frozenset({"prefix", "asn", "network"})
"""The levels at which strangers pay for each other."""

STANDINGS: Final = 16_384
"""Sources remembered per network."""

STALE_S: Final = 30.0
"""How long a source is what it was where that depends on the time, a set or a database."""

MAX_METHOD: Final = 32
"""Characters of a method that are told apart."""

_SAME_FOR_ALL: Final = frozenset({"network", "trust", "peer", "known_peer", "registered"})
"""What may be asked of a source without it mattering which stranger it is."""

_NO_LEVEL: Final = ""


class Verdict(NamedTuple):
    """Whether a message goes on to the parser, and what decided it."""

    admitted: bool
    rule: str = ""
    where: str = ""
    level: str = ""
    """By what the limit counts that had no token left; ``"sources"`` of a rule of that section."""


ADMITTED: Final = Verdict(True)

KnownPeer = Callable[[str, str], str | None]
"""The name of the peer that a source (network, host) belongs to."""

FlowKey = tuple[str, int] | tuple[str, int, int]
"""What tells a flow from others of its network: address and port, and of streams the number."""


class Source(NamedTuple):
    """Where messages come from, as far as it is known before they are read."""

    counted: str
    """The numeric address, or whom the connection proves to be a peer."""
    transport: Transport = "udp"
    proven: tuple[str, ...] = ()
    """Domains that the client's certificate proves."""


class Gauge(NamedTuple):
    """A bucket that a message must pass."""

    buckets: Buckets
    key: Hashable
    """None for the message's flow."""
    denied: Verdict | None
    """None for a limit that only counts."""


class Standing(NamedTuple):
    """What a source is, and the buckets that its messages pass: shadows, then the narrowest."""

    gauges: tuple[Gauge, ...]
    known: bool
    """Whether it is a peer or a registered phone."""
    ruling: Verdict | None = None
    """What a rule of `sources` says, whatever else there is."""

    def take(self, flow: FlowKey, now: float) -> Verdict | None:
        """Count a message of a flow; what denies it, if anything does."""
        for buckets, key, denied in self.gauges:
            taken = buckets.take(flow if key is None else key, now, self.known)
            if not taken and denied is not None:
                return denied
        return None


_Fitting = list[tuple[Buckets, Level, Verdict | None]]
"""The buckets of the limits that fit a source: shadows, and then the widest first."""

Kept = str | Source
"""What a source is remembered by: a datagram's by its address alone."""


class Gate:
    """Everything of one network.

    Args:
        places: keys remembered per limit.
        before: the gate in whose place this one is.
    """

    __slots__ = (
        "_asks_host", "_asks_time", "_fitting", "_known_peer", "_known_standings", "_limits",
        "_places", "_rules", "_stale_at", "_standings", "_wall", "_world", "buckets", "dropped",
        "network", "parsed", "proven", "proven_hosts", "trusted",
    )  # fmt: skip

    def __init__(
        self,
        network: str,
        trusted: bool,
        policy: PolicySet,
        *,
        places: int,
        known_peer: KnownPeer,
        world: World,
        wall: Callable[[], float],
        before: "Gate | None",
    ) -> None:
        self.network = network
        self.trusted = trusted
        self._places = places
        self._known_peer = known_peer
        self._world = world
        self._wall = wall
        self.proven: dict[FlowKey, None] = {} if before is None else before.proven
        """The flows of registered phones, the one proven last at the end."""
        self.proven_hosts: Counter[str] = Counter() if before is None else before.proven_hosts
        """How many of them each source has."""
        self.dropped: int = 0 if before is None else before.dropped
        """Datagrams that were turned away."""
        here = {"network": network, "trust": "trusted" if trusted else "untrusted"}
        kept = {} if before is None else {_budget(one.limit): one for one in before.buckets}
        self.buckets: list[Buckets] = [
            self._buckets(limit, kept.get(_budget(limit)))
            for limit in policy.rate_limits
            if limit.when.possible(**here)
        ]
        """In the order of the limits."""
        self._limits = [(one, _denial(one.limit)) for one in self.buckets]
        self.parsed = [one for one in self.buckets if one.limit.per in PARSED_LEVELS]
        self._rules = policy.stage("sources")
        asked = [one.limit.when for one in self.buckets if one.limit.per not in PARSED_LEVELS]
        asked += [rule.when for rule in self._rules.all if rule.when.possible(**here)]
        self._asks_host = not _asked(asked) <= _SAME_FOR_ALL
        self._asks_time = "time" in _asked(asked)
        by_asn = any(one.limit.per == "asn" for one in self.buckets)
        self._stale_at = 0.0 if self._asks_host or by_asn else float("inf")
        self._fitting: dict[tuple[str | None, bool], _Fitting] = {}
        self._standings: dict[Kept, Standing] = {}
        self._known_standings: dict[Kept, Standing] = {}

    def standing(self, kept: Kept, flow: FlowKey, now: float) -> Standing | None:
        """What a source is, if it is remembered."""
        if now >= self._stale_at:
            self._stale_at = now + STALE_S
            self.judge_by(self._known_peer)
        standings = self._known_standings if flow in self.proven else self._standings
        return standings.get(kept)

    def ruled(self, kept: Kept, flow: FlowKey) -> Standing | None:
        """What a source that is not remembered is, if a rule says so."""
        if not self._rules.all:
            return None
        registered = flow in self.proven
        facts = self._facts(kept, registered)
        rule = self._rules.first(facts)
        if rule is None:
            return None
        ruling = ADMITTED
        if rule.action.verb == "block":
            ruling = Verdict(False, rule.name, rule.where, "sources")
        standing = Standing((), facts.peer is not None or registered, ruling)
        self._remember(kept, standing, registered)
        return standing

    def take_new(self, kept: Kept, flow: FlowKey, now: float) -> tuple[Verdict | None, bool]:
        """Count a message of a source that is not remembered, and remember it.

        The limits that it shares with others are asked first: where those are used up nothing
        is found out or remembered of it, which makes a flood from invented sources cheap.

        Returns:
            What denies it, if anything does, and whether its source is known.
        """
        counted = kept if isinstance(kept, str) else kept.counted
        peer, registered = self._known_peer(self.network, counted), flow in self.proven
        known = peer is not None or registered
        gauges: list[Gauge] = []
        shadows: list[Gauge] = []
        for buckets, level, denied in self._fitting_for(kept, peer, registered):
            key = self._key(level, counted, peer, registered)
            if key == _NO_LEVEL:
                continue
            taken = buckets.take(flow if key is None else key, now, known)
            if not taken and denied is not None:
                return denied, known
            (shadows if denied is None else gauges).append(Gauge(buckets, key, denied))
        self._remember(kept, Standing((*shadows, *reversed(gauges)), known), registered)
        return None, known

    def take_parsed(self, facts: Facts, own: Hashable, user: str, now: float) -> Verdict | None:
        """Count a request that was parsed; what denies it, if anything does."""
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
        return None

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
        """Know peers otherwise from now on, and find out anew what every source is."""
        self._known_peer = known_peer
        self._fitting.clear()
        self._standings.clear()
        self._known_standings.clear()

    def _buckets(self, limit: RateLimit, before: Buckets | None) -> Buckets:
        if before is None:
            return Buckets(limit, self._places, self.proven)
        before.limit = limit
        return before

    def _remember(self, kept: Kept, standing: Standing, registered: bool) -> None:
        standings = self._known_standings if registered else self._standings
        if len(standings) >= min(STANDINGS, self._places):
            standings.clear()
        standings[kept] = standing

    def _facts(self, kept: Kept, registered: bool) -> Facts:
        source = Source(kept) if isinstance(kept, str) else kept
        return Facts(
            network=self.network,
            trusted=self.trusted,
            host=source.counted,
            peer=self._known_peer(self.network, source.counted),
            registered=registered,
            transport=source.transport,
            proven=source.proven,
            world=self._world,
            now=self._wall() if self._asks_time else 0.0,
        )

    def _fitting_for(self, kept: Kept, peer: str | None, registered: bool) -> _Fitting:
        """The limits of a source; where nothing tells strangers apart they are found only once."""
        kind = (peer, registered)
        fitting = self._fitting.get(kind)
        if fitting is None:
            fitting = self._choose(self._facts(kept, registered))
            if not self._asks_host:
                self._fitting[kind] = fitting
        return fitting

    def _choose(self, facts: Facts) -> _Fitting:
        """Of each level the first limit that fits, and the first that is only a shadow."""
        known = facts.peer is not None or facts.registered
        chosen: dict[tuple[Level, bool], tuple[Buckets, Level, Verdict | None]] = {}
        for buckets, denied in self._limits:
            limit = buckets.limit
            place = (limit.per, limit.shadow)
            if place in chosen or limit.per in PARSED_LEVELS or not limit.when.hold(facts):
                continue
            if not known or limit.per not in SHARED or _asks_for_known(limit.when, facts):
                chosen[place] = (buckets, limit.per, denied)
        # Shadows first, so that they count what other limits deny, too.
        return sorted(chosen.values(), key=lambda one: (one[2] is not None, LEVELS.index(one[1])))

    def _key(self, level: Level, counted: str, peer: str | None, registered: bool) -> Hashable:
        """What a source is counted by at a level; None for its flow."""
        if level == "flow" or (level == "source" and registered):
            return None
        if level == "source":
            # An IPv6 peer is itself, whoever else is in its /64.
            return source_key(counted) if peer is None else counted
        if level == "prefix":
            return prefix_key(counted)
        if level == "asn":
            return self._world.places.asn(counted) or _NO_LEVEL
        return (peer or _NO_LEVEL) if level == "peer" else self.network


def flow_key(flow: Flow) -> FlowKey:
    """What tells a flow from others of its network.

    No datagram can be in the name of a stream: the number is one that only streams have.
    """
    return (*flow.remote, flow.connection) if flow.reliable else flow.remote


def prefix_key(host: str) -> str:
    """The /24 around an IPv4 address, the /48 around an IPv6 address; ``""`` of anything else."""
    if ":" in host:
        return ":".join(source_key(host).split(":")[:3])
    return host.rpartition(".")[0]


def _denial(limit: RateLimit) -> Verdict | None:
    return None if limit.shadow else Verdict(False, limit.name, limit.where, limit.per)


def _budget(limit: RateLimit) -> tuple[object, ...]:
    """What makes a limit the same as another, wherever it stands and whomever it is for."""
    return limit.name, limit.per, limit.rate, limit.burst


def _asked(conditions: Iterable[Conditions]) -> frozenset[str]:
    return frozenset(test.name for when in conditions for test in when.tests)


def _asks_for_known(when: Conditions, facts: Facts) -> bool:
    """Whether conditions that hold ask for what this source is, a peer or a registered phone."""
    return (facts.registered and when.asks("registered")) or (
        facts.peer is not None and (when.asks("known_peer") or when.matcher("peer") is not None)
    )
