"""The relays that are compared, each as a process in the relay's namespace, on its own core."""

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.bench.media.modes import (
    PEERS,
    RELAYS,
    Mode,
    RelayedCall,
    key_text,
    peer_key,
    peer_port,
)
from tests.bench.media.ng import NgClient, Value, described, description
from tests.bench.media.our_relay import SETTLE_S, our_calls
from tests.bench.media.proc import cpu_s, ports_of_udp
from tests.bench.process import prefer, stop
from tests.kit.hosts import Host

NATIVE = ("io_uring", "epoll")
PYTHON = "python"
THEIRS = "rtpengine"
ALL = (*NATIVE, PYTHON, THEIRS)
_PORTS_OF_ONE = 10_000
_FIRST_PORT = 10_000
_NG_PORT = 2223
_START_S = 20.0
_LOG_TAIL = 2000


class Relay(Protocol):
    """A running relay."""

    name: str
    pid: int

    def prepare(self, mode: Mode, count: int) -> None:
        """Make ready what `open` needs, so that memory and time of that are not measured."""

    def open(self) -> list[RelayedCall]:
        """Set up the answered calls that were prepared, between the phones that `modes` names."""

    def control(self, mode: Mode, count: int) -> float:
        """CPU-seconds for setting up so many calls (offer, answer) and tearing them down."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where relays run."""

    host: Host
    cores: tuple[int, ...]
    log: Path
    """What all relays print."""


def missing_for(names: Collection[str]) -> str | None:
    """Why some of these relays cannot run here; None when all can."""
    if THEIRS in names and shutil.which(THEIRS) is None:
        return f"not installed: {THEIRS} (Debian: rtpengine-daemon)"
    if not set(NATIVE).isdisjoint(names):
        try:
            import media.engines.native  # noqa: F401
        except ImportError as error:
            return f"the native engine is not built: {error}"
    return None


