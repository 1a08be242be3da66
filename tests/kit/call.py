"""One Call and nothing else: events go in, commands come out in short words.

    story = Story()
    assert story.begin() == ["a 100 INVITE", "media", "b INVITE"]
    assert story.reply(180) == ["a 180 INVITE"]

The words: ``"a 200 INVITE"`` answers leg a, ``"b INVITE"`` asks leg b, ``"media"`` and
``"media off"`` command the relay, ``"ports"`` gives ports back, then ``answered``, ``ended``,
``abandon``. Leg a is always the caller's.
"""

from dataclasses import replace

from media.errors import PortsExhausted
from media.types import SideName
from sbc.b2bua import machine
from sbc.b2bua.call import Call, Candidate, Timer
from sbc.b2bua.causes import Ending
from sbc.b2bua.commands import Answered, ApplyMedia, Command, Ended, HopSeen, ReleasePorts
from sbc.b2bua.context import Context
from sbc.b2bua.events import (
    AckReceived,
    CancelReceived,
    Event,
    GaveUp,
    ReplyReceived,
    RequestFailed,
    RequestReceived,
)
from sbc.b2bua.leg import Leg
from sbc.b2bua.setup import callee_leg
from sbc.routing.model import MediaRules, Timers
from sbc.sdp.description import SessionDescription
from sbc.sdp.parser import parse_sdp_untrusted
from sbc.sip.flow import Flow
from sbc.sip.message import Request, Response, make_response, serialize
from sbc.sip.parser import parse_message_untrusted
from sbc.sip.user import Abandon, Respond, SendAck, SendRequest
from sbc.state.cdr import EndedBy
from tests.kit.pair import ADDRESSES, BACKUP, BORDERS, CALLEE, CALLER, restored, some_settings
from tests.kit.switchboard import CountingIds

A, B = SideName.A, SideName.B
FLOWS = {
    CALLER: Flow("outside", "udp", BORDERS[CALLER], ADDRESSES[CALLER]),
    CALLEE: Flow("inside", "udp", BORDERS[CALLEE], ADDRESSES[CALLEE]),
    BACKUP: Flow("spare", "udp", BORDERS[BACKUP], ADDRESSES[BACKUP]),
}
HOSTS = {A: ADDRESSES[CALLER][0], B: ADDRESSES[CALLEE][0]}
TAGS = {A: "a-tag", B: "b-tag"}

KEY = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
"""30 bytes, from RFC 4568 §9.1."""
OTHER_KEY = "inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj"
SUITE = "AES_CM_128_HMAC_SHA1_80"
SAVP = f"m=audio 40000 RTP/SAVP 8\r\na=crypto:1 {SUITE} {KEY}\r\n"
AVP = "m=audio 40000 RTP/AVP 8\r\n"


class FakePorts:
    """Ports by counting; remembers what is out."""

    def __init__(self, most: int = 1000) -> None:
        self.out: set[tuple[str, int]] = set()
        self._next = 20000
        self._most = most

    def take(self, network: str, now: float) -> int:
        if len(self.out) >= self._most:
            raise PortsExhausted(f"network {network}: no port left")
        self._next += 2
        self.out.add((network, self._next))
        return self._next

    def give_back(self, network: str, port: int, now: float) -> None:
        self.out.remove((network, port))


def sdp(media: str = AVP, *, host: str = HOSTS[A], version: int = 1, session: str = "") -> bytes:
    """A description as a phone at `host` writes it."""
    family = "IP6" if ":" in host else "IP4"
    return (
        f"v=0\r\no=- 77 {version} IN {family} {host}\r\ns=-\r\nc=IN {family} {host}\r\n"
        f"t=0 0\r\n{session}{media}"
    ).encode()


def an_invite(body: bytes | None = None, *, headers: tuple[str, ...] = ()) -> Request:
    """The INVITE of a caller, with a plain offer unless another body is given."""
    return _request(A, "INVITE", 1, None, sdp() if body is None else body, headers)


