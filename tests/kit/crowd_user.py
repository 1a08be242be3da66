"""One user of a crowd, without I/O: a phone that registers with a password, calls and hangs up.

It speaks through the product's transaction layer, so it repeats itself as RFC 3261 has it, and it
keeps account of everything that an honest user would complain about.
"""

from collections.abc import Iterable

from sbc.sip.digest import Login
from sbc.sip.flow import Address, Flow, Transport
from sbc.sip.message import Request, Response, make_response
from sbc.sip.parser import parse_message_untrusted
from sbc.sip.transaction.events import (
    Output,
    RequestArrived,
    RequestFailed,
    ResponseArrived,
    TransactionKey,
    Transmit,
)
from sbc.sip.transaction.layer import TransactionLayer

DOMAIN = "office.example"
CALLED = "600"
TALK_S = 2.0
EXPIRES_S = 300

_PLAIN = "RTP/AVP 0\r\n"
_SECURE = (
    "RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 "
    "inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw\r\n"
)


class User:
    """A phone with one account."""

    def __init__(
        self,
        name: str,
        password: str,
        here: Address,
        border: Address,
        *,
        transport: Transport = "udp",
    ) -> None:
        """A phone that takes `here` for its address, whatever others see."""
        self.name = name
        self.flow = Flow("crowd", transport, here, border)
        self.registered = 0
        """How often the border said that it is."""
        self.called = 0
        """Calls that were answered, and ended as this user wanted."""
        self.failures: list[str] = []
        """Whatever went wrong."""
        self._layer = TransactionLayer()
        self._login = Login(name, password)
        self._under_way: dict[TransactionKey, tuple[Request, int]] = {}
        """Each request, and how many challenges of it were answered."""
        self._count = 0
        self._dialog: tuple[Request, Response] | None = None
        self._bye_at: float | None = None
        self._out: list[bytes] = []

    @property
    def busy(self) -> bool:
        """Whether it waits for an answer, or is in a call."""
        return bool(self._under_way) or self._dialog is not None

    # -- deeds: each returns what is to be sent ------------------------------------------------

    def register(self, now: float) -> list[bytes]:
        """Register, or refresh that."""
        request = self._write("REGISTER", f"sip:{DOMAIN}", to=self.name, call_id=f"r{self.name}")
        request.headers.append("Expires", str(EXPIRES_S))
        return self._send(request, 0, now)

    def call(self, now: float) -> list[bytes]:
        """Call the office; it hangs up by itself."""
        request = self._write(
            "INVITE", f"sip:{CALLED}@{DOMAIN}", to=CALLED, call_id=f"c{self._count}{self.name}"
        )
        request.headers.append("Content-Type", "application/sdp")
        host, _ = self.flow.remote
        kind = "IP6" if ":" in host else "IP4"
        here = self.flow.local[0]
        media = _SECURE if self.flow.transport == "tls" else _PLAIN
        request.body = (
            f"v=0\r\no=- 1 1 IN {kind} {here}\r\ns=-\r\nc=IN {kind} {here}\r\nt=0 0\r\n"
            f"m=audio 40000 {media}"
        ).encode()
        return self._send(request, 0, now)

    def receive(self, data: bytes, now: float) -> list[bytes]:
        """Take a message."""
        self._handle(self._layer.receive(parse_message_untrusted(data), self.flow, now), now)
        return self._taken()

    def handle_timeout(self, now: float) -> list[bytes]:
        """Let timers happen, and the end of the call."""
        self._handle(self._layer.handle_timeout(now), now)
        if self._bye_at is not None and now >= self._bye_at and self._dialog is not None:
            self._bye_at = None
            self._out += self._send(self._inside("BYE", *self._dialog), 1, now)
        return self._taken()

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is wanted."""
        times = [at for at in (self._layer.next_timeout(), self._bye_at) if at is not None]
        return min(times, default=None)

    # -- what the layer tells ------------------------------------------------------------------

    def _handle(self, outputs: Iterable[Output], now: float) -> None:
        for output in outputs:
            if isinstance(output, Transmit):
                self._out.append(output.data)
            elif isinstance(output, ResponseArrived) and output.response.status >= 200:
                self._answered(output.key, output.response, now)
            elif isinstance(output, RequestFailed):
                request, _ = self._under_way.pop(output.key)
                self._fails(f"{request.method} is not answered")
            elif isinstance(output, RequestArrived):
                self._asked(output, now)

    def _answered(self, key: TransactionKey, response: Response, now: float) -> None:
        request, answers = self._under_way.pop(key, (None, 0))
        if request is None:
            return
        if response.status in (401, 407):
            again = Request(request.method, request.uri_text, request.headers.copy(), request.body)
            self._count += 1
            again.headers.set("Via", self._via())
            again.headers.set("CSeq", f"{self._count} {request.method}")
            if self._login.answer(again, response, f"{self._count:08x}", answers):
                self._out += self._send(again, answers + 1, now)
                return
        if response.status >= 300:
            self._fails(f"{request.method} is refused with {response.status} {response.reason}")
        elif request.method == "REGISTER":
            self.registered += 1
        elif request.method == "INVITE":
            self._dialog = (request, response)
            ack = self._inside("ACK", request, response)
            self._handle(self._layer.send_ack(ack, self.flow), now)
            self._bye_at = now + TALK_S
        else:
            self._dialog = None
            self.called += 1

    def _asked(self, arrived: RequestArrived, now: float) -> None:
        if arrived.request.method == "BYE":
            self._fails("it was hung up on")
        answer = make_response(arrived.request, 200, to_tag="t")
        self._handle(self._layer.respond(arrived.key, answer, now), now)

    def _fails(self, why: str) -> None:
        self.failures.append(f"{self.name}: {why}")
        self._dialog = self._bye_at = None

    # -- what it writes ------------------------------------------------------------------------

    def _send(self, request: Request, answers: int, now: float) -> list[bytes]:
        if not answers:
            self._login.again(request, f"{self._count:08x}")
        key, outputs = self._layer.send_request(request, self.flow, now)
        self._under_way[key] = request, answers
        self._handle(outputs, now)
        return self._taken()

    def _write(self, method: str, uri: str, *, to: str, call_id: str) -> Request:
        self._count += 1
        request = Request(method, uri)
        for name, value in (
            ("Via", self._via()),
            ("Max-Forwards", "70"),
            ("From", f"<sip:{self.name}@{DOMAIN}>;tag=f{self._count}"),
            ("To", f"<sip:{to}@{DOMAIN}>"),
            ("Call-ID", call_id),
            ("CSeq", f"{self._count} {method}"),
            ("Contact", f"<sip:{self.name}@{self._here()};transport={self.flow.transport}>"),
        ):
            request.headers.append(name, value)
        return request

    def _inside(self, method: str, invite: Request, accepted: Response) -> Request:
        contact = accepted.contact
        assert contact is not None, accepted
        request = self._write(method, str(contact.uri), to=CALLED, call_id=invite.call_id)
        request.headers.set("From", invite.headers.first("from") or "")
        request.headers.set("To", accepted.headers.first("to") or "")
        if method == "ACK":
            request.headers.set("CSeq", f"{invite.cseq.number} ACK")
        return request

    def _via(self) -> str:
        transport = self.flow.transport.upper()
        branch = f"z9hG4bK{self.name}x{self._count}"
        return f"SIP/2.0/{transport} {self._here()};rport;branch={branch}"

    def _here(self) -> str:
        host, port = self.flow.local
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def _taken(self) -> list[bytes]:
        out, self._out = self._out, []
        return out
