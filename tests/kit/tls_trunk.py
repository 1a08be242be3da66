"""The example of a TLS trunk as a process, with a carrier on one side and a PBX on the other.

The addresses of the example become addresses of loopback, its ports free ones; the rest of it is
used as it is shipped.
"""

import json
import re
import signal
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from sbc.sip.message import Request, Response, make_response, serialize
from sbc.sip.parser import parse_message_untrusted
from tests.cli.running import ROOT, a_free_port, start
from tests.kit.certificates import Authority, Files, Identity, client_context, server_context
from tests.kit.patience import PATIENCE_S

BORDER, INSIDE, PBX, CARRIER = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"
NAME, OUR_NAME = "sip.carrier.example", "sbc.example.com"
RTP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.3\r\ns=-\r\nc=IN IP4 127.0.0.3\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 0\r\n"
)
SRTP = RTP.replace(b"RTP/AVP", b"RTP/SAVP") + (
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw\r\n"
)
Stream = trio.SSLStream[trio.SocketStream]


class Line:
    """One TLS connection of the carrier, on which SIP is spoken by hand."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._buffer = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def receive(self, wanted: str) -> Request | Response:
        """The next request of a method, or response of a status; others are passed over."""
        with trio.fail_after(PATIENCE_S):
            while True:
                message = await self.next()
                title = message.method if isinstance(message, Request) else str(message.status)
                if title == wanted:
                    return message
                assert not isinstance(message, Response) or message.status < 200, message.status

    async def final(self) -> Response:
        """The next final response."""
        with trio.fail_after(PATIENCE_S):
            while True:
                message = await self.next()
                if isinstance(message, Response) and message.status >= 200:
                    return message

    async def next(self) -> Request | Response:
        """The next message."""
        return parse_message_untrusted(await self._next())

    async def _next(self) -> bytes:
        while True:
            head, end, rest = self._buffer.lstrip(b"\r\n").partition(b"\r\n\r\n")
            length = re.search(rb"(?im)^Content-Length: *(\d+)", head)
            if end and length and len(rest) >= int(length[1]):
                self._buffer = rest[int(length[1]) :]
                return head + end + rest[: int(length[1])]
            more = await self.stream.receive_some(65_536)
            assert more, "the border closed the connection"
            self._buffer += bytes(more)

    @property
    def shown(self) -> bytes:
        """The certificate that the border showed."""
        found: bytes = self.stream.getpeercert(binary_form=True)
        return found


class Trunk:
    """The border between a carrier and a PBX, and the authority that vouches for both."""

    example = ROOT / "deploy/examples/tls-trunk.yaml"
    name = NAME
    """What the carrier's certificate is for."""
    our_name = OUR_NAME
    authorities = "CARRIER_CA"
    """How the example calls the file of those who vouch for the carrier."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.authority = Authority()
        self.port, self.inside_port = a_free_port(), a_free_port()
        self.pbx_port, self.carrier_port = a_free_port(), a_free_port()
        self.events: list[dict[str, object]] = []
        self.calls = 0
        self.connections = 0
        self._more = trio.Event()
        self.process: trio.Process
        self.ours: Files = self.renew()
        self.environment = {
            "CERTIFICATE": str(self.ours.certificate),
            "KEY": str(self.ours.key),
            self.authorities: str(self.authority.write(directory)),
        }
        self.file = directory / "sbc.yaml"
        self.file.write_text(self._configuration())

    def renew(self) -> Files:
        """Put a fresh certificate of ours into its files."""
        self.identity = self.authority.issue(self.our_name)
        return self.identity.write(self.directory, "ours")

    def theirs(self, identity: Identity | None = None) -> Files:
        """Files of a certificate of the carrier; by default a good one."""
        return (identity or self.authority.issue(self.name)).write(self.directory, "theirs")

    @asynccontextmanager
    async def dial(self, context: ssl.SSLContext | None = None) -> AsyncIterator[Line]:
        """A connection of the carrier to the border, each from another address of its own: none is
        configured, and a stranger's may open only so many."""
        context = context or client_context(self.authority, self.theirs())
        self.connections += 1
        with trio.socket.socket() as sock:
            await sock.bind((f"127.0.1.{self.connections % 250 + 1}", 0))
            await sock.connect((BORDER, self.port))
            stream = trio.SSLStream(trio.SocketStream(sock), context, https_compatible=True)
            with trio.fail_after(PATIENCE_S):
                await stream.do_handshake()
            yield Line(stream)

    async def ask(self, line: Line, method: str, body: bytes = b"") -> Response:
        """The carrier asks for something; what it is told at last."""
        return (await self._asked(line, method, body))[1]

    async def _asked(self, line: Line, method: str, body: bytes) -> tuple[int, Response]:
        """The number of what was asked, and the answer."""
        self.calls += 1
        number = self.calls
        await line.send(_request(method, number, 1, "", body))
        return number, await line.final()

    async def call_in(self, line: Line, offer: bytes = SRTP) -> Response:
        """The carrier calls the PBX, and hangs up when the PBX has answered; with what it did."""
        number, ok = await self._asked(line, "INVITE", offer)
        assert ok.status == 200, ok.status
        tag = f";tag={ok.to_tag}"
        await line.send(_request("ACK", number, 1, tag))
        await line.send(_request("BYE", number, 2, tag))
        await line.receive("200")
        return ok

    async def serve_pbx(self, *, task_status: trio.TaskStatus[None]) -> None:
        """A PBX that answers every call."""
        with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            await sock.bind((PBX, self.pbx_port))
            task_status.started()
            while True:
                data, address = await sock.recvfrom(65_536)
                request = parse_message_untrusted(data)
                if isinstance(request, Request) and request.method != "ACK":
                    await sock.sendto(_answer(request, RTP), address)

    async def serve_carrier(
        self, files: Files, *, task_status: trio.TaskStatus[None], **versions: ssl.TLSVersion
    ) -> None:
        """A carrier that answers every call, and demands a certificate of ours."""
        context = server_context(files, self.authority, **versions)

        async def serve(connection: trio.SocketStream) -> None:
            try:
                line = Line(trio.SSLStream(connection, context, server_side=True))
                while True:
                    invite = await line.receive("INVITE")
                    assert isinstance(invite, Request)
                    await line.send(_answer(invite, SRTP))
                    await line.receive("ACK")
                    bye = await line.receive("BYE")
                    assert isinstance(bye, Request)
                    await line.send(_answer(bye, b""))
            except (trio.BrokenResourceError, trio.ClosedResourceError, AssertionError):
                await trio.aclose_forcefully(connection)

        await trio.serve_tcp(serve, self.carrier_port, host=CARRIER, task_status=task_status)

    async def call_out(self) -> tuple[int, str]:
        """The PBX calls the carrier, from another socket than the one it is called at.

        Returns:
            The final status, and the refusal's Warning.
        """
        self.calls += 1
        number = self.calls
        with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            await sock.bind((PBX, 0))
            here, border = sock.getsockname()[1], (INSIDE, self.inside_port)
            invite = _request("INVITE", number, 1, "", RTP, transport="UDP", port=here)
            await sock.sendto(invite, border)
            with trio.fail_after(PATIENCE_S):
                while True:
                    answer = parse_message_untrusted(await sock.recv(65_536))
                    if isinstance(answer, Response) and answer.status >= 200:
                        break
            tag = f";tag={answer.to_tag}"
            ack = _request("ACK", number, 1, tag, transport="UDP", port=here)
            await sock.sendto(ack, border)
            if answer.status == 200:
                bye = _request("BYE", number, 2, tag, transport="UDP", port=here)
                await sock.sendto(bye, border)
        return answer.status, answer.headers.first("warning") or ""

    async def logged(self, event: str, count: int = 1) -> dict[str, object]:
        """Wait until the border has logged an event that often; the last one of it."""
        with trio.fail_after(PATIENCE_S):
            while True:
                found = [one for one in self.events if one["event"] == event]
                if len(found) >= count:
                    return found[-1]
                await self._more.wait()

    def count(self, event: str) -> int:
        return sum(one["event"] == event for one in self.events)

    def reload(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    async def read(self, log: trio.abc.ReceiveStream) -> None:
        """Collect what the border logs."""
        buffer = b""
        async for part in log:
            *lines, buffer = (buffer + part).split(b"\n")
            self.events += [json.loads(line) for line in lines]
            self._more.set()
            self._more = trio.Event()

    def _places(self) -> list[tuple[str, str]]:
        """What of the example is elsewhere here, beside what every example has."""
        return [
            ("203.0.113.40:5061", f"{CARRIER}:{self.carrier_port}"),
            # What the load test is not about.
            (", calls_per_second: 50", ""),
        ]

    def _configuration(self) -> str:
        """The example with addresses and ports that are here."""
        text = self.example.read_text()
        for old, new in (
            *self._places(),
            ("192.168.10.5:5060", f"{PBX}:{self.pbx_port}"),
            ("tls/5061]", f"tls/{self.port}]"),
            ("udp/5060]", f"udp/{self.inside_port}]"),
            ("bind: 203.0.113.10\n", f"bind: {BORDER}\n"),
            ("bind: 192.168.10.2\n", f"bind: {INSIDE}\n"),
            # Below those that free ports are taken from.
            ("30000-39999", "20000-27999"),
            ("../../policies", f"{ROOT}/policies"),
            ("/var/lib/sbc", "run"),
        ):
            assert old in text, old
            text = text.replace(old, new)
        # It runs beside everything else of this machine, whose packet filter is none of ours.
        return f'{text}\nfirewall: {{nftables: "off"}}\n'


@asynccontextmanager
async def running_trunk(one: Trunk) -> AsyncIterator[None]:
    """Start the border and the PBX, and end both at the end."""
    process = one.process = await start(one.file, environment=one.environment)
    assert process.stderr is not None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.read, process.stderr)
            await nursery.start(lambda task_status: one.serve_pbx(task_status=task_status))
            await one.logged("ready")
            yield
            nursery.cancel_scope.cancel()
    finally:
        if process.returncode is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            await process.stderr.aclose()


