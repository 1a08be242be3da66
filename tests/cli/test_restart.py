"""kill -9 and start again: registered phones are called before they register again."""

import re
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from sbc.sip.message import Request, make_response, serialize
from tests.cli.running import ROOT, Far, a_free_port, start
from tests.kit.patience import PATIENCE_S

CONFIGURATION = """\
networks:
  outside:
    bind: 127.0.0.1
    listen: [udp/{port}]
    media_ports: {media}-{last}
    keepalive: {{interval: 1}}
  inside:
    trust: trusted
    bind: 127.0.0.2
    listen: [udp/{port}]
    media_ports: {media}-{last}
peers:
  pbx: {{kind: pbx, network: inside, address: '127.0.0.2:{pbx}'}}
  phones: {{kind: endpoints, network: outside}}
routes:
  - {{from: phones, to: pbx}}
  - {{from: pbx, to: phones}}
policies: {root}/policies/edge-default.yaml
state_dir: run
firewall: {{nftables: "off"}}
"""
CALLABLE_WITHIN_S = 2.0


def a_request(method: str, uri: str, here: str, contact: str, cseq: int = 1) -> bytes:
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP {here};branch=z9hG4bK-{method}-{cseq}",
        f"From: <sip:alice@127.0.0.1>;tag=ours{cseq}",
        "To: <sip:alice@127.0.0.1>",
        f"Call-ID: {method}-{cseq}",
        f"CSeq: {cseq} {method}",
        "Max-Forwards: 70",
        f"Contact: <{contact}>",
        *(["Expires: 600"] if method == "REGISTER" else []),
        "Content-Length: 0",
    ]
    return re.sub("\n", "\r\n", "\n".join([*lines, "", ""])).encode()


@asynccontextmanager
async def serving(file: Path) -> AsyncIterator[trio.Process]:
    """An SBC that has said that it serves; it is killed at the end."""
    process = await start(file)
    assert process.stderr is not None
    try:
        said = b""
        with trio.fail_after(PATIENCE_S):
            while b'"ready"' not in said:
                part = await process.stderr.receive_some()
                assert part, said
                said += part
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_swallow, process)
            yield process
            nursery.cancel_scope.cancel()
    finally:
        process.send_signal(signal.SIGKILL)
        with trio.CancelScope(shield=True):
            await process.wait()
            await process.stderr.aclose()


async def _swallow(process: trio.Process) -> None:
    assert process.stderr is not None
    async for _ in process.stderr:
        pass


async def flushed(file: Path) -> None:
    """Ask it to have everything on disk; what comes later may be lost."""
    await trio.run_process(
        ["python3", "-c", _FLUSH, str(file.parent / "run" / "control.sock")],
        stdout=subprocess.DEVNULL,
    )


_FLUSH = """
import socket, sys
with socket.socket(socket.AF_UNIX) as sock:
    sock.connect(sys.argv[1])
    sock.sendall(b'{"command": "flush"}\\n')
    assert b'"ok":true' in sock.recv(4096)
"""


async def test_phones_are_called_and_kept_alive_after_kill_9(tmp_path: Path) -> None:
    port, media = a_free_port(), a_free_port()
    file = tmp_path / "sbc.yaml"
    with (
        trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as at_phone,
        trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as at_pbx,
    ):
        await at_phone.bind(("127.0.0.1", 0))
        await at_pbx.bind(("127.0.0.2", 0))
        phone, pbx = Far(at_phone, ("127.0.0.1", port)), Far(at_pbx, ("127.0.0.2", port))
        file.write_text(
            CONFIGURATION.format(port=port, media=media, last=media + 9, pbx=pbx.port, root=ROOT)
        )
        async with serving(file):
            contact = f"sip:alice@10.0.0.7:{phone.port}"
            here = f"127.0.0.1:{phone.port}"
            await phone.send(a_request("REGISTER", f"sip:127.0.0.1:{port}", here, contact))
            relayed = await pbx.receive("REGISTER")
            assert isinstance(relayed, Request)
            token = str(relayed.contact.uri)
            accepted = make_response(relayed, 200, None, "far")
            accepted.headers.append("Contact", f"<{token}>;expires=600")
            await pbx.send(serialize(accepted))
            await phone.receive("200")
            await flushed(file)
        async with serving(file):
            with trio.fail_after(CALLABLE_WITHIN_S):
                at = f"127.0.0.2:{pbx.port}"
                await pbx.send(a_request("INVITE", token, at, f"sip:600@{at}", cseq=2))
                invite = await phone.receive("INVITE")
                assert isinstance(invite, Request)
                assert invite.uri_text == contact
            await phone.answer(invite, 486)
            await phone.receive("OPTIONS")
