"""One load step: SIPp as caller and callee around the system under test, and what it counted."""

import csv
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.process import System, bound, pinned, receive_buffer_drops, stop

HERE = Path(__file__).parent
HOST = "127.0.0.1"
SYSTEM_PORT = 5060
CALLER_PORT = 5090
CALLEE_PORT = 5080

RING_MS = 100
LONGEST_HOLD_MS = 2000
SHORTEST_HOLD_MS = 100
_ANSWER_PATIENCE_MS = 8000
_OPEN_CALLS = 15000
_SLACK_S = 30.0
_REALLY_OFFERED = 0.9


@dataclass(frozen=True, slots=True)
class Step:
    """What one load step was and how it went."""

    rate: float
    """Calls per second asked for."""
    calls: int
    failed: int
    """Calls that did not end as the scenario says, at either end."""
    retransmissions: int
    """Messages that either end sent again."""
    dropped: int
    """Datagrams that overflowed a socket buffer anywhere on the machine."""
    offered: float
    """Calls per second really begun."""
    cpu_s_per_1000_calls: float
    """Of the system under test, user and system time."""
    cores: float
    """CPU-seconds of the system under test per second."""

    @property
    def clean(self) -> bool:
        """No failed call, nothing sent twice, and the rate was really offered."""
        complete = not self.failed and not self.retransmissions
        return complete and self.offered >= _REALLY_OFFERED * self.rate


def offer(
    system: System,
    *,
    rate: float,
    calls: int,
    core: int | None,
    hold_ms: int | None = None,
    when_all_are_up: Callable[[], None] | None = None,
) -> Step:
    """Make `calls` calls at `rate` per second and wait for their end.

    Args:
        system: what is measured.
        rate: calls per second.
        calls: how many.
        core: the core SIPp is held to.
        hold_ms: how long each call is held; None for evenly spread over
            `SHORTEST_HOLD_MS` to `LONGEST_HOLD_MS`.
        when_all_are_up: called one second after the last call was begun.

    Raises:
        RuntimeError: SIPp could not take its ports, or left no counts.
    """
    starting_s = calls / rate
    lag_s = (RING_MS + (LONGEST_HOLD_MS if hold_ms is None else hold_ms)) / 1000
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        if bound(CALLEE_PORT):
            raise RuntimeError(f"UDP port {CALLEE_PORT} is taken by somebody else")
        callee = _start(directory, "callee", CALLEE_PORT, _callee(directory), core)
        _await_bound(callee, CALLEE_PORT)
        used, dropped = system.usage().cpu_s, receive_buffer_drops()
        began = time.monotonic()
        limit_s = starting_s + lag_s + _SLACK_S
        arguments = ["-r", f"{rate:g}", "-m", str(calls), "-s", "bench"]
        arguments += ["-recv_timeout", str(_ANSWER_PATIENCE_MS), "-timeout", str(int(limit_s))]
        arguments += ["-sf", _caller(directory, hold_ms), f"{HOST}:{SYSTEM_PORT}"]
        if bound(CALLER_PORT):
            raise RuntimeError(f"UDP port {CALLER_PORT} is taken by somebody else")
        caller = _start(directory, "caller", CALLER_PORT, arguments, core)
        try:
            if when_all_are_up is not None:
                time.sleep(starting_s + 1)
                when_all_are_up()
            _finish(caller, limit_s + 5)
            wall_s = time.monotonic() - began
            used = system.usage().cpu_s - used
        finally:
            stop(caller)
            _write_last_counts(callee)
            stop(callee)
        made, taken = _counts(directory / "caller.csv"), _counts(directory / "callee.csv")
    good = made.get("SuccessfulCall(C)", 0)
    return Step(
        rate=rate,
        calls=calls,
        failed=max(calls - good, taken.get("FailedCall(C)", 0)),
        retransmissions=made.get("Retransmissions(C)", 0) + taken.get("Retransmissions(C)", 0),
        dropped=receive_buffer_drops() - dropped,
        offered=round(calls / max(0.001, wall_s - lag_s), 1),
        cpu_s_per_1000_calls=round(used * 1000 / max(1, good), 3),
        cores=round(used / wall_s, 2),
    )


def _caller(directory: Path, hold_ms: int | None) -> str:
    """Write the caller's scenario with its hold time and return the path."""
    spread = f'distribution="uniform" min="{SHORTEST_HOLD_MS}" max="{LONGEST_HOLD_MS}"'
    hold = spread if hold_ms is None else f'milliseconds="{hold_ms}"'
    path = directory / "caller.xml"
    path.write_text((HERE / "caller.xml").read_text().replace("HOLD", hold))
    return str(path)


def _callee(directory: Path) -> list[str]:
    path = directory / "callee.xml"
    path.write_text((HERE / "callee.xml").read_text().replace("RING", f'milliseconds="{RING_MS}"'))
    return ["-sf", str(path), f"{HOST}:{SYSTEM_PORT}"]


def _start(
    directory: Path, who: str, port: int, arguments: list[str], core: int | None
) -> "subprocess.Popen[bytes]":
    command = ["sipp", "-i", HOST, "-mi", HOST, "-p", str(port), "-t", "u1", "-nostdin"]
    command += ["-timer_resol", "1", "-buff_size", "2000000", "-l", str(_OPEN_CALLS)]
    command += ["-trace_stat", "-stf", str(directory / f"{who}.csv"), "-fd", "1", *arguments]
    with (directory / f"{who}.log").open("wb") as log:
        return subprocess.Popen(
            pinned(command, core),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _finish(process: "subprocess.Popen[bytes]", within_s: float) -> None:
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        stop(process)


def _await_bound(process: "subprocess.Popen[bytes]", port: int) -> None:
    while not bound(port):
        if process.poll() is not None:
            raise RuntimeError(f"SIPp could not take port {port}")
        time.sleep(0.02)


def _write_last_counts(process: "subprocess.Popen[bytes]") -> None:
    """Have a SIPp that waits for more calls finish what it has and write its counts."""
    if process.poll() is None:
        process.send_signal(signal.SIGUSR1)
        _finish(process, 3)


def _counts(path: Path) -> dict[str, int]:
    """The totals in the last line of SIPp's statistics.

    Raises:
        RuntimeError: it wrote none; what it printed is in the message.
    """
    if not path.exists():
        said = path.with_suffix(".log").read_text(errors="replace")[-2000:]
        raise RuntimeError(f"SIPp left no counts:\n{said}")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    last = rows[-1] if rows else {}
    return {
        name: int(value)
        for name, value in last.items()
        if name and value and name.endswith("(C)") and value.isdigit()
    }
