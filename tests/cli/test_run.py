"""``sbc run`` as a process of its own, reached by the other commands."""

import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import trio

from sbc.cli.main import main
from tests.transport.edge import OPTIONS

CONFIGURATION = """\
networks:
  outside:
    bind: 127.0.0.1
    listen: [udp/{sip}]
    media_ports: {media}-{last}
state_dir: run
"""


def a_free_port() -> int:
    """An even port that nothing is bound to just now."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            port: int = sock.getsockname()[1]
        if port % 2 == 0 and port < 65_000:
            return port


async def start(file: Path) -> trio.Process:
    return await trio.lowlevel.open_process(
        [sys.executable, "-m", "sbc", "run", "--log-json", str(file)],
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )


class Running:
    """An SBC of one network, and what it logged."""

    def __init__(self, directory: Path) -> None:
        self.port = a_free_port()
        self.file = directory / "sbc.yaml"
        media = a_free_port()
        self.file.write_text(CONFIGURATION.format(sip=self.port, media=media, last=media + 9))
        self.events: list[dict[str, object]] = []

    async def read(self, log: trio.abc.ReceiveStream, ready: trio.Event) -> None:
        buffer = b""
        async for part in log:
            *lines, buffer = (buffer + part).split(b"\n")
            self.events += [json.loads(line) for line in lines]
            if any(event["event"] == "ready" for event in self.events):
                ready.set()

    async def sbc(self, *argv: str) -> int:
        with trio.fail_after(20):
            return await trio.to_thread.run_sync(partial(main, [*argv, "--config", str(self.file)]))


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    one = Running(tmp_path)
    process = await start(one.file)
    assert process.stderr is not None
    ready = trio.Event()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.read, process.stderr, ready)
            with trio.fail_after(20):
                await ready.wait()
            yield one
            nursery.cancel_scope.cancel()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await process.stderr.aclose()


async def test_a_process_serves_is_asked_and_stops(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.sendto(OPTIONS, ("127.0.0.1", running.port))
    with trio.fail_after(10):
        received = 0
        while not received:
            assert await running.sbc("status", "--json") == 0
            received = json.loads(capsys.readouterr().out)["received"]["messages"]
    for command in ("calls", "registrations", "reload", "cdr"):
        assert await running.sbc(command) == 0, command
    capsys.readouterr()
    assert await running.sbc("stop", "--drain") == 0
    assert capsys.readouterr().out == "calls left: 0\nstopped\n"
    assert await running.sbc("calls") == 3


async def test_a_reload_of_a_file_with_an_error_changes_nothing(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    running.file.write_text(running.file.read_text() + "nonsense: 1\n")
    assert await running.sbc("reload") == 1
    assert f"{running.file}:7:1: error: nonsense" in capsys.readouterr().err
    assert await running.sbc("status") == 0


async def test_a_second_process_for_the_same_state_refuses_to_start(running: Running) -> None:
    with trio.fail_after(20):
        second = await start(running.file)
        assert second.stderr is not None
        async with second.stderr:
            said = b"".join([part async for part in second.stderr])
        assert await second.wait() == 1
    assert b"is written by process" in said
