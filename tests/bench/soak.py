"""Ten minutes at half of the maximum: does anything stay behind?

    python -m tests.bench.soak --rate 250
    python -m tests.bench.soak --rate 250 --minutes 1

It asks the SBC itself over its control socket, reads /proc, and counts call records. It exits
with 1 when anything is left over; the last line is one JSON object with the figures, in which
`wrong` names what was found. Definitions are in README.md beside this file.
"""

import json
import shutil
import socket
import sqlite3
import sys
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.bench.calls import CONFIGURATION, log_file, parser_of, say, system_command
from tests.bench.load import SYSTEM_PORT, Step, offer
from tests.bench.process import System, Usage, alone, running

STATE = CONFIGURATION.parent / "run"
_SAMPLE_S = 10.0
_WARM_S = 60.0
"""Longer than a transaction lives (64 * T1), so that their number has levelled off."""
_QUIET_S = 90.0
"""Longer than any transaction lives (64 * T1), a late call record waits or a port rests."""
_MEMORY_TOLERANCE = 0.10
_MEMORY_TOLERANCE_KB = 4096


@dataclass(frozen=True, slots=True)
class Held:
    """What the SBC holds when nobody calls: all of it must come back to this."""

    usage: Usage
    counts: dict[str, int]
    """By name, as its status tells them."""


def ask_status() -> dict[str, object]:
    """The SBC's own status, over its control socket."""
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(30)
        control.connect(str(STATE / "control.sock"))
        control.sendall(b'{"command":"status"}\n')
        answer = b""
        while not answer.endswith(b"\n"):
            more = control.recv(65536)
            if not more:
                raise RuntimeError("the SBC hung up before its answer")
            answer += more
    told = json.loads(answer)
    if not told["ok"]:
        raise RuntimeError(f"the SBC refused to tell its status: {told['error']}")
    status: dict[str, object] = told["result"]
    return status


def held(system: System) -> Held:
    """What is held now."""
    status = ask_status()
    counts = {name: _number(status, path) for name, path in _COUNTS.items()}
    return Held(system.usage(), counts)


_COUNTS: dict[str, tuple[str, ...]] = {
    "calls": ("calls",),
    "dialogs": ("dialogs",),
    "client_transactions": ("transactions", "clients"),
    "server_transactions": ("transactions", "servers"),
    "owned_transactions": ("owned_transactions",),
    "streams": ("media", "streams"),
    "ports": ("media", "ports_in_use"),
    "tasks": ("tasks",),
    "records_waiting": ("records", "waiting"),
}


def _number(status: dict[str, object], path: tuple[str, ...]) -> int:
    value: object = status
    for name in path:
        if not isinstance(value, dict):
            raise TypeError(f"the status has no {'.'.join(path)}")
        value = value[name]
    # Some are told by network.
    told = list(value.values()) if isinstance(value, dict) else [value]
    numbers = [number for number in told if isinstance(number, int)]
    if len(numbers) != len(told):
        raise TypeError(f"{'.'.join(path)} of the status is not a number: {value!r}")
    return sum(numbers)


def call_records() -> int:
    """How many ended calls have their record on disk."""
    with closing(sqlite3.connect(f"file:{STATE}/cdr.sqlite?mode=ro", uri=True)) as store:
        row = store.execute("SELECT count(*) FROM cdr WHERE ended_at IS NOT NULL").fetchone()
    return int(row[0])


class Sampler(threading.Thread):
    """Notes what the process uses, every ten seconds, while the load runs."""

    def __init__(self, system: System) -> None:
        super().__init__(daemon=True)
        self._system = system
        self._over = threading.Event()
        self.usages: list[Usage] = []

    def run(self) -> None:
        """Sample until `finish`."""
        while not self._over.wait(_SAMPLE_S):
            usage = self._system.usage()
            self.usages.append(usage)
            passed_s = len(self.usages) * _SAMPLE_S
            say(f"{passed_s:5.0f} s {usage.memory_kb} kB, {usage.descriptors} descriptors")

    def finish(self) -> None:
        """End the samples."""
        self._over.set()
        self.join()


