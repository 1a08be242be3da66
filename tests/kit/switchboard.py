"""A whole switchboard with the world around it faked: wire, relay, records, log, ids and clock.

The configuration is the shipped one (deploy/sbc.yaml and the policies it names) unless another is
given. Phones are outside, the PBX is inside; messages go in as bytes and come out parsed.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from media.errors import MediaRefused, UnknownStream
from media.plan import CloseStream, OpenStream, RelayCommand
from media.types import (
    DropReason,
    FlowCounters,
    SideName,
    SrtpAbilities,
    SrtpSuite,
    StreamId,
)
from sbc.b2bua.call import Call
from sbc.config.files import read_text
from sbc.config.load import Configuration, load_text
from sbc.driver.in_force import InForce
from sbc.driver.refused import RefusedRequest
from sbc.driver.switchboard import Switchboard
from sbc.driver.world import world_of
from sbc.registrar.commands import BindingChanged
from sbc.routing.location import Located, Locations, default_transport, destinations
from sbc.routing.model import DEFAULT_PORTS, Place, Settings
from sbc.sip.flow import Flow
from sbc.sip.message import Message, Request, Response, make_response, serialize
from sbc.sip.parser import parse_message_untrusted

ROOT = Path(__file__).parents[2]
OUTSIDE = "203.0.113.10"
INSIDE = "192.168.1.2"
PBX = "192.168.1.5"
PHONE_FLOW = Flow("outside", "udp", ("0.0.0.0", 5060), ("198.51.100.7", 40000))
"""A phone behind a NAT: what it writes is 10.0.0.7:5060."""
PBX_FLOW = Flow("inside", "udp", ("0.0.0.0", 5062), (PBX, 5060))

OFFER = (
    b"v=0\r\no=phone 1 1 IN IP4 10.0.0.7\r\ns=-\r\nc=IN IP4 10.0.0.7\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)
ANSWER = (
    b"v=0\r\no=pbx 5 5 IN IP4 192.168.1.5\r\ns=pbx\r\nc=IN IP4 192.168.1.5\r\nt=0 0\r\n"
    b"m=audio 12000 RTP/AVP 0\r\n"
)


class OneMachine:
    """The machine of the tests: one address outside, one inside."""

    def clock(self) -> float:
        return 1.7e9

    def interfaces(self) -> dict[str, tuple[str, ...]]:
        return {"lo": ("127.0.0.1",), "eth0": (OUTSIDE,), "eth1": (INSIDE,)}

    def resolve(self, name: str) -> tuple[str, ...]:
        return ()

    def address_towards(self, host: str) -> str | None:
        return INSIDE if host.startswith("192.168.") else OUTSIDE

    def srtp(self, native: bool) -> SrtpAbilities:
        return SrtpAbilities(frozenset(SrtpSuite), mki=True)


class Sent(NamedTuple):
    """One message as it left."""

    flow: Flow
    data: bytes

    @property
    def message(self) -> Request | Response:
        return parse_message_untrusted(self.data)

    @property
    def title(self) -> str:
        """``"INVITE"`` of a request, ``"200 INVITE"`` of a response, ``"ping"`` of CRLF.

        Read from the bytes, since the answer to what is malformed repeats what is malformed.
        """
        words = self.data.partition(b"\r\n")[0].decode("utf-8", "replace").split(" ")
        if not words[0].startswith("SIP/"):
            return words[0] or "ping"
        method = re.search(rb"\r\nCSeq: *[0-9]+ +([A-Z]+)", self.data)
        return f"{words[1]} {method[1].decode() if method else '?'}"


class FakeWire:
    """Remembers what left, until it is taken."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.proven: list[Flow] = []
        self.certificates: dict[Flow, tuple[str, ...]] = {}
        """What the client of a flow has proven by its certificate."""

    def send(self, flow: Flow, data: bytes) -> None:
        self.sent.append(Sent(flow, data))

    def prove(self, flow: Flow) -> None:
        self.proven.append(flow)

    def names(self, flow: Flow) -> tuple[str, ...]:
        return self.certificates.get(flow, ())

    def tls_version(self, flow: Flow) -> float:
        return 1.3 if flow.transport in {"tls", "wss"} else 0.0

    def take(self) -> list[Sent]:
        sent, self.sent = self.sent, []
        return sent