def a_call(
    invite: Request | None = None,
    *,
    rules: tuple[MediaRules, MediaRules] | None = None,
    candidates: tuple[str, ...] = (CALLEE,),
    timers: Timers | None = None,
    ports: FakePorts | None = None,
    max_forwards: int = 69,
) -> Call:
    """A call that has not begun. Its legs are by UDP, and may have keys all the same."""
    rules = rules or (MediaRules(sdes_in_clear=True), MediaRules(sdes_in_clear=True))
    settings = some_settings({}, timers or Timers())
    context = Context(
        settings=settings,
        networks={network.name: network for network in settings.networks},
        ids=CountingIds(),
        ports=ports or FakePorts(),
        instance="border",
    )
    places = tuple(
        Candidate(
            peer=name,
            flow=FLOWS[name],
            request_uri=f"sip:600@{ADDRESSES[name][0]}",
            our_host=BORDERS[name][0],
            their_host=ADDRESSES[name][0],
            rules=rules[1],
            trusted=True,
        )
        for name in candidates
    )
    leg = Leg(
        side=A,
        flow=FLOWS[CALLER],
        peer=CALLER,
        our_host=BORDERS[CALLER][0],
        their_host=ADDRESSES[CALLER][0],
        contact=f"<sip:sbc@{BORDERS[CALLER][0]}:5060>",
        sent_by=f"{BORDERS[CALLER][0]}:5060",
        rules=rules[0],
        uuid="a" * 32,
        local_tag="tag-for-a",
        call_id="a-call-id",
    )
    return Call(
        name="call",
        context=context,
        a=leg,
        b=callee_leg(context, places[0]),
        candidates=places,
        started_at=0.0,
        started_wall=1.7e9,
        caller="alice",
        callee="600",
        route="route in",
        max_forwards=max_forwards,
        loop_mark="mark",
        invite=invite or an_invite(),
        invite_key="s|invite",
    )


class Story:
    """A call and what happens to it; keeps the commands of the last event."""

    def __init__(self, call: Call | None = None, *, restores: bool = False) -> None:
        self.call = call or a_call()
        self.now = 0.0
        self.commands: list[Command] = []
        self.sent: list[SendRequest] = []
        """Every request of ours."""
        self.seen: list[HopSeen] = []
        """What the tries told of hops; not among the commands, since nothing is done for it."""
        self._restores = restores
        self._cseq = {A: 1, B: 500}
        self._keys = 0
        self.ports = self.call.context.ports

    # -- what happens ------------------------------------------------------------------------

    def begin(self) -> list[str]:
        """The call begins."""
        return self._took(machine.begin(self.call, self.now))

    def answered(self, body: bytes | None = None, **given: object) -> "Story":
        """The call is up: invited, rung, answered and acknowledged."""
        self.begin()
        self.reply(180)
        self.reply(200, body=sdp(host=HOSTS[B]) if body is None else body)
        self.ack(A)
        return self

    def tell(self, event: Event) -> list[str]:
        """Any event."""
        return self._took(machine.receive(self.call, event, self.now))

    def ask(
        self,
        side: SideName,
        method: str,
        body: bytes = b"",
        *,
        headers: tuple[str, ...] = (),
        cseq: int | None = None,
        flow: Flow | None = None,
        contact: str | None = None,
        max_forwards: str | None = "70",
    ) -> list[str]:
        """A leg sends a request in its dialog; `self.key` names its transaction."""
        if cseq is None:
            self._cseq[side] += 1
            cseq = self._cseq[side]
        self._keys += 1
        leg = self.call.leg(side)
        request = _request(side, method, cseq, leg, body, headers)
        if contact is not None:
            request.headers.set("Contact", contact)
        if max_forwards is None:
            request.headers.remove("max-forwards")
        else:
            request.headers.set("Max-Forwards", max_forwards)
        return self.tell(RequestReceived(side, self.key, request, flow or leg.flow))

    @property
    def key(self) -> str:
        """The server transaction of the last request that a leg sent."""
        return f"s|{self._keys}"

    def ack(self, side: SideName, body: bytes = b"", *, cseq: int | None = None) -> list[str]:
        """A leg acknowledges our last 2xx to it."""
        leg = self.call.leg(side)
        wait = self.call.ack_waits.get(side)
        number = cseq if cseq is not None else wait.cseq if wait is not None else 1
        return self.tell(AckReceived(side, _request(side, "ACK", number, leg, body, ()), leg.flow))

    def cancel(self, *, headers: tuple[str, ...] = (), key: str = "s|invite") -> list[str]:
        """The caller cancels its INVITE, or the request of that key."""
        request = _request(A, "CANCEL", 1, None, b"", headers)
        return self.tell(CancelReceived(A, "s|cancel", request, key))

    def reply(
        self,
        status: int,
        *,
        body: bytes = b"",
        to: SendRequest | None = None,
        tag: str | None = None,
        reason: str | None = None,
        headers: tuple[str, ...] = (),
        contact: str | None = None,
    ) -> list[str]:
        """The far end answers our last request, or the one given."""
        asked = to or self.sent[-1]
        side = SideName(asked.side)
        response = make_response(asked.request, status, reason, tag or TAGS[side])
        if status < 300 and asked.request.method in ("INVITE", "UPDATE"):
            response.headers.append("Contact", contact or f"<sip:{side.value}@{HOSTS[side]}:5070>")
        for line in headers:
            name, _, value = line.partition(": ")
            response.headers.append(name, value)
        if body:
            if not response.headers.has("content-type"):
                response.headers.append("Content-Type", "application/sdp")
            response.body = body
        parsed = parse_message_untrusted(serialize(response))
        assert isinstance(parsed, Response)
        return self.tell(ReplyReceived(asked.ref, parsed, asked.flow))

    def fail(self, why: str = "timeout", *, to: SendRequest | None = None) -> list[str]:
        """Our last request, or the one given, gets no answer."""
        return self.tell(RequestFailed((to or self.sent[-1]).ref, why))

    def give_up(self, text: str = "the operator ends it", by: str = "operator") -> list[str]:
        """We end the call."""
        return self.tell(GaveUp(Ending(480, 41, EndedBy(by), text)))

    def wait(self, seconds: float) -> list[str]:
        """Time passes, timer by timer."""
        end = self.now + seconds
        told: list[str] = []
        commands: list[Command] = []
        while (due := machine.next_timeout(self.call)) is not None and due <= end:
            self.now = due
            told += self._took(machine.handle_timeout(self.call, self.now))
            commands += self.commands
        self.now = end
        self.commands = commands
        return told

    # -- what came of it ---------------------------------------------------------------------

    def request(self, side: SideName | None = None) -> Request:
        """The last request or ACK among the commands of the last event, to that side."""
        found = [
            command.request
            for command in self.commands
            if isinstance(command, SendRequest | SendAck)
            and (side is None or command.side == side.value)
        ]
        return found[-1]

    def response(self, side: SideName | None = None) -> Response:
        """The last response among the commands of the last event, to that side."""
        found = [
            command.response
            for command in self.commands
            if isinstance(command, Respond) and (side is None or command.side == side.value)
        ]
        return found[-1]

    def sent_to(self, side: SideName, method: str) -> SendRequest:
        """The last request of that method to a side."""
        found = [s for s in self.sent if s.side == side.value and s.request.method == method]
        return found[-1]

    @property
    def running(self) -> set[Timer]:
        """The timers that run."""
        return set(self.call.timers)

    def _took(self, commands: list[Command]) -> list[str]:
        self.seen += [command for command in commands if isinstance(command, HopSeen)]
        commands = [command for command in commands if not isinstance(command, HopSeen)]
        self.commands = commands
        for command in commands:
            if isinstance(command, SendRequest):
                serialize(command.request)
                if command.request.method != "CANCEL":
                    self.sent.append(command)
            elif isinstance(command, ReleasePorts):
                for network, port in command.ports:
                    self.ports.give_back(network, port, self.now)
        if self._restores:
            self.call = restored(self.call)
        return words(commands)


