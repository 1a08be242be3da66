"""What the cores know of the configuration, as frozen data.

`sbc.config` builds these objects once per load; a reload builds new ones and swaps the
references. Nothing here is parsed, resolved or looked up: host names stay names, and every
object that an operator wrote knows where (``"file:line"``).
"""

from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network
from typing import Literal, NamedTuple

from sbc.routing.accounts import Account, Realm
from sbc.routing.balance import IN_ORDER, UNRANKED, Balance, Rank
from sbc.routing.codecs import CodecRules
from sbc.routing.did import DidTable
from sbc.routing.failover import SILENT, FailoverRule
from sbc.routing.hops import UNASKED, HealthRule
from sbc.routing.identity import BY_NETWORK, IdentityRules
from sbc.routing.numbers import AS_WRITTEN, NumberRules
from sbc.routing.registering import Registering
from sbc.routing.registration import RELAYED, Registration
from sbc.routing.repair import NO_QUIRKS, Quirk
from sbc.routing.responses import AS_ANSWERED, ResponseRules
from sbc.routing.tls import NetworkTls, PeerTls
from sbc.routing.websocket import WebSocketRules
from sbc.sip.flow import Transport

IpNetwork = IPv4Network | IPv6Network
Family = Literal[4, 6]
TargetTransport = Literal["udp", "tcp", "tls"]
"""What we can open a flow by: browsers come to us, never the other way (RFC 7118 §5)."""
SrtpMode = Literal["off", "allow", "prefer", "require"]
PeerKind = Literal["pbx", "trunk", "endpoints"]
KeepaliveMethod = Literal["options", "crlf", "off"]

ALL_SUITES: tuple[str, ...] = (
    "AEAD_AES_256_GCM",
    "AEAD_AES_128_GCM",
    "AES_CM_128_HMAC_SHA1_80",
    "AES_CM_128_HMAC_SHA1_32",
)
"""SDES names of the SRTP suites we offer by default, best first: every media engine can do them."""


@dataclass(frozen=True, slots=True)
class NetworkAddress:
    """One address of ours that media is bound to, and what SDP says instead of it."""

    family: Family
    bind: str
    """Numeric; may be unspecified (``"0.0.0.0"``, ``"::"``)."""
    advertise: str
    """Numeric, never unspecified."""


@dataclass(frozen=True, slots=True)
class Listener:
    """One socket that SIP arrives on, and what Via and Contact say of it."""

    transport: Transport
    family: Family
    bind: str
    port: int
    advertise: str
    """Numeric, or by TLS the name that was written: a peer looks for it in our certificate."""


@dataclass(frozen=True, slots=True)
class Keepalive:
    """How the pinholes of phones behind NAT on a network are kept open."""

    method: KeepaliveMethod = "options"
    interval_s: float = 25.0


@dataclass(frozen=True, slots=True)
class Network:
    """A named place that we bind and advertise."""

    name: str
    listeners: tuple[Listener, ...]
    media: tuple[NetworkAddress, ...]
    """At most one address per family."""
    media_ports: tuple[int, int]
    """Lowest and highest port for media, both usable."""
    trusted: bool = False
    media_dscp: int = 46
    signalling_dscp: int = 24
    keepalive: Keepalive = Keepalive()
    tls: NetworkTls | None = None
    """How its TLS listeners answer; None without any."""
    websocket: WebSocketRules | None = None
    """What its WebSocket listeners ask of pages; None without any."""
    where: str = ""

    def media_address(self, family: Family) -> NetworkAddress | None:
        """The address that media of this family is bound to, if the network has the family."""
        for address in self.media:
            if address.family == family:
                return address
        return None

    def listener(self, transport: Transport, family: Family) -> Listener | None:
        """The first listener for a transport and family, from which requests leave."""
        for listener in self.listeners:
            if listener.transport == transport and listener.family == family:
                return listener
        return None