def settle(system: System, before: Held | None) -> Held:
    """Wait until nothing is held any more (or, the first time, nothing changes)."""
    deadline = time.monotonic() + _QUIET_S
    while True:
        now = held(system)
        quiet = not any(now.counts[name] for name in now.counts if name != "tasks")
        same = before is None or now.usage.descriptors <= before.usage.descriptors
        if (quiet and same) or time.monotonic() > deadline:
            return now
        time.sleep(1)


def judge(before: Held, after: Held, step: Step, records: int, calls: int) -> list[str]:
    """What is wrong, in words; nothing when all came back."""
    grown = after.usage.memory_kb - before.usage.memory_kb
    allowed = max(_MEMORY_TOLERANCE_KB, int(before.usage.memory_kb * _MEMORY_TOLERANCE))
    checks = (
        (step.failed == 0, f"{step.failed} calls failed"),
        (step.retransmissions == 0, f"{step.retransmissions} messages were sent twice"),
        (records == calls, f"{records} call records of {calls} calls"),
        (grown <= allowed, f"memory grew by {grown} kB, {allowed} are tolerated"),
        _not_more("descriptors", before.usage.descriptors, after.usage.descriptors),
        _not_more("threads", before.usage.threads, after.usage.threads),
        *(_not_more(name, count, after.counts[name]) for name, count in before.counts.items()),
    )
    return [wrong for fine, wrong in checks if not fine]


def _not_more(what: str, before: int, after: int) -> tuple[bool, str]:
    return after <= before, f"{what}: {before} before, {after} after"


def soak(rate: float, minutes: float, cores: tuple[int, int], log: Path) -> dict[str, object]:
    """Run the whole soak and return its figures."""
    shutil.rmtree(STATE, ignore_errors=True)
    calls = int(rate * minutes * 60)
    warm_calls = int(rate * _WARM_S)
    with running(system_command(), core=cores[0], log=log, listens_on=SYSTEM_PORT) as system:
        say(f"warming up with {warm_calls} calls")
        warm = offer(system, rate=rate, calls=warm_calls, core=cores[1])
        before = settle(system, None)
        say(f"before: {before}")
        sampler = Sampler(system)
        sampler.start()
        step = offer(system, rate=rate, calls=calls, core=cores[1])
        sampler.finish()
        after = settle(system, before)
        say(f"after: {after}")
        records = call_records()
    wrong = judge(before, after, step, records, calls + warm_calls)
    if not warm.clean:
        wrong.append(f"the warm-up was not clean: {warm}")
    return {
        "bench": "soak",
        "calls_per_s": rate,
        "seconds": round(minutes * 60),
        "calls": calls + warm_calls,
        "failed": step.failed,
        "retransmissions": step.retransmissions,
        "call_records": records,
        "cpu_s_per_1000_calls": step.cpu_s_per_1000_calls,
        "memory_kb_before": before.usage.memory_kb,
        "memory_kb_peak": max((usage.memory_kb for usage in sampler.usages), default=0),
        "memory_kb_after": after.usage.memory_kb,
        "held_before_and_after": {
            "descriptors": [before.usage.descriptors, after.usage.descriptors],
            "threads": [before.usage.threads, after.usage.threads],
            **{name: [count, after.counts[name]] for name, count in before.counts.items()},
        },
        "wrong": wrong,
    }


def main() -> int:
    """Soak and say whether all came back."""
    parser = parser_of(__doc__)
    parser.add_argument("--rate", type=float, required=True, help="calls per second")
    parser.add_argument("--minutes", type=float, default=10.0)
    chosen = parser.parse_args()
    log = log_file(chosen.log)
    say(f"the system logs to {log}")
    with alone():
        figures = soak(chosen.rate, chosen.minutes, (chosen.system_core, chosen.load_core), log)
    print(json.dumps(figures))
    return 1 if figures["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