def words(commands: list[Command]) -> list[str]:
    """Commands in short words."""
    return [_word(command) for command in commands]


def description(message: Request | Response) -> SessionDescription:
    """The description a message carries."""
    assert message.content_type == "application/sdp", message
    return parse_sdp_untrusted(message.body)


def rules(srtp: str, **others: object) -> MediaRules:
    """Media rules with that SRTP mode, for signalling that anybody can read unless told else."""
    return replace(MediaRules(sdes_in_clear=True), srtp=srtp, **others)  # type: ignore[arg-type]  # checked by name


def _word(command: Command) -> str:
    match command:
        case Respond(_, response, side):
            return f"{side} {response.status} {response.cseq.method}"
        case SendRequest(_, _, request, side):
            return f"{side} {request.method}"
        case SendAck(_, _, side):
            return f"{side} ACK"
        case ApplyMedia(plan):
            return "media off" if plan is None else "media"
        case ReleasePorts():
            return "ports"
        case Answered():
            return "answered"
        case Ended():
            return "ended"
        case Abandon():
            return "abandon"


def _request(
    side: SideName,
    method: str,
    cseq: int,
    leg: Leg | None,
    body: bytes,
    headers: tuple[str, ...],
) -> Request:
    host = HOSTS[side]
    if side is A:
        call_id, theirs, ours = "a-call-id", "<sip:alice@x>", "<sip:600@x>"
    else:
        assert leg is not None
        call_id, theirs, ours = leg.call_id, "<sip:600@y>", "<sip:alice@y>"
    to_tag = f";tag={leg.local_tag}" if leg is not None else ""
    typed = any(line.lower().startswith("content-type") for line in headers)
    lines = [
        f"{method} sip:600@{BORDERS[CALLER][0]} SIP/2.0",
        f"Via: SIP/2.0/UDP {host}:5070;branch=z9hG4bK-{side.value}-{method}-{cseq}",
        f"From: {theirs};tag={TAGS[side]}",
        f"To: {ours}{to_tag}",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} {method}",
        "Max-Forwards: 70",
        *([f"Contact: <sip:{side.value}@{host}:5070>"] if method in ("INVITE", "UPDATE") else []),
        *headers,
        *(["Content-Type: application/sdp"] if body and not typed else []),
        f"Content-Length: {len(body)}",
        "",
        "",
    ]
    message = parse_message_untrusted("\r\n".join(lines).encode() + body)
    assert isinstance(message, Request)
    return message