DEFAULT_PORTS: dict[Transport, int] = {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests to a peer are sent: a numeric host or a name that the resolver locates."""

    host: str
    """Lower case; IPv6 without brackets."""
    port: int | None = None
    """None as long as nobody wrote one: SRV decides, or it is the transport's default."""
    transport: TargetTransport | None = None
    """None as long as nobody wrote one: NAPTR decides (RFC 3263 §4.1)."""
    rank: Rank = UNRANKED
    """Where it stands among the targets of its peer."""
    drain: bool = False
    """Whether it gets no new calls; those it has go on."""


class Place(NamedTuple):
    """One numeric address that a target stands for, as RFC 3263 finds it."""

    host: str
    port: int
    transport: TargetTransport
    priority: int = 0
    """Lower comes first (RFC 2782)."""
    weight: int = 1
    """Share among those of equal priority (RFC 2782)."""
    name: str = ""
    """Whose address it is, of an SRV target: addresses of one name keep their order, and the
    weight is the name's."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many calls a peer may have (each direction counts); None for no limit."""

    max_calls: int | None = None
    calls_per_second: float | None = None
    burst: int = 10
    """How many calls may come at once before `calls_per_second` counts."""
    max_kbps: int | None = None
    """What the streams of all its calls may bring together, in one direction."""


@dataclass(frozen=True, slots=True)
class MediaRules:
    """What media may look like towards a peer.

    Spec: RFC 4568 (SDES), RFC 5761 (rtcp-mux).
    """

    srtp: SrtpMode = "allow"
    """`off`: RTP only; `allow`: we offer RTP and accept SRTP; `prefer`: we offer SRTP and accept
    RTP; `require`: SRTP or 488."""
    suites: tuple[str, ...] = ALL_SUITES
    """Those that are configured and that the media engine can do, best first."""
    max_kbps: int | None = None
    """Most kilobits per second that one stream of this peer may send; None for no limit."""
    rtcp_mux: bool = True
    """Whether RTP and RTCP may share a port."""
    mki: bool = False
    """Whether the media engine can do keys with an identifier."""
    srtp_from: SrtpMode | None = None
    """As `srtp`, for calls that come from the peer; None for the same."""
    sdes_in_clear: bool = False
    """Whether keys may be written into messages that others on the way can read."""
    codecs: tuple[CodecRules, ...] = ()
    """What its calls may carry; all of them hold."""

    @property
    def of_calls_from(self) -> "MediaRules":
        """The rules for calls that the peer makes."""
        if self.srtp_from is None or self.srtp_from == self.srtp:
            return self
        return replace(self, srtp=self.srtp_from)

    def with_codecs(self, rules: CodecRules) -> "MediaRules":
        """These rules, and what a policy says of the codecs of one call."""
        return replace(self, codecs=(rules, *self.codecs))


@dataclass(frozen=True, slots=True)
class Peer:
    """A PBX, a trunk, or the phones that register through a network."""

    name: str
    kind: PeerKind
    network: str
    targets: tuple[Target, ...] = ()
    """In order of preference; empty for `endpoints`, which are reached by their bindings."""
    sources: tuple[IpNetwork, ...] = ()
    """Which source addresses are this peer. The addresses behind the names in `targets` are added
    by `RoutingTable.with_locations` when `sources_given` is false."""
    sources_given: bool = False
    """Whether the operator wrote `sources`, so that target addresses are not added."""
    domain: str | None = None
    """The SIP domain of the peer's users, put into requests to it; None keeps the target host."""
    media: MediaRules = MediaRules()
    limits: Limits = Limits()
    registration: Registration = RELAYED
    """How phones register; only for `endpoints`."""
    account: Account | None = None
    """By which we answer its challenges; None to pass them through."""
    realm: Realm | None = None
    """What its requests are challenged for; None to let them pass."""
    numbers: NumberRules = AS_WRITTEN
    identity: IdentityRules = BY_NETWORK
    responses: ResponseRules = AS_ANSWERED
    repairs: frozenset[Quirk] = NO_QUIRKS
    """What is put right of its messages."""
    tls: PeerTls | None = None
    """For connections by TLS, either way; None for phones, which prove themselves otherwise."""
    balance: Balance = IN_ORDER
    """How its targets share calls."""
    failover: FailoverRule = SILENT
    health: HealthRule = UNASKED
    registering: Registering | None = None
    """How we register with it; None where that is not wanted."""
    where: str = ""

    @property
    def must_prove(self) -> bool:
        """Whether its address is no proof: only a connection that proves its name is."""
        return self.tls is not None and self.tls.name_required

    def is_trusted(self, network: Network) -> bool:
        """Whether it is in our trust domain, on its network (RFC 3325 §2.3)."""
        return network.trusted if self.identity.trust is None else self.identity.trust


@dataclass(frozen=True, slots=True)
class Route:
    """One rule that says to which peers a request goes. Empty conditions match everything."""

    name: str
    to: tuple[str, ...]
    """Names of peers, tried in this order unless `ranks` or `balance` say otherwise; with `dids`,
    those of rows that name none."""
    from_peers: tuple[str, ...] = ()
    from_networks: tuple[str, ...] = ()
    """With `from_peers` too, either may match."""
    methods: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    """Patterns for the user part, any of which matches; see `sbc.routing.patterns`."""
    domains: tuple[str, ...] = ()
    """``"example.com"`` or ``"*.example.com"`` (any name below, not the name itself)."""
    ranks: tuple[Rank, ...] = ()
    """Of the peers in `to`, one each; empty where all stand alike."""
    balance: Balance = IN_ORDER
    """How its peers share calls."""
    failover: FailoverRule = SILENT
    dids: str = ""
    """The DID table that must hold the number and says where it goes; empty for none."""
    where: str = ""


@dataclass(frozen=True, slots=True)
class Timers:
    """How long calls may ring, last and be silent. Seconds."""

    ring_s: float = 60.0
    """From the INVITE to the callee until it shows any sign of ringing."""
    no_answer_s: float = 180.0
    """From the INVITE to the callee until the answer."""
    max_duration_s: float = 14400.0
    inactivity_s: float = 60.0
    """Silence of a side that should be sending, before the call ends; 0 for never."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the cores know of the configuration. Policies are a value of their own."""

    networks: tuple[Network, ...]
    peers: tuple[Peer, ...]
    routes: tuple[Route, ...]
    timers: Timers = Timers()
    server_header: str | None = "sbc"
    """What User-Agent and Server say of us; None to leave both out."""
    dids: tuple[DidTable, ...] = ()

    def network(self, name: str) -> Network:
        """The network of that name.

        Raises:
            KeyError: there is none; a bug, since references were checked at load.
        """
        for network in self.networks:
            if network.name == name:
                return network
        raise KeyError(name)

    def peer(self, name: str) -> Peer:
        """The peer of that name.

        Raises:
            KeyError: there is none.
        """
        for peer in self.peers:
            if peer.name == name:
                return peer
        raise KeyError(name)
