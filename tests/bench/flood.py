"""Good calls while strangers flood: how many are answered, how fast, and what it costs us.

    python -m tests.bench.flood                              no flood, 1, 100 and a million sources
    python -m tests.bench.flood --sources 1 --repeats 3
    python -m tests.bench.flood --sources 1000000 --seconds 60 --repeats 1
    python -m tests.bench.flood --kamailio                   a proxy with pike, in the same way
    unshare --net sh -c "ip link set lo up; python -m tests.bench.flood --nftables"

A carrier begins 50 calls/s while junk INVITEs come at 20 000/s from 1, 100 or a million addresses.
The numbers of sources take turns, a fresh system each. The last line is one JSON object.
Definitions and figures are in README.md beside this file.
"""

import contextlib
import json
import shlex
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench.calls import log_file, parser_of, say, system_command
from tests.bench.dead import CONFIGURATION
from tests.bench.load import SYSTEM_PORT, offer
from tests.bench.process import System, alone, pinned, prefer, running, stop

PIKE = Path(__file__).parent / "pike.cfg"
SOURCES = (0, 1, 100, 1_000_000)
CALLS_PER_S = 50
FLOOD_PER_S = 20_000
_WARM_CALLS = 20
_LEAD_S = 2.0
_SAMPLES = 6
"""How often in a run memory is looked at."""

_FIREWALL = 'firewall: {nftables: "off"}'
_KERNEL = "firewall: {nftables: required, packets_per_source: 500}"
_POLICIES = "../../policies"


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
        told, memory_kb = _watched(pinned(probe, core), system, seconds)
        after = system.usage()
        figures = json.loads(told)
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
        "grown_kb": [one - before.memory_kb for one in (*memory_kb, after.memory_kb)],
        "flood_per_s": flooded["sent_per_s"],
    }


def _watched(probe: list[str], system: System, seconds: float) -> tuple[str, list[int]]:
    """What a probe prints, and the system's memory in even steps meanwhile."""
    memory_kb: list[int] = []
    with subprocess.Popen(probe, stdout=subprocess.PIPE, text=True) as running_probe:
        try:
            for _ in range(_SAMPLES - 1):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    running_probe.wait(seconds / _SAMPLES)
                memory_kb.append(system.usage().memory_kb)
            told = running_probe.communicate(timeout=seconds + 30)[0]
        finally:
            stop(running_probe)
    if running_probe.returncode:
        raise RuntimeError(f"the probe ended with {running_probe.returncode}")
    return told, memory_kb


def medians(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of each figure; of answered calls the worst, and of memory each moment's."""
    figures = {
        name: statistics.median(run[name] for run in runs) for name in runs[0] if name != "grown_kb"
    }
    grown = [run["grown_kb"] for run in runs]
    grown_kb = [statistics.median(step) for step in zip(*grown, strict=True)]
    return figures | {"answered": min(run["answered"] for run in runs), "grown_kb": grown_kb}


def added(runs: list[dict[str, Any]], without: list[dict[str, Any]]) -> float:
    """The cores that a flood costs: the median over rounds of the difference in each."""
    pairs = zip(runs, without, strict=True)
    return round(statistics.median(one["cores"] - other["cores"] for one, other in pairs), 3)


@contextlib.contextmanager
def with_kernel_table() -> Iterator[Path]:
    """The bench's configuration with our table of nftables, for a network namespace of its own.

    Raises:
        SystemExit: there is more than loopback, so this is a packet filter that others need.
    """
    if [name for _, name in socket.if_nameindex()] != ["lo"]:
        sys.exit("with --nftables run this in a network namespace of its own: see --help")
    text = CONFIGURATION.read_text()
    assert _FIREWALL in text, "the bench's configuration keeps out of the packet filter"
    text = text.replace(_FIREWALL, _KERNEL)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        file = Path(name) / "bench.yaml"
        file.write_text(text.replace(_POLICIES, str(CONFIGURATION.parents[2] / "policies")))
        yield file


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
    parser.add_argument("--nftables", action="store_true", help="with our table in the kernel")
    chosen = parser.parse_args()
    log = log_file(chosen.log)
    sources = chosen.sources or SOURCES
    runs: dict[int, list[dict[str, Any]]] = {count: [] for count in sources}
    with contextlib.ExitStack() as stack:
        stack.enter_context(alone())
        file = stack.enter_context(with_kernel_table()) if chosen.nftables else CONFIGURATION
        command = tuple(shlex.split(chosen.system)) if chosen.system else system_command(file)
        if chosen.kamailio:
            command = kamailio_command(log.parent)
        say(f"the system logs to {log}")
        for count in [count for _ in range(chosen.repeats) for count in sources]:
            with running(
                command, core=chosen.system_core, log=log, listens_on=SYSTEM_PORT
            ) as system:
                core = chosen.load_core
                offer(system, rate=20.0, calls=_WARM_CALLS, core=core, hold_ms=0)
                runs[count].append(under_flood(system, count, chosen.seconds, core))
                say(f"{count} sources: {runs[count][-1]}")
    figures: dict[str, Any] = {"bench": "flood", "system": Path(command[0]).name}
    figures["nftables"] = chosen.nftables
    for count, measured in runs.items():
        figures[f"sources_{count}"] = medians(measured)
        if count and 0 in runs:
            figures[f"sources_{count}"]["added_cores"] = added(measured, runs[0])
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
