"""How many calls a second on one core, what each costs, how long set-up takes, what one holds.

    python -m tests.bench.calls                     all four
    python -m tests.bench.calls --only latency      one of search, latency, memory
    python -m tests.bench.calls --system COMMAND    another system on the same ports
    python -m tests.bench.calls --dead dns          with a name server that answers nothing

The last line is one JSON object with the figures. Definitions, reference figures and traps are
in README.md beside this file.
"""

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench.dead import CONFIGURATION, DEAD, configuration
from tests.bench.load import SYSTEM_PORT, Step, offer
from tests.bench.process import alone, pinned, running

PARTS = ("search", "latency", "memory")
_WARM_CALLS = 20
_WARM_RATE = 20.0
_GROWTH = 1.6
_PRECISION = 0.06
_LOWEST_RATE = 5
_LATENCY_RATE = 50.0
_LATENCY_CALLS = 400
_LATENCY_REPEATS = 3
_HELD_CALLS = 1000
_HELD_RATE = 200.0
_HELD_WARM_CALLS = 100


@dataclass(frozen=True, slots=True)
class Setting:
    """What is measured and where it runs."""

    command: tuple[str, ...]
    system_core: int | None
    load_core: int | None
    log: Path


def system_command(configuration: Path = CONFIGURATION) -> tuple[str, ...]:
    """The command line of our own system under bench.yaml, or another configuration."""
    return (sys.executable, "-m", "sbc", "run", str(configuration))


def search(setting: Setting, first_rate: float, seconds: float) -> dict[str, object]:
    """Find the highest clean rate; every step has a fresh system."""
    best: Step | None = None
    failing: float | None = None
    rate = first_rate
    while rate >= _LOWEST_RATE:
        step = one_step(setting, rate, seconds)
        say(f"{'clean ' if step.clean else 'failed'} {asdict(step)}")
        if step.clean:
            best = step
        else:
            failing = rate
        reached = best.rate if best else 0.0
        if failing is None:
            rate = float(int(rate * _GROWTH))
        elif failing - reached <= max(_PRECISION * reached, 2):
            break
        else:
            rate = float(int((reached + failing) / 2))
    if best is None:
        return {"calls_per_s": 0}
    return {
        "calls_per_s": best.rate,
        "cpu_s_per_1000_calls": best.cpu_s_per_1000_calls,
        "cores_at_that_rate": best.cores,
    }


def one_step(setting: Setting, rate: float, seconds: float) -> Step:
    """One load step on a system started for it."""
    with running(
        setting.command, core=setting.system_core, log=setting.log, listens_on=SYSTEM_PORT
    ) as system:
        offer(system, rate=_WARM_RATE, calls=_WARM_CALLS, core=setting.load_core, hold_ms=0)
        return offer(system, rate=rate, calls=int(rate * seconds), core=setting.load_core)


def latency(setting: Setting, repeats: int = _LATENCY_REPEATS) -> dict[str, Any]:
    """Probe one warm system a few times; each figure is the median of the probes."""
    command = [sys.executable, "-m", "tests.bench.latency"]
    command += ["--rate", str(_LATENCY_RATE), "--calls", str(_LATENCY_CALLS)]
    probes = []
    with running(
        setting.command, core=setting.system_core, log=setting.log, listens_on=SYSTEM_PORT
    ) as system:
        offer(system, rate=_WARM_RATE, calls=_WARM_CALLS, core=setting.load_core, hold_ms=0)
        for _ in range(repeats):
            done = subprocess.run(
                pinned(command, setting.load_core),
                capture_output=True,
                text=True,
                check=True,
                timeout=_LATENCY_CALLS / _LATENCY_RATE + 30,
            )
            say(f"probe  {done.stdout.strip()}")
            probes.append(json.loads(done.stdout))
    figures: dict[str, Any] = {
        "setup_failed": max(probe["failed"] for probe in probes),
        "setup_sent_again": max(probe["sent_again"] for probe in probes),
    }
    for name in ("100", "180", "200", "bye", "transit"):
        label = {"200": "setup", "bye": "bye", "transit": "transit"}.get(name, f"to_{name}")
        for quantile in ("p50", "p95", "p99"):
            values = [probe[name][quantile] for probe in probes if probe[name]]
            if values:
                figures[f"{label}_{quantile}_ms"] = round(statistics.median(values), 2)
    return figures


def memory(setting: Setting) -> dict[str, object]:
    """Memory per call while a thousand are held together."""
    held: list[int] = []
    with running(
        setting.command, core=setting.system_core, log=setting.log, listens_on=SYSTEM_PORT
    ) as system:
        offer(system, rate=_LATENCY_RATE, calls=_HELD_WARM_CALLS, core=setting.load_core, hold_ms=0)
        time.sleep(1)
        before_kb = system.usage().memory_kb
        step = offer(
            system,
            rate=_HELD_RATE,
            calls=_HELD_CALLS,
            core=setting.load_core,
            hold_ms=int(_HELD_CALLS / _HELD_RATE * 1000) + 4000,
            when_all_are_up=lambda: held.append(system.usage().memory_kb),
        )
    return {
        "kb_per_held_call": round((held[0] - before_kb) / _HELD_CALLS, 2),
        "kb_before": before_kb,
        "held_calls": _HELD_CALLS,
        "held_failed": step.failed,
    }


def say(line: str) -> None:
    """Tell the person who waits; the figures alone go to standard output."""
    print(line, file=sys.stderr, flush=True)


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """The arguments that every bench of this directory takes."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--system-core", type=int, default=0, help="core of the system under test")
    parser.add_argument("--load-core", type=int, default=1, help="core of SIPp and the probe")
    parser.add_argument("--log", type=Path, help="file for what the system prints")
    return parser


def log_file(chosen: Path | None) -> Path:
    """Where the output of the system goes."""
    return chosen or Path(tempfile.mkdtemp(prefix="bench-")) / "system.log"


def main() -> None:
    """Run the parts asked for and print their figures."""
    parser = parser_of(__doc__)
    parser.add_argument("--only", choices=PARTS, help="one part instead of all")
    parser.add_argument("--system", help="command line of the system under test")
    parser.add_argument("--rate", type=float, default=300.0, help="first rate of the search")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a search step")
    parser.add_argument(
        "--dead",
        action="append",
        choices=DEAD,
        default=[],
        help="what our system misses",
    )
    chosen = parser.parse_args()
    with alone(), configuration(chosen.dead) as file:
        setting = Setting(
            tuple(shlex.split(chosen.system)) if chosen.system else system_command(file),
            chosen.system_core,
            chosen.load_core,
            log_file(chosen.log),
        )
        say(f"the system logs to {setting.log}")
        figures: dict[str, object] = {"bench": "calls", "dead": chosen.dead}
        measures = {
            "search": lambda: search(setting, chosen.rate, chosen.seconds),
            "latency": lambda: latency(setting),
            "memory": lambda: memory(setting),
        }
        for part in PARTS if chosen.only is None else (chosen.only,):
            figures |= measures[part]()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