class FakeRelay:
    """Keeps which streams are open; refuses when told to."""

    def __init__(self) -> None:
        self.open: dict[StreamId, object] = {}
        self.refuse_because = ""
        self.drops: dict[DropReason, int] = {}
        """What every stream counts of its side A."""

    def apply(self, commands: Sequence[RelayCommand]) -> None:
        opens = any(isinstance(command, OpenStream) for command in commands)
        if self.refuse_because and opens:
            raise MediaRefused(self.refuse_because)
        for command in commands:
            if isinstance(command, CloseStream):
                self.open.pop(command.stream_id, None)
            else:
                self.open[command.stream_id] = command.stream

    def counters(self, stream_id: StreamId) -> dict[SideName, FlowCounters]:
        if stream_id not in self.open:
            raise UnknownStream(str(stream_id))
        return {SideName.A: FlowCounters(drops=self.drops), SideName.B: FlowCounters()}


class FakeRecords:
    """The calls that were answered, and those that ended."""

    def __init__(self) -> None:
        self.answered: list[Call] = []
        self.ended: list[Call] = []
        self.refused: list[RefusedRequest] = []

    def call_answered(self, call: Call) -> None:
        self.answered.append(call)

    def call_ended(self, call: Call) -> None:
        self.ended.append(call)

    def call_refused(self, refused: RefusedRequest) -> None:
        self.refused.append(refused)


class FakeBindings:
    """What was told of bindings."""

    def __init__(self) -> None:
        self.changes: list[BindingChanged] = []

    def binding_changed(self, change: BindingChanged) -> None:
        self.changes.append(change)