@contextlib.contextmanager
def running(name: str, place: Place, *, workers: int = 1, slot: int = 0) -> Iterator[Relay]:
    """A relay from its start to its end.

    Args:
        name: one of `ALL`.
        place: where it runs.
        workers: threads that relay; rtpengine always has one.
        slot: which ports it has; no two that run at once may share them.

    Raises:
        RuntimeError: its ports are taken, or it did not start; then the end of its log follows.
    """
    first_port = _FIRST_PORT + _PORTS_OF_ONE * slot
    theirs = name == THEIRS
    _await_free(place.host, range(first_port, first_port + _PORTS_OF_ONE))
    command = _their_command(first_port) if theirs else _our_command(name, workers, first_port)
    with (
        place.log.open("ab") as log,
        place.host.udp_socket("127.0.0.1") as ng,
        subprocess.Popen(
            place.host.command("taskset", "-c", ",".join(map(str, place.cores)), *command),
            stdin=subprocess.PIPE,
            stdout=log if theirs else subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        try:
            prefer(process.pid)
            if theirs:
                yield _Theirs(process, ng, place.log)
            else:
                yield _Ours(name, process, first_port, place.log)
        finally:
            stop(process)


def _await_free(host: Host, ports: range) -> None:
    """Wait for the sockets of an ended relay: the kernel takes a ring down in its own time."""
    deadline = time.monotonic() + _START_S
    while not ports_of_udp(host.pid).isdisjoint(ports):
        if time.monotonic() > deadline:
            raise RuntimeError(f"UDP ports from {ports[0]} on are still taken")
        time.sleep(0.05)


class _Ours:
    """An engine of ours, told what to do on its standard input."""

    def __init__(
        self, name: str, process: "subprocess.Popen[bytes]", first_port: int, log: Path
    ) -> None:
        self.name = name
        self.pid = process.pid
        self._process = process
        self._first_port = first_port
        self._log = log
        self._calls: list[RelayedCall] = []

    def prepare(self, mode: Mode, count: int) -> None:
        self._told("prepare", mode.name, count)
        self._calls = our_calls(mode, self._first_port, count)

    def open(self) -> list[RelayedCall]:
        self._told("open")
        return self._calls

    def control(self, mode: Mode, count: int) -> float:
        return self._told("control", mode.name, count)

    def _told(self, *words: str | int) -> float:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(words).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.name} ended:\n{_tail(self._log)}")
        return float(json.loads(answer))


class _Theirs:
    """rtpengine, told what to do on its control port."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", control: socket.socket, log: Path
    ) -> None:
        self.name = THEIRS
        self.pid = process.pid
        self._calls = 0
        self._prepared: tuple[Mode, int] | None = None
        control.connect(("127.0.0.1", _NG_PORT))
        self._ng = NgClient(control)
        self._await_answer(process, log)

    def prepare(self, mode: Mode, count: int) -> None:
        self._prepared = (mode, count)

    def open(self) -> list[RelayedCall]:
        assert self._prepared is not None
        mode, count = self._prepared
        return self._answer(mode, self._offer(mode, count))

    def control(self, mode: Mode, count: int) -> float:
        before = cpu_s(self.pid)
        first = self._calls
        self._answer(mode, self._offer(mode, count))
        self._ng.ask_all(
            [
                {"command": "delete", "call-id": f"call {number}", "from-tag": "a"}
                for number in range(first, self._calls)
            ]
        )
        # As long as ours are given to finish what they put off.
        time.sleep(SETTLE_S)
        return cpu_s(self.pid) - before

    def _offer(self, mode: Mode, count: int) -> list[dict[str, Value]]:
        first, self._calls = self._calls, self._calls + count
        return self._ng.ask_all(
            [
                {
                    "command": "offer",
                    "sdp": _sdp(mode, 0, number - first),
                    "direction": ["a", "b"],
                    "replace": ["origin"],
                    "transport-protocol": "RTP/SAVP" if mode.suites[1] else "RTP/AVP",
                    **_dialog(number),
                }
                for number in range(first, self._calls)
            ]
        )

    def _answer(self, mode: Mode, offers: list[dict[str, Value]]) -> list[RelayedCall]:
        first = self._calls - len(offers)
        toward_b = [described(offer) for offer in offers]
        answers = self._ng.ask_all(
            [
                {
                    "command": "answer",
                    "to-tag": "b",
                    "sdp": _sdp(mode, 1, number, _tag_of(mode.suites[1], cryptos)),
                    **_dialog(first + number),
                }
                for number, (_, cryptos) in enumerate(toward_b)
            ]
        )
        return [
            RelayedCall(
                (to_a[0], to_b[0]),
                (_key_of(mode.suites[0], to_a[1]), _key_of(mode.suites[1], to_b[1])),
            )
            for to_a, to_b in zip(map(described, answers), toward_b, strict=True)
        ]

    def _await_answer(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        deadline = time.monotonic() + _START_S
        while True:
            try:
                self._ng.ask({"command": "ping"})
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{THEIRS} did not start:\n{_tail(log)}") from None
                time.sleep(0.05)
            else:
                return


def _our_command(name: str, workers: int, first_port: int) -> list[str]:
    module = "tests.bench.media.our_relay"
    return [sys.executable, "-m", module, name, str(workers), str(first_port)]


def _their_command(first_port: int) -> list[str]:
    return [
        "rtpengine",
        "--foreground",
        "--log-stderr",
        "--log-level=2",
        "--config-file=none",
        "--table=-1",
        *(f"--interface={side}/{address}" for side, address in zip("ab", RELAYS, strict=True)),
        f"--listen-ng=127.0.0.1:{_NG_PORT}",
        f"--port-min={first_port}",
        f"--port-max={first_port + _PORTS_OF_ONE - 1}",
        "--num-threads=1",
        "--media-num-threads=1",
        "--delete-delay=0",
    ]


def _dialog(number: int) -> dict[str, Value]:
    # Toward SAVP it would offer DTLS too, at the cost of a TLS context for each call.
    return {"call-id": f"call {number}", "from-tag": "a", "ICE": "remove", "DTLS": "off"}


def _sdp(mode: Mode, side: int, number: int, tag: str = "1") -> str:
    suite, key = mode.suites[side], peer_key(mode, side)
    cryptos = [] if suite is None or key is None else [(tag, suite, key_text(key))]
    return description(PEERS[side], peer_port(number), cryptos)


def _tag_of(suite: str | None, cryptos: list[tuple[str, str, str]]) -> str:
    """The tag under which a suite is offered."""
    return next((tag for tag, offered, _ in cryptos if offered == suite), "1")


def _key_of(suite: str | None, cryptos: list[tuple[str, str, str]]) -> bytes | None:
    if suite is None:
        return None
    text = next(key for _, offered, key in cryptos if offered == suite)
    # rtpengine leaves the padding out.
    return base64.b64decode(text + "=" * (-len(text) % 4))


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-_LOG_TAIL:]
