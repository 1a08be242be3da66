"""The system under test as a process: started, pinned to a core, read from /proc, ended."""

import contextlib
import fcntl
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_READY_S = 20.0
_STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process and its descendants hold and have used."""

    cpu_s: float
    """User and system time since the start."""
    memory_kb: int
    """Proportional set size."""
    descriptors: int
    threads: int


@dataclass(frozen=True, slots=True)
class System:
    """A running system under test."""

    pid: int

    def usage(self) -> Usage:
        """Read /proc now; processes that end meanwhile count as nothing."""
        pids = _family(self.pid)
        return Usage(
            cpu_s=sum(_cpu_s(pid) for pid in pids),
            memory_kb=sum(_memory_kb(pid) for pid in pids),
            descriptors=sum(_entries(pid, "fd") for pid in pids),
            threads=sum(_entries(pid, "task") for pid in pids),
        )


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait until no other bench of this machine runs, and keep the next one waiting.

    Two at once would share ports and cores, and measure each other. Who is told to end ends what it
    began.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))
    with (Path(tempfile.gettempdir()) / "sbc-bench.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def running(
    command: Sequence[str], *, core: int | None, log: Path, listens_on: int
) -> Iterator[System]:
    """Run a system that takes UDP on port `listens_on`, from when it does until the block ends.

    Raises:
        RuntimeError: it ended before it listened, or did not listen in time, or somebody else
            has the port.
    """
    if bound(listens_on):
        raise RuntimeError(f"UDP port {listens_on} is taken by somebody else")
    raise_descriptor_limit()
    with log.open("ab") as output:
        process = subprocess.Popen(
            pinned(command, core),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    prefer(process.pid)
    try:
        _await_listening(process, listens_on, log)
        yield System(process.pid)
    finally:
        _end(process)


def pinned(command: Sequence[str], core: int | None) -> list[str]:
    """The command, held to one core when one is named."""
    return [*([] if core is None else ["taskset", "-c", str(core)]), *command]


def prefer(pid: int, nice: int = -20) -> None:
    """Give the session of a process nearly all of its core, whatever else the machine does."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(nice))


def stop(process: "subprocess.Popen[Any]") -> None:
    """End a process of ours, kindly first."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def raise_descriptor_limit() -> None:
    """Let children open as many files as the system allows: a held call has four media sockets."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def receive_buffer_drops() -> int:
    """UDP datagrams this machine dropped because a socket's buffer was full."""
    names, values = (
        line.split()
        for line in Path("/proc/net/snmp").read_text().splitlines()
        if line.startswith("Udp:")
    )
    return int(values[names.index("RcvbufErrors")])


def bound(port: int) -> bool:
    """Whether some process of this machine has bound the UDP port."""
    wanted = f":{port:04X}"
    return any(
        line.split()[1].endswith(wanted)
        for table in ("udp", "udp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    )


def _await_listening(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + _READY_S
    while not bound(port):
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-3000:]
            raise RuntimeError(f"nothing listens on UDP port {port}; log of the system:\n{tail}")
        time.sleep(0.05)


def _end(process: "subprocess.Popen[bytes]") -> None:
    family = _family(process.pid)
    stop(process)
    for pid in family[1:]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _family(root: int) -> list[int]:
    """The process and all its descendants, itself first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    family = [root]
    for pid in family:
        family += children.get(pid, [])
    return family


def _stat(pid: int) -> list[str]:
    """The fields of `/proc/PID/stat` after the name, which may itself hold spaces."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _cpu_s(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S if fields else 0.0


def _memory_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _entries(pid: int, kind: str) -> int:
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/{kind}").iterdir())
    except OSError:
        return 0
