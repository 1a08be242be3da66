"""What sbc.yaml may say: the schema, from which the JSON Schema and the reference are made."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from sbc.config.authentication import AuthenticationSection
from sbc.config.balancing import (
    BalanceWord,
    FailoverSection,
    HashWord,
    HealthSection,
    ShareEntry,
    TargetEntry,
)
from sbc.config.dids import DidsSection
from sbc.config.firewall import FirewallSection
from sbc.config.geo import GeoSection
from sbc.config.identity import IdentitySection
from sbc.config.media import MediaSection
from sbc.config.names import DnsSection
from sbc.config.numbers import NumbersSection
from sbc.config.process import LimitsSection, MediaEngineSection, Seconds, TimersSection
from sbc.config.registration import RegistrationSection
from sbc.config.responses import ResponsesSection
from sbc.config.streams import WebSocketSection
from sbc.config.tls import NetworkTlsSection, PeerTlsSection
from sbc.config.trunks import RegisterSection
from sbc.config.values import (
    AGENT_PATTERN,
    NAME_PATTERN,
    Listen,
    PortRange,
    check_agent,
    check_name,
    parse_address,
    parse_domain,
    parse_domain_pattern,
    parse_host,
    parse_listen,
    parse_number,
    parse_port_range,
)
from sbc.document.schema import OneOrMany, Section
from sbc.policy.conditions_schema import Method
from sbc.policy.prefix_text import Prefix
from sbc.routing.model import KeepaliveMethod, PeerKind
from sbc.routing.repair import QUIRKS, Quirk


def _string(*examples: str, pattern: str | None = None) -> WithJsonSchema:
    schema: dict[str, Any] = {"type": "string", "examples": list(examples)}
    if pattern is not None:
        schema["pattern"] = pattern
    return WithJsonSchema(schema)


Name = Annotated[str, AfterValidator(check_name), _string("outside", pattern=NAME_PATTERN)]
Agent = Annotated[str, AfterValidator(check_agent), _string("sbc", pattern=AGENT_PATTERN)]
ListenText = Annotated[
    Listen,
    PlainValidator(parse_listen),
    _string("udp/5060", pattern=r"^(udp|tcp|tls|ws|wss)/[0-9]+$"),
]
PortRangeText = Annotated[
    PortRange,
    PlainValidator(parse_port_range),
    _string("30000-39999", pattern="^[0-9]+-[0-9]+$"),
]
AddressText = Annotated[str, PlainValidator(parse_address), _string("192.0.2.1", "0.0.0.0", "::")]
HostText = Annotated[str, PlainValidator(parse_host), _string("auto", "203.0.113.5")]
DomainText = Annotated[str, PlainValidator(parse_domain), _string("example.com")]
DomainPattern = Annotated[
    str, PlainValidator(parse_domain_pattern), _string("example.com", "*.example.com")
]
NumberPattern = Annotated[str, PlainValidator(parse_number), _string("600", "+49*", "600-699")]
ONE_OR_MORE = (Field(min_length=1), OneOrMany())
ANY_NUMBER = (OneOrMany(),)
Dscp = Annotated[int, Field(ge=0, le=63)]


class DscpSection(Section):
    """DiffServ code points of what we send."""

    signalling: Dscp = Field(default=24, description="Of SIP; 24 is CS3.", examples=[24])
    media: Dscp = Field(default=46, description="Of RTP and RTCP; 46 is EF.", examples=[46])


class KeepaliveSection(Section):
    """How the pinholes of phones behind NAT are kept open."""

    method: KeepaliveMethod = Field(
        default="options",
        description="`options`: SIP OPTIONS, which shows too whether the phone is still there; "
        "`crlf`: an empty datagram line; `off`: the phone does it.",
    )
    interval: Seconds = Field(
        default=25.0,
        description="Seconds between two of them; many routers forget UDP after 30.",
        examples=[25],
    )


class NetworkSection(Section):
    """A named place that the SBC binds and advertises."""

    trust: Literal["trusted", "untrusted"] = Field(
        default="untrusted",
        description="Whether only machines of your own are on it. Policies ask for it.",
    )
    bind: Annotated[tuple[AddressText, ...], *ANY_NUMBER] = Field(
        default=(),
        description="Our address on this network, or one per family. `0.0.0.0` (the default) and "
        "`::` are all addresses of the machine.",
        examples=["192.0.2.1"],
    )
    interface: Annotated[tuple[str, ...], *ANY_NUMBER] = Field(
        default=(),
        description="Instead of `bind`: the interfaces whose addresses are bound.",
        examples=["eth0"],
    )
    advertise: Annotated[tuple[HostText, ...], *ANY_NUMBER] = Field(
        default=(),
        description="What Via, Contact and SDP say our address is: `auto` (the bound address; with "
        "`0.0.0.0` the one this machine reaches the network's peers from), an address, or a name "
        "that is resolved at load; by TLS, Via and Contact then say the name itself. Behind a 1:1 "
        "NAT: the public address.",
        examples=["203.0.113.5"],
    )
    listen: Annotated[tuple[ListenText, ...], *ONE_OR_MORE] = Field(
        default=(Listen("udp", 5060), Listen("tcp", 5060)),
        description="Transports and ports for SIP: udp, tcp, tls, and ws and wss for browsers. "
        "tls and wss may share a port, and so may tcp and ws.",
        examples=[["udp/5060", "tcp/5060"]],
    )
    media_ports: PortRangeText = Field(
        default=PortRange(30000, 39999),
        description="UDP ports for RTP and RTCP. A call takes two per stream on each network it "
        "touches. Open them in the firewall.",
        examples=["30000-39999"],
    )
    dscp: DscpSection = Field(default=DscpSection(), description="DiffServ code points.")
    keepalive: KeepaliveSection = Field(
        default=KeepaliveSection(),
        description="Keep-alives to registered phones behind NAT.",
        examples=[{"method": "crlf"}],
    )
    tls: NetworkTlsSection = Field(
        default=NetworkTlsSection(), description="Certificates, for listeners of tls and wss."
    )
    websocket: WebSocketSection = Field(
        default=WebSocketSection(), description="Rules for listeners of ws and wss."
    )


class PeerLimitsSection(Section):
    """How many calls a peer may have, counted whichever side it is on."""

    max_calls: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="At once; without it no limit.", examples=[30]
    )
    calls_per_second: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="New ones per second; without it no limit.", examples=[5]
    )
    burst: Annotated[int, Field(ge=1)] = Field(
        default=10,
        description="New ones at once, before `calls_per_second` counts.",
        examples=[10],
    )
    max_kbps: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="Kilobits per second that all its calls together may bring in one direction; "
        "without it no limit. A call counts what `b=AS` or `b=TIAS` of its description says, else "
        "what its widest codec takes with IP, UDP and RTP headers at 20 ms (G.711: 80); before "
        "the answer that of the offer. A call that grows later stays.",
        examples=[2000],
    )


class PeerSection(Section):
    """A PBX, a trunk, or the phones that register through a network."""

    kind: PeerKind = Field(
        description="`pbx` and `trunk` have addresses; `endpoints` are phones that register.",
    )
    network: str = Field(description="The network it is on.", examples=["outside"])
    address: Annotated[tuple[TargetEntry, ...], *ANY_NUMBER] = Field(
        default=(),
        description="`host[:port][;transport=tcp]`, or several in order of preference, each as a "
        "text or a mapping. Of a name without port SRV records say the servers and their ports, "
        "and without transport NAPTR records say that too (RFC 3263). Not for `endpoints`.",
        examples=["192.0.2.10:5060"],
    )
    sources: Annotated[tuple[Prefix, ...], *ANY_NUMBER] = Field(
        default=(),
        description="Addresses or prefixes that requests of this peer come from; without it the "
        "addresses that `address` leads to. Not for `endpoints`.",
        examples=["192.0.2.0/28"],
    )
    domain: DomainText | None = Field(
        default=None,
        description="SIP domain of its users, put into requests to it; without it the host of "
        "`address`. For `endpoints`: the domain that tells several of them on one network apart.",
        examples=["pbx.example.com"],
    )
    authentication: AuthenticationSection = Field(
        default=AuthenticationSection(),
        description="Who proves to whom who they are.",
        examples=[{"mode": "answer", "username": "acme", "password": "${TRUNK_PASSWORD}"}],
    )
    register_: RegisterSection | None = Field(
        default=None,
        alias="register",
        description="Of a trunk that wants us to register; without it we do not.",
        examples=[{"user": "acme"}],
    )
    media: MediaSection = Field(default=MediaSection(), description="Rules for its media.")
    limits: PeerLimitsSection = Field(
        default=PeerLimitsSection(), description="Caps for its calls: 503 above them."
    )
    registration: RegistrationSection = Field(
        default=RegistrationSection(),
        description="How its phones register. Only for `endpoints`.",
        examples=[{"mode": "cache"}],
    )
    numbers: NumbersSection = Field(
        default=NumbersSection(), description="In which form it sends and wants numbers."
    )
    identity: IdentitySection = Field(
        default=IdentitySection(), description="What it may know of who calls, and is believed of."
    )
    responses: ResponsesSection = Field(
        default=ResponsesSection(), description="Final statuses and causes that are told otherwise."
    )
    repair: Annotated[tuple[Quirk, ...], *ANY_NUMBER] = Field(
        default=(),
        description="What it is known to do wrong and is put right. "
        + " ".join(f"`{name}`: {text}" for name, text in QUIRKS.items()),
        examples=["rtpmap-missing"],
    )
    tls: PeerTlsSection = Field(
        default=PeerTlsSection(),
        description="Whose certificate it has, and what we show it. Not for `endpoints`.",
    )
    balance: BalanceWord = "order"
    hash_on: HashWord = "caller"
    failover: FailoverSection = Field(
        default=FailoverSection(), description="When the next target is tried."
    )
    health: HealthSection = Field(
        default=HealthSection(),
        description="How its targets are watched. Not for `endpoints`.",
        examples=[{"probe": "options"}],
    )


class RouteSection(Section):
    """One rule for where requests go; the first that matches is taken."""

    name: Annotated[str, Field(min_length=1, max_length=80)] | None = Field(
        default=None,
        description="What logs call it; without it its position.",
        examples=["emergency"],
    )
    from_: Annotated[tuple[str, ...], *ANY_NUMBER] = Field(
        default=(),
        alias="from",
        description="Peers or networks it comes from; without it from anywhere.",
        examples=["phones"],
    )
    method: Annotated[tuple[Method, ...], *ANY_NUMBER] = Field(
        default=(), description="Methods; without it all.", examples=["REGISTER"]
    )
    number: Annotated[tuple[NumberPattern, ...], *ANY_NUMBER] = Field(
        default=(),
        description="Called numbers: exact (`600`), by prefix (`+49*`), a range (`600-699`), a "
        "glob (`6??`); a backslash makes `*` and `?` ordinary. Without it all.",
        examples=["+49*"],
    )
    domain: Annotated[tuple[DomainPattern, ...], *ANY_NUMBER] = Field(
        default=(),
        description="Called domains: `example.com`, or `*.example.com` for all below it. Without "
        "it all.",
        examples=["example.com"],
    )
    dids: str | None = Field(
        default=None,
        description="A table under `dids`: only numbers that it holds match, and it says where "
        "they go.",
        examples=["main"],
    )
    to: Annotated[tuple[ShareEntry, ...], *ONE_OR_MORE] = Field(
        default=(),
        description="Peers, tried in this order, each as a name or a mapping. A peer of kind "
        "`endpoints` means: the registration of the called number. With `dids` only for numbers "
        "whose row names no peer; else required.",
        examples=["pbx"],
    )
    balance: BalanceWord = "order"
    hash_on: HashWord = "caller"
    failover: FailoverSection = Field(
        default=FailoverSection(), description="When the next target or peer is tried."
    )


class SbcFile(Section):
    """The configuration of the SBC."""

    version: int = Field(default=1, ge=1, le=1, description="Of this format.", examples=[1])
    networks: Annotated[dict[Name, NetworkSection], Field(min_length=1)] = Field(
        description="Named places that the SBC binds and advertises.",
        examples=[{"outside": {"listen": ["udp/5060"]}}],
    )
    peers: dict[Name, PeerSection] = Field(
        default={}, description="PBXs, trunks and groups of phones."
    )
    routes: tuple[RouteSection, ...] = Field(
        default=(), description="Where requests go; the first that matches is taken."
    )
    dids: dict[Name, DidsSection] = Field(
        default={}, description="Tables of numbers and where each goes, for routes."
    )
    policies: Annotated[tuple[str, ...], *ANY_NUMBER] = Field(
        default=(),
        description="Policy files, relative to this file; their rules are tried in this order. "
        "What no rule allows is denied.",
        examples=["policies/edge-default.yaml"],
    )
    geo: GeoSection = Field(
        default=GeoSection(), description="Databases that say where addresses are."
    )
    timers: TimersSection = Field(default=TimersSection(), description="Timers of calls.")
    limits: LimitsSection = Field(
        default=LimitsSection(), description="Caps for messages and connections."
    )
    media: MediaEngineSection = Field(
        default=MediaEngineSection(), description="The engine that relays media."
    )
    dns: DnsSection = Field(default=DnsSection(), description="How names of peers are looked up.")
    firewall: FirewallSection = Field(
        default=FirewallSection(), description="What the kernel drops before it costs us anything."
    )
    state_dir: Annotated[str, Field(min_length=1)] = Field(
        default="/var/lib/sbc",
        description="Directory for call records, registrations and bans (which survive a restart), "
        "and for the control socket, relative to this file. It is made if it is missing; the user "
        "that runs the SBC must be able to write there. Records are kept for 365 days and up to "
        "1 000 000 calls, the oldest go first.",
        examples=["/var/lib/sbc"],
    )
    control_socket: str | None = Field(
        default=None,
        description="Unix socket for `sbc calls` and the like, relative to this file; without it "
        "`control.sock` in `state_dir`.",
        examples=["/run/sbc/control.sock"],
    )
    user_agent: Agent | None = Field(
        default="sbc",
        description="Value of User-Agent and Server; nothing (`~`) leaves both out.",
        examples=["sbc"],
    )
