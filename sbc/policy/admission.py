"""Rate limits per source, asked before a message is parsed.

Every bucket lives in a table with a fixed number of places. A place is given to another source
only when its bucket is full again, so that nobody gains or loses anything by it: a flood from a
million invented sources neither grows the table nor wins an attacker a fresh budget, and the
sources that proved themselves (peers, registered phones) have places that are never given away.
"""

from array import array
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from sbc.policy.facts import Facts
from sbc.policy.model import PolicySet, RateLimit
from sbc.prefixes import source_key

SLOTS = 65_536
"""Sources remembered per network; about 15 MB when all are taken."""

ANSWER_SLOTS = 1024
"""Sources remembered for `may_answer`, which is also the most answers in a second."""

ANSWER_INTERVAL_S = 1.0

PROBES = 8
"""Places looked at for a full bucket before a new source goes to the shared one."""

CROWD_SHARE = 16
"""The bucket shared by sources that found no place is this many times that of one source."""


class Verdict(NamedTuple):
    """Whether a message goes on to the parser, and what decided it."""

    admitted: bool
    rule: str = ""
    where: str = ""


ADMITTED = Verdict(True)

KnownPeer = Callable[[str, str], str | None]
"""The name of the peer that a source (network, host) belongs to."""


class Admission:
    """All buckets of the process.

    Args:
        trusted: whether each network is.
        known_peer: who a source is, if it is anybody.
        slots: sources remembered per network.
    """

    __slots__ = ("_answer_hosts", "_answer_times", "_known_peer", "_slots", "_tables")

    def __init__(
        self,
        policy: PolicySet,
        trusted: Mapping[str, bool],
        known_peer: KnownPeer,
        slots: int = SLOTS,
    ) -> None:
        self._slots = slots
        self._tables: dict[str, _Table] = {}
        self._known_peer = known_peer
        self._answer_hosts: list[str | None] = [None] * ANSWER_SLOTS
        self._answer_times = array("d", bytes(8 * ANSWER_SLOTS))
        self.apply(policy, trusted, known_peer)

    def apply(self, policy: PolicySet, trusted: Mapping[str, bool], known_peer: KnownPeer) -> None:
        """Put other policies and peers in force; proven sources stay proven.

        Where a network's limits are other ones its buckets begin full, else they stay as they are.
        """
        self._known_peer = known_peer
        before = self._tables
        self._tables = {}
        for network, is_trusted in trusted.items():
            limits = _limits_on(policy, network, is_trusted)
            if not limits:
                continue
            table = before.get(network)
            if table is not None and table.limits == limits and table.trusted is is_trusted:
                table.judge_by(known_peer)
                table.look_again(list(table.places))
            else:
                proven = table.proven if table is not None else {}
                table = _Table(network, is_trusted, limits, self._slots, known_peer)
                table.proven.update(proven)
            self._tables[network] = table

    def peers_moved(self, known_peer: KnownPeer, hosts: Iterable[str]) -> None:
        """Know peers by other addresses from now on: these hosts became peers, or ceased to be."""
        self._known_peer = known_peer
        moved = list(hosts)
        for table in self._tables.values():
            table.judge_by(known_peer)
            table.look_again(moved)

    def admit(self, network: str, host: str, now: float) -> Verdict:
        """Count one message of a source, and say whether it may pass."""
        table = self._tables.get(network)
        return ADMITTED if table is None else table.admit(host, now)

    def vouch(self, network: str, host: str) -> None:
        """A source proved itself (its registration was accepted): its bucket is its own."""
        table = self._tables.get(network)
        if table is not None:
            table.vouch(host)

    def withdraw(self, network: str, host: str) -> None:
        """A source's last registration ended: it is a stranger again."""
        table = self._tables.get(network)
        if table is not None:
            table.withdraw(host)

    def may_answer(self, host: str, now: float) -> bool:
        """Whether garbage from a source may be answered: at most once per source and second.

        Two sources that share a place share the answer; no source ever gets more.
        """
        key = source_key(host)
        at = hash(key) % ANSWER_SLOTS
        if self._answer_hosts[at] is not None and now - self._answer_times[at] < ANSWER_INTERVAL_S:
            return False
        self._answer_hosts[at] = key
        self._answer_times[at] = now
        return True

    @property
    def remembered(self) -> int:
        """How many sources have a bucket, over all networks."""
        return sum(len(table.places) for table in self._tables.values())


def _limits_on(policy: PolicySet, network: str, trusted: bool) -> tuple[RateLimit, ...]:
    return tuple(
        limit
        for limit in policy.rate_limits
        if limit.when.possible(network=network, trust="trusted" if trusted else "untrusted")
    )


class _Bucket:
    """One bucket that many share."""

    __slots__ = ("at", "burst", "denied", "rate", "tokens")

    def __init__(self, rate: float, burst: float, denied: Verdict) -> None:
        self.rate = rate
        self.burst = burst
        self.denied = denied
        self.tokens = burst
        self.at = 0.0

    def take(self, now: float) -> Verdict:
        """One token, if there is one."""
        tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if tokens < 1.0:
            self.tokens = tokens
            return self.denied
        self.tokens = tokens - 1.0
        return ADMITTED


