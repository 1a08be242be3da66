"""Who is shut out: bans of sources, mutes of single flows, asked before a message is parsed.

A ban is of an IPv4 address, of the /64 that an IPv6 address is in, or of a prefix that an operator
named; a mute is of one address and port. Both end by themselves, both are bounded in number, and
each is one dictionary lookup for a message that arrives.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from sbc.policy.gate import FlowKey, Verdict, flow_key
from sbc.policy.offences import Evidence
from sbc.prefixes import IpNetwork, PrefixMap, single_host, source_key
from sbc.sip.flow import Flow

MOST_BANS: Final = 65_536
"""Bans by rules at one time; with more of them the oldest ends."""

MOST_MUTES: Final = 16_384
MOST_PREFIXES: Final = 1000
"""Bans by operators at one time."""

THROTTLE_S: Final = 1.0
"""A throttled flow may bring one message in this time, so that its phone can still register."""

PROVING_S: Final = 1.0
"""One connection in this time may show its certificate, of all that come from banned sources."""

OPERATOR: Final = "operator"


@dataclass(slots=True)
class Ban:
    """One source that is shut out, and why."""

    source: IpNetwork
    why: str
    by: str
    """`OPERATOR`, or the reason that the score was mostly made of."""
    since: float
    """Seconds since 1970."""
    seconds: float
    """How long it is for."""
    until: float
    """On the clock that decisions are made by."""
    score: float = 0.0
    evidence: tuple[Evidence, ...] = ()
    shadow: bool = False
    """Whether it is only reported, and shuts nobody out."""
    number: int = 1
    """How many bans this source has had lately, with this one."""
    hits: int = 0
    """Messages and connections that it turned away, or would have."""
    verdict: Verdict = field(init=False)

    def __post_init__(self) -> None:
        self.verdict = Verdict(False, f"ban of {self.source}", self.why)


class Mute:
    """One flow that is not heard, or only now and then."""

    __slots__ = ("hits", "next_at", "throttled", "until", "verdict")

    def __init__(self, until: float, why: str, *, throttled: bool) -> None:
        self.until = until
        self.throttled = throttled
        self.next_at = 0.0
        self.hits = 0
        self.verdict = Verdict(False, "throttled flow" if throttled else "muted flow", why)

    def passes(self, now: float) -> bool:
        """Whether a message may pass all the same; counts it if not."""
        if self.throttled and now >= self.next_at:
            self.next_at = now + THROTTLE_S
            return True
        self.hits += 1
        return False


NetworkFlow = tuple[str, str, int] | tuple[str, str, int, int]
"""The name of a network, and what tells a flow from others of it."""


def network_flow(flow: Flow) -> NetworkFlow:
    """What a flow is muted by."""
    return flow.network, *flow_key(flow)


class Bans:
    """Every ban and mute in force."""

    __slots__ = (
        "_by_key",
        "_mutes",
        "_prefixes",
        "_prove_at",
        "_wide",
        "network_exempt",
        "turned_away",
    )

    def __init__(self) -> None:
        self._by_key: OrderedDict[str, Ban] = OrderedDict()
        self._wide: dict[IpNetwork, Ban] = {}
        self._prefixes: PrefixMap[Ban] = PrefixMap(())
        self._mutes: OrderedDict[NetworkFlow, Mute] = OrderedDict()
        self._prove_at = 0.0
        self.network_exempt: frozenset[str] = frozenset()
        """Trusted networks, where nobody is banned."""
        self.turned_away = 0
        """Messages and connections, over all bans and mutes."""

    def __len__(self) -> int:
        return len(self._by_key) + len(self._wide)

    def __iter__(self) -> Iterator[Ban]:
        yield from list(self._by_key.values())
        yield from list(self._wide.values())

    @property
    def mutes(self) -> int:
        """How many flows are muted or throttled, some of whose time may be over."""
        return len(self._mutes)

    def blocked(self, network: str, flow: FlowKey, now: float) -> Verdict | None:
        """What turns a message or a connection away before anything of it is read.

        Args:
            flow: with a numeric host, as sockets give it; an IPv4 address mapped into IPv6 is IPv4.
        """
        if self._mutes:
            key = (network, *flow)
            mute = self._mutes.get(key)
            if mute is not None:
                if now >= mute.until:
                    del self._mutes[key]
                elif not mute.passes(now):
                    self.turned_away += 1
                    return mute.verdict
        if not (self._by_key or self._wide) or network in self.network_exempt:
            return None
        ban = self.find(flow[0])
        if ban is None or now >= ban.until:
            return None
        ban.hits += 1
        if ban.shadow:
            return None
        self.turned_away += 1
        return ban.verdict

    def may_prove(self, host: str, now: float) -> bool:
        """Whether a host that is banned may show by a certificate that it is a peer.

        Not if an operator banned it, and of all the others only a few.
        """
        ban = self.find(host)
        if ban is None or ban.by == OPERATOR or now < self._prove_at:
            return False
        self._prove_at = now + PROVING_S
        return True

    def find(self, host: str) -> Ban | None:
        """The ban that a host is under, perhaps one whose time is over."""
        return self._by_key.get(source_key(host)) or self._prefixes.find(host)

    def holds(self, host: str, now: float) -> bool:
        """Whether a host is banned, if only for show."""
        ban = self.find(host)
        return ban is not None and now < ban.until

    def find_by_source(self, source: IpNetwork) -> Ban | None:
        """The ban of exactly this source."""
        ban = self._by_key.get(_key(source))
        return ban if ban is not None and ban.source == source else self._wide.get(source)

    def put(self, ban: Ban) -> list[Ban]:
        """Shut out a source.

        Returns:
            The bans that had to make room, which are over.
        """
        key = _key(ban.source)
        if not key:
            self._wide[ban.source] = ban
            self._index()
            return []
        self._by_key.pop(key, None)
        self._by_key[key] = ban
        if len(self._by_key) > MOST_BANS:
            return [self._by_key.popitem(last=False)[1]]
        return []

    @property
    def has_room_for_prefix(self) -> bool:
        """Whether one more prefix may be banned by an operator."""
        return len(self._wide) < MOST_PREFIXES

    def remove(self, ban: Ban) -> None:
        """Let a source in again."""
        if self._wide.pop(ban.source, None) is not None:
            self._index()
        else:
            self._by_key.pop(_key(ban.source), None)

    def mute(self, key: NetworkFlow, mute: Mute) -> None:
        """Hear a flow no more for a while."""
        self._mutes.pop(key, None)
        self._mutes[key] = mute
        if len(self._mutes) > MOST_MUTES:
            self._mutes.popitem(last=False)

    def unmute(self, hosts: Iterable[str]) -> None:
        """Hear every flow of these hosts again."""
        gone = set(hosts)
        for key in [key for key in self._mutes if key[1] in gone]:
            del self._mutes[key]

    def unmute_within(self, source: IpNetwork) -> None:
        """Hear every flow again that comes from a prefix."""
        within = PrefixMap([(source, True)])
        self.unmute([key[1] for key in self._mutes if within.find(key[1])])

    def muted(self, now: float) -> Iterator[tuple[NetworkFlow, Mute]]:
        """Every mute whose time is not over."""
        for key, mute in list(self._mutes.items()):
            if mute.until > now:
                yield key, mute

    def expire(self, now: float) -> list[Ban]:
        """Forget what is over; the bans among it."""
        over = [ban for ban in self if ban.until <= now]
        for ban in over:
            self.remove(ban)
        for key in [key for key, mute in self._mutes.items() if mute.until <= now]:
            del self._mutes[key]
        return over

    def _index(self) -> None:
        self._prefixes = PrefixMap(self._wide.items())


def source_of(host: str) -> IpNetwork:
    """What a ban of a numeric host is of: the address, or its /64.

    Raises:
        ValueError: the host is not numeric.
    """
    single = single_host(host.partition("%")[0])
    if single is None:
        raise ValueError(f"{host!r} is no address")
    return canonical(single)


def canonical(source: IpNetwork) -> IpNetwork:
    """A prefix as sources are compared: IPv4 that is mapped into IPv6 is IPv4 (RFC 4291 §2.5.5.2).

    What would be more than 64 bits of IPv6 is the /64, which a single subscriber owns. A zone says
    nothing (RFC 4007 §11).
    """
    if isinstance(source, IPv4Network):
        return source
    mapped = source.network_address.ipv4_mapped
    if mapped is not None and source.prefixlen >= 96:
        return IPv4Network((int(mapped), source.prefixlen - 96))
    length = min(source.prefixlen, 64)
    return IPv6Network((int(source.network_address), length), strict=False)


def _key(source: IpNetwork) -> str:
    """What `source_key` makes of each host in it; empty for another prefix."""
    width = 32 if source.version == 4 else 64
    return source_key(str(source.network_address)) if source.prefixlen == width else ""