def _answer(request: Request, body: bytes) -> bytes:
    response = make_response(request, 200, None, "theirs")
    if request.method == "INVITE":
        response.headers.append("Contact", "<sip:far@127.0.0.3>")
        response.headers.append("Content-Type", "application/sdp")
        offered = re.search(rb"a=crypto:(\d+) AES_CM_128_HMAC_SHA1_80", request.body)
        number = offered[1] if offered else b"1"
        response.body = body.replace(b"a=crypto:1", b"a=crypto:" + number)
    return serialize(response)


def _request(
    method: str,
    call: int,
    cseq: int,
    to_tag: str,
    body: bytes = b"",
    *,
    transport: str = "TLS",
    port: int = 5061,
) -> bytes:
    lines = [
        f"{method} sip:+4930123@{BORDER} SIP/2.0",
        f"Via: SIP/2.0/{transport} 127.0.0.3:{port};branch=z9hG4bK-{call}-{method};rport",
        "From: <sip:100@far.example>;tag=ours",
        f"To: <sip:+4930123@{BORDER}>{to_tag}",
        f"Call-ID: {call}",
        f"CSeq: {cseq} {method}",
        "Max-Forwards: 70",
        f"Contact: <sip:100@127.0.0.3:{port}>",
        *(["Content-Type: application/sdp"] if body else []),
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
