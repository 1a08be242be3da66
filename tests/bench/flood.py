"""Good calls while strangers flood: how many are answered, how fast, and what it costs us.

    python -m tests.bench.flood                              no flood, 1, 100 and a million sources
    python -m tests.bench.flood --sources 1 --repeats 3
    python -m tests.bench.flood --kamailio                   a proxy with pike, in the same way

A carrier begins 50 calls/s while junk INVITEs come at 20 000/s from 1, 100 or a million addresses.
The last line is one JSON object. Definitions and figures are in README.md beside this file.
"""

import json
import shlex
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bench.calls import log_file, parser_of, say, system_command
from tests.bench.load import SYSTEM_PORT, offer
from tests.bench.process import System, alone, pinned, prefer, running, stop

PIKE = Path(__file__).parent / "pike.cfg"
SOURCES = (0, 1, 100, 1_000_000)
CALLS_PER_S = 50
FLOOD_PER_S = 20_000
_WARM_CALLS = 20
_LEAD_S = 2.0


def under_flood(system: System, sources: int, seconds: float, core: int | None) -> dict[str, Any]:
    """Call through one system for some seconds while so many sources flood it."""
    flood = None
    if sources:
        sender = [sys.executable, "-m", "tests.bench.flood_sender", "--rate", str(FLOOD_PER_S)]
        sender += ["--seconds", str(seconds + 2 * _LEAD_S), "--sources", str(sources)]
        flood = subprocess.Popen(
            pinned(sender, core), stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        prefer(flood.pid, -5)
    try:
        before = system.usage()
        probe = [sys.executable, "-m", "tests.bench.latency", "--rate", str(CALLS_PER_S)]
        probe += ["--calls", str(int(seconds * CALLS_PER_S))]
        done = subprocess.run(
            pinned(probe, core), capture_output=True, text=True, check=True, timeout=seconds + 30
        )
        after = system.usage()
        figures = json.loads(done.stdout)
        flooded = json.loads(flood.communicate(timeout=30)[0]) if flood else {"sent_per_s": 0}
    finally:
        if flood is not None:
            stop(flood)
    calls = int(seconds * CALLS_PER_S)
    return {
        "answered": round(1 - figures["failed"] / calls, 5),
        "sent_again": figures["sent_again"],
        "setup_p50_ms": figures["200"]["p50"],
        "setup_p95_ms": figures["200"]["p95"],
        "cores": round((after.cpu_s - before.cpu_s) / seconds, 3),
        "grown_kb": after.memory_kb - before.memory_kb,
        "flood_per_s": flooded["sent_per_s"],
    }


def medians(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of each figure; of answered calls the worst."""
    figures = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    return figures | {"answered": min(run["answered"] for run in runs)}


def kamailio_command(directory: Path) -> tuple[str, ...]:
    """The proxy to compare with, which is told who the carrier is."""
    program = shutil.which("kamailio") or "/usr/sbin/kamailio"
    return (
        *(program, "-DD", "-E", "-f", str(PIKE), "-m", "256", "-M", "16"),
        *("-Y", str(directory), "-w", str(directory), "-P", str(directory / "kamailio.pid")),
    )


def main() -> None:
    """Run what is asked for and print the figures."""
    parser = parser_of(__doc__)
    parser.add_argument("--sources", type=int, action="append", help="how many flood")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of one run")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--system", help="command line of another system")
    parser.add_argument("--kamailio", action="store_true", help="measure Kamailio with pike")
    chosen = parser.parse_args()
    log = log_file(chosen.log)
    command = tuple(shlex.split(chosen.system)) if chosen.system else system_command()
    if chosen.kamailio:
        command = kamailio_command(log.parent)
    figures: dict[str, Any] = {"bench": "flood", "system": Path(command[0]).name}
    with alone():
        say(f"the system logs to {log}")
        for sources in chosen.sources or SOURCES:
            runs = []
            for _ in range(chosen.repeats):
                with running(
                    command, core=chosen.system_core, log=log, listens_on=SYSTEM_PORT
                ) as system:
                    core = chosen.load_core
                    offer(system, rate=20.0, calls=_WARM_CALLS, core=core, hold_ms=0)
                    runs.append(under_flood(system, sources, chosen.seconds, core))
                    say(f"{sources} sources: {runs[-1]}")
            figures[f"sources_{sources}"] = medians(runs)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