class FakeLog:
    """Every line, as (level, event, fields)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, object]]] = []

    def __call__(self, level: str, event: str, **fields: object) -> None:
        self.lines.append((level, event, fields))

    def events(self, level: str) -> list[str]:
        return [event for known, event, _ in self.lines if known == level]


class CountingIds:
    """Entropy that counts, so that what comes out can be compared."""

    def __init__(self) -> None:
        self.count = 0

    def token(self) -> str:
        self.count += 1
        return f"{self.count * 0x9E3779B97F4A7C15 % 2**64:016x}"

    def key(self, length: int) -> bytes:
        self.count += 1
        return bytes((self.count + i) % 256 for i in range(length))


def a_configuration(
    text: str | None = None,
    file: str = "deploy/sbc.yaml",
    environment: Mapping[str, str] | None = None,
) -> Configuration:
    """The shipped configuration, or a text in its place, as the product loads it."""
    path = ROOT / file
    given = {"PBX": PBX} if environment is None else environment
    result = load_text(text or read_text(path), str(path), OneMachine(), given)
    assert result.configuration is not None, result.errors
    return result.configuration


def locations(settings: Settings, addresses: Mapping[str, tuple[str, ...]]) -> Locations:
    """What is known when A and AAAA records of names are all there is."""
    return {
        destination: Located(
            tuple(
                Place(host, destination.target.port or DEFAULT_PORTS[transport], transport)
                for host in addresses[destination.target.host]
            )
        )
        for destination, reach in destinations(settings.networks, settings.peers).items()
        if destination.target.host in addresses
        for transport in [destination.target.transport or default_transport(reach)]
    }


def in_force(
    configuration: Configuration, addresses: Mapping[str, tuple[str, ...]] | None = None
) -> InForce:
    known = locations(configuration.settings, addresses or {})
    table = configuration.routing_table().with_locations(known)
    world = world_of(
        configuration.settings.peers,
        configuration.policies.emergency,
        places=configuration.places,
    )
    return InForce(configuration.settings, table, configuration.policies, known, world=world)


class Board:
    """One switchboard, its fakes, and a clock that only moves when told."""

    def __init__(
        self,
        configuration: Configuration | None = None,
        addresses: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.now = 1000.0
        self.wire = FakeWire()
        self.relay = FakeRelay()
        self.records = FakeRecords()
        self.bindings = FakeBindings()
        self.log = FakeLog()
        self.ids = CountingIds()
        self.switchboard = Switchboard(
            in_force(configuration or a_configuration(), addresses),
            wire=self.wire,
            relay=self.relay,
            records=self.records,
            bindings=self.bindings,
            log=self.log,
            ids=self.ids,
            wall=lambda: 1.7e9,
            now=self.now,
        )

    def locate(self, addresses: Mapping[str, tuple[str, ...]]) -> None:
        """Let the resolver know the addresses of some names, and of no others."""
        settings = self.switchboard.force.settings
        self.switchboard.located(locations(settings, addresses), self.now)

    def give(self, flow: Flow, message: Message | bytes | str) -> list[Sent]:
        """Let a message arrive, and take what leaves because of it."""
        if isinstance(message, str):
            message = message.encode()
        data = message if isinstance(message, bytes) else serialize(message)
        self.switchboard.receive(flow, data, self.now)
        return self.wire.take()

    def reply(
        self,
        sent: Sent,
        status: int,
        *,
        reason: str | None = None,
        to_tag: str = "theirs",
        headers: tuple[str, ...] = (),
        body: bytes = b"",
    ) -> list[Sent]:
        """Let the far end of what was sent answer it."""
        request = sent.message
        assert isinstance(request, Request)
        response = make_response(request, status, reason, to_tag)
        for line in headers:
            name, _, value = line.partition(": ")
            response.headers.append(name, value)
        if body:
            response.headers.append("Content-Type", "application/sdp")
            response.body = body
        return self.give(sent.flow, response)

    def wait(self, seconds: float) -> list[Sent]:
        """Let time pass deadline by deadline, and take what leaves meanwhile."""
        end = self.now + seconds
        while True:
            due = self.switchboard.next_timeout()
            if due is None or due > end:
                break
            self.now = max(self.now, due)
            self.switchboard.handle_timeout(self.now)
        self.now = end
        return self.wire.take()

    def leftovers(self) -> dict[str, int]:
        """What is live that costs memory or ports; empty when nothing is. Bindings not counted."""
        board = self.switchboard
        counts = board.layer.counts
        live = {
            "calls": len(board.calls),
            "dialogs": board.calls.dialogs,
            "client transactions": counts.clients,
            "server transactions": counts.servers,
            "transaction timers": counts.timers,
            "paths": counts.paths,
            "owners": board.outbox.owned,
            "plans": board.outbox.planned,
            "ports": sum(board.ports.in_use().values()),
            "streams": len(self.relay.open),
        }
        return {name: count for name, count in live.items() if count}


def titles(sent: Sequence[Sent]) -> list[str]:
    return [one.title for one in sent]


def a_message(
    method: str,
    *,
    uri: str = f"sip:600@{OUTSIDE}",
    branch: str = "z9hG4bK-1",
    sent_by: str = "10.0.0.7:5060",
    via_params: str = ";rport",
    transport: str = "UDP",
    from_user: str = "alice",
    from_tag: str = "a1",
    to: str | None = None,
    to_tag: str | None = None,
    call_id: str = "call-1",
    cseq: int = 1,
    contact: str | None = "<sip:alice@10.0.0.7:5060>",
    max_forwards: str | None = "70",
    headers: tuple[str, ...] = (),
    body: bytes = b"",
) -> bytes:
    """A request as bytes, by default what the phone behind the NAT would write."""
    target = to or uri.partition(";")[0]
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/{transport} {sent_by}{via_params};branch={branch}",
        f"From: <sip:{from_user}@{OUTSIDE}>;tag={from_tag}",
        f"To: <{target}>" + (f";tag={to_tag}" if to_tag else ""),
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} {method}",
        *([f"Max-Forwards: {max_forwards}"] if max_forwards is not None else []),
        *([f"Contact: {contact}"] if contact is not None else []),
        *headers,
        *(["Content-Type: application/sdp"] if body else []),
        f"Content-Length: {len(body)}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + body


def a_register(
    user: str = "alice",
    *,
    domain: str = OUTSIDE,
    contact: str | None = None,
    expires: int | None = 3600,
    cseq: int = 1,
    branch: str | None = None,
    from_tag: str = "r1",
    call_id: str | None = None,
    sent_by: str = "10.0.0.7:5060",
    via_params: str = ";rport",
    max_forwards: str | None = "70",
    headers: tuple[str, ...] = (),
) -> bytes:
    """A REGISTER of a phone behind a NAT; an empty contact asks what is registered."""
    extra = (f"Expires: {expires}",) if expires is not None else ()
    return a_message(
        "REGISTER",
        uri=f"sip:{OUTSIDE}",
        to=f"sip:{user}@{domain}",
        from_user=user,
        from_tag=from_tag,
        call_id=call_id or f"reg-{user}",
        contact=f"<sip:{user}@10.0.0.7:5060>" if contact is None else contact or None,
        cseq=cseq,
        branch=branch or f"z9hG4bK-r-{user}-{cseq}",
        sent_by=sent_by,
        via_params=via_params,
        max_forwards=max_forwards,
        headers=(*extra, *headers),
    )


def register(
    board: Board, user: str = "alice", flow: Flow = PHONE_FLOW, *, cseq: int = 1
) -> list[Sent]:
    """Register a phone through the border with a PBX that says yes; what the phone got."""
    (relayed,) = board.give(flow, a_register(user, cseq=cseq))
    contact = relayed.message.headers.first("contact") or ""
    return board.reply(relayed, 200, headers=(f"Contact: {contact};expires=3600",))