class _Table:
    """The buckets of one network: a place per source, in parallel arrays."""

    __slots__ = (
        "_at",
        "_capacity",
        "_crowds",
        "_denied",
        "_hand",
        "_keys",
        "_known_peer",
        "_limit_of",
        "_limits",
        "_network",
        "_shared",
        "_shared_of",
        "_shared_when",
        "_tokens",
        "limits",
        "places",
        "proven",
        "trusted",
    )

    def __init__(
        self,
        network: str,
        trusted: bool,
        limits: tuple[RateLimit, ...],
        capacity: int,
        known_peer: KnownPeer,
    ) -> None:
        self._network = network
        self.trusted = trusted
        self.limits = limits
        """All that were given, in their order."""
        self._known_peer = known_peer
        self._capacity = capacity
        self._limits = tuple(limit for limit in limits if limit.per == "source")
        self._denied = [Verdict(False, limit.name, limit.where) for limit in self._limits]
        self._crowds = [(_crowd(limit), _crowd(limit)) for limit in self._limits]
        shared = [limit for limit in limits if limit.per == "network"]
        self._shared_when = tuple(limit.when for limit in shared)
        self._shared = tuple(
            _Bucket(limit.rate, float(limit.burst), Verdict(False, limit.name, limit.where))
            for limit in shared
        )
        self.places: dict[str, int] = {}
        self.proven: dict[str, str] = {}
        """One address of each proven source, the one proven last at the end."""
        self._keys: list[str] = []
        self._tokens = array("d")
        self._at = array("d")
        self._limit_of = array("h")
        self._shared_of = array("h")
        self._hand = 0

    def admit(self, host: str, now: float) -> Verdict:
        """Count a message of a source."""
        key = self.key(host) if ":" in host else host
        slot = self.places.get(key)
        if slot is None:
            return self._admit_new(key, host, now)
        number = self._limit_of[slot]
        limit = self._limits[number]
        tokens = self._tokens[slot] + (now - self._at[slot]) * limit.rate
        self._at[slot] = now
        if tokens > limit.burst:
            tokens = float(limit.burst)
        if tokens < 1.0:
            self._tokens[slot] = tokens
            return self._denied[number]
        self._tokens[slot] = tokens - 1.0
        shared = self._shared_of[slot]
        return ADMITTED if shared < 0 else self._shared[shared].take(now)

    def key(self, host: str) -> str:
        """A source's key. An IPv6 peer is itself, whoever else is in its /64."""
        return host if self._known_peer(self._network, host) else source_key(host)

    def _admit_new(self, key: str, host: str, now: float) -> Verdict:
        """Count the first message of a source that has no place."""
        facts = self._facts(key, host)
        number = self._limit_for(facts)
        shared = self._shared_for(facts)
        if number >= 0:
            slot = self._free_slot(now)
            if slot < 0:
                known = facts.peer is not None or facts.registered
                verdict = self._crowds[number][known].take(now)
                if not verdict.admitted:
                    return verdict
            else:
                self.places[key] = slot
                self._keys[slot] = key
                self._tokens[slot] = self._limits[number].burst - 1.0
                self._at[slot] = now
                self._limit_of[slot] = number
                self._shared_of[slot] = shared
        return ADMITTED if shared < 0 else self._shared[shared].take(now)

    def judge_by(self, known_peer: KnownPeer) -> None:
        """Know peers otherwise from now on."""
        self._known_peer = known_peer

    def look_again(self, hosts: Iterable[str]) -> None:
        """Let these sources, as far as they have a place, have the limits of what they are now."""
        for host in hosts:
            key = self.key(host)
            self._look_again(key, self.proven.get(key, host))

    def vouch(self, host: str) -> None:
        """Never give away this source's place; with too many of them the oldest loses that."""
        key = self.key(host)
        self.proven.pop(key, None)
        self.proven[key] = host
        if len(self.proven) > self._capacity // 2:
            self._withdraw(next(iter(self.proven)))
        self._look_again(key, host)

    def withdraw(self, host: str) -> None:
        """Treat this source as a stranger again."""
        self._withdraw(self.key(host))

    def _withdraw(self, key: str) -> None:
        host = self.proven.pop(key, None)
        if host is not None:
            self._look_again(key, host)

    def _look_again(self, key: str, host: str) -> None:
        """Let a source that has a place have the limit that fits what it is now."""
        slot = self.places.get(key)
        if slot is None:
            return
        facts = self._facts(key, host)
        number = self._limit_for(facts)
        if number < 0:
            # Nothing limits this source any more; its place is free.
            del self.places[key]
            self._keys[slot] = ""
            return
        self._tokens[slot] = min(self._tokens[slot], float(self._limits[number].burst))
        self._limit_of[slot] = number
        self._shared_of[slot] = self._shared_for(facts)

    def _facts(self, key: str, host: str) -> Facts:
        peer = self._known_peer(self._network, host)
        return Facts(self._network, self.trusted, host, "", peer, key in self.proven)

    def _limit_for(self, facts: Facts) -> int:
        for number, limit in enumerate(self._limits):
            if limit.when.hold(facts):
                return number
        return -1

    def _shared_for(self, facts: Facts) -> int:
        if facts.peer is None and not facts.registered:
            for number, when in enumerate(self._shared_when):
                if when.hold(facts):
                    return number
        return -1

    def _free_slot(self, now: float) -> int:
        """A place nobody needs: a new one, or one whose bucket is full again; -1 for none."""
        slot = len(self._keys)
        if slot < self._capacity:
            self._keys.append("")
            self._tokens.append(0.0)
            self._at.append(0.0)
            self._limit_of.append(0)
            self._shared_of.append(-1)
            return slot
        for _ in range(PROBES):
            slot = self._hand = (self._hand + 1) % self._capacity
            key = self._keys[slot]
            if not key:
                return slot
            limit = self._limits[self._limit_of[slot]]
            tokens = self._tokens[slot] + (now - self._at[slot]) * limit.rate
            if tokens >= limit.burst and key not in self.proven:
                del self.places[key]
                return slot
        return -1


def _crowd(limit: RateLimit) -> _Bucket:
    return _Bucket(
        limit.rate * CROWD_SHARE,
        float(limit.burst * CROWD_SHARE),
        Verdict(False, f"{limit.name} (too many sources)", limit.where),
    )
