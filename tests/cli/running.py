"""``sbc run`` as a process of its own, and a call through it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio

from sbc.cli.main import main
from sbc.sip.message import Request, Response, make_response, serialize
from sbc.sip.parser import parse_message_untrusted
from sbc.state.cdr import CdrRecord
from sbc.state.file import read_records
from tests.kit.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
CONFIGURATION = """\
networks:
  outside:
    bind: 127.0.0.1
    listen: [udp/{sip}]
    media_ports: {media}-{last}
  inside:
    trust: trusted
    bind: 127.0.0.2
    listen: [udp/{sip}]
    media_ports: {media}-{last}
peers:
  carrier: {{kind: trunk, network: outside, address: '127.0.0.1:{carrier}'}}
  pbx: {{kind: pbx, network: inside, address: '127.0.0.2:{pbx}'}}
routes:
  - {{name: incoming, from: carrier, to: pbx}}
policies: {root}/policies/edge-default.yaml
state_dir: run
firewall: {{nftables: "off"}}
"""
SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 0\r\n"
)


def a_free_port() -> int:
    """An even port that nothing is bound to just now."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            port: int = sock.getsockname()[1]
        if port % 2 == 0 and port < 65_000:
            return port


async def start(
    file: Path,
    program: tuple[str, ...] = ("-m", "sbc"),
    environment: Mapping[str, str] | None = None,
) -> trio.Process:
    """Start ``sbc run`` without waiting for anything."""
    return await trio.lowlevel.open_process(
        [sys.executable, *program, "run", "--log-json", str(file)],
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
    )


async def said_at_its_end(process: trio.Process) -> list[dict[str, object]]:
    """What a process logged, when it has ended."""
    assert process.stderr is not None
    try:
        with trio.fail_after(PATIENCE_S):
            async with process.stderr:
                said = b"".join([part async for part in process.stderr])
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
    return [json.loads(line) for line in said.splitlines()]


class Far:
    """A UDP socket that speaks SIP by hand."""

    def __init__(self, sock: trio.socket.SocketType, border: tuple[str, int]) -> None:
        self._sock = sock
        self._border = border
        self.port: int = sock.getsockname()[1]

    async def send(self, data: bytes) -> None:
        await self._sock.sendto(data, self._border)

    async def receive(self, wanted: str) -> Request | Response:
        """The next request of a method, or response of a status; others are passed over."""
        with trio.fail_after(PATIENCE_S):
            while True:
                message = parse_message_untrusted(await self._sock.recv(65_536))
                title = message.method if isinstance(message, Request) else str(message.status)
                if title == wanted:
                    return message

    async def answer(self, request: Request, status: int, body: bytes = b"") -> None:
        response = make_response(request, status, None, "theirs")
        response.headers.append("Contact", f"<sip:600@127.0.0.2:{self.port}>")
        if body:
            response.headers.append("Content-Type", "application/sdp")
            response.body = body
        await self.send(serialize(response))


class Running:
    """An SBC between a carrier and a PBX, and what it logged."""

    def __init__(self, directory: Path, carrier: Far, pbx: Far, port: int) -> None:
        self.port = port
        self.carrier = carrier
        self.pbx = pbx
        self.file = directory / "sbc.yaml"
        media = a_free_port()
        self.file.write_text(
            CONFIGURATION.format(
                sip=port,
                media=media,
                last=media + 9,
                carrier=carrier.port,
                pbx=pbx.port,
                root=ROOT,
            )
        )
        self.records = directory / "run" / "cdr.sqlite"
        self.events: list[dict[str, object]] = []
        self.process: trio.Process
        self._more = trio.Event()
        self._to_tag = ""

    async def read(self, log: trio.abc.ReceiveStream) -> None:
        """Collect what it logs."""
        buffer = b""
        async for part in log:
            *lines, buffer = (buffer + part).split(b"\n")
            self.events += [json.loads(line) for line in lines]
            self._more.set()
            self._more = trio.Event()

    async def logged(self, event: str, count: int = 1) -> dict[str, object]:
        """Wait until it has logged an event that often; the last one of it."""
        with trio.fail_after(PATIENCE_S):
            while True:
                found = [one for one in self.events if one["event"] == event]
                if len(found) >= count:
                    return found[-1]
                await self._more.wait()

    async def sbc(self, *argv: str) -> int:
        """Run a command beside the loop, as a shell would."""
        with trio.fail_after(PATIENCE_S):
            return await trio.to_thread.run_sync(partial(main, [*argv, "--config", str(self.file)]))

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Its exit status, when it has ended."""
        with trio.fail_after(PATIENCE_S):
            return await self.process.wait()

    async def call(self) -> None:
        """Set up a call that both sides have agreed on."""
        await self.carrier.send(self._request("INVITE", 1, "", SDP))
        invite = await self.pbx.receive("INVITE")
        assert isinstance(invite, Request)
        await self.pbx.answer(invite, 200, SDP)
        ok = await self.carrier.receive("200")
        self._to_tag = f";tag={ok.to_tag}"
        await self.carrier.send(self._request("ACK", 1, self._to_tag, b""))
        await self.pbx.receive("ACK")
        await self.logged("call answered")

    async def hang_up(self) -> None:
        """The carrier ends the call."""
        await self.carrier.send(self._request("BYE", 2, self._to_tag, b""))
        bye = await self.pbx.receive("BYE")
        assert isinstance(bye, Request)
        await self.pbx.answer(bye, 200)

    async def hung_up(self) -> None:
        """Both sides get their BYE and say yes to it."""
        for far in (self.carrier, self.pbx):
            bye = await far.receive("BYE")
            assert isinstance(bye, Request)
            await far.answer(bye, 200)

    def record(self) -> CdrRecord:
        """The record of the one call there was."""
        (record,) = read_records(self.records, last=10)
        return record

    def _request(self, method: str, cseq: int, to_tag: str, body: bytes) -> bytes:
        here = f"127.0.0.1:{self.carrier.port}"
        lines = [
            f"{method} sip:600@127.0.0.1:{self.port} SIP/2.0",
            f"Via: SIP/2.0/UDP {here};branch=z9hG4bK-{method}",
            f"From: <sip:100@{here}>;tag=ours",
            f"To: <sip:600@127.0.0.1:{self.port}>{to_tag}",
            "Call-ID: one",
            f"CSeq: {cseq} {method}",
            "Max-Forwards: 70",
            f"Contact: <sip:100@{here}>",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        return re.sub("\n", "\r\n", "\n".join([*lines, "", ""])).encode() + body


@asynccontextmanager
async def running_sbc(directory: Path) -> AsyncIterator[Running]:
    """Start an SBC, wait until it serves, and end it at the end."""
    port = a_free_port()
    with (
        trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as carrier,
        trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as pbx,
    ):
        await carrier.bind(("127.0.0.1", 0))
        await pbx.bind(("127.0.0.2", 0))
        one = Running(
            directory, Far(carrier, ("127.0.0.1", port)), Far(pbx, ("127.0.0.2", port)), port
        )
        process = one.process = await start(one.file)
        assert process.stderr is not None
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(one.read, process.stderr)
                await one.logged("ready")
                yield one
                nursery.cancel_scope.cancel()
        finally:
            if process.returncode is None:
                process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
                await process.stderr.aclose()
