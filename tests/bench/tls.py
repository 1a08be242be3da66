"""What TLS costs: calls over it beside calls over UDP, and new connections; Kamailio beside us.

    python -m tests.bench.tls                       all three
    python -m tests.bench.tls --only cost           CPU of a call, at one rate
    python -m tests.bench.tls --only search         highest clean rates
    python -m tests.bench.tls --only handshakes     new connections, and calls meanwhile

The last line is one JSON object with the figures. Definitions, traps and what was measured are in
README.md beside this file.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.calls import log_file, parser_of, say
from tests.bench.load import SYSTEM_PORT
from tests.bench.process import System, alone, pinned, prefer, running, stop
from tests.bench.tls_handshakes import VERSIONS
from tests.bench.tls_systems import KAMAILIO, KEYS, OURS, Systems, write_systems

PARTS = ("cost", "search", "handshakes")
WAYS = (("udp", "udp"), ("tls", "udp"), ("tls", "tls"))
"""How the caller comes and how the call goes on."""
_SECONDS = 4.0
_COST_RATE = 150.0
_FIRST_RATE = {OURS: 200.0, KAMAILIO: 1000.0}
_GROWTH = 1.4
_PRECISION = 0.1
_OFFERED = 0.9
_MEANWHILE_RATE = 50.0
_FLOOD_S = 4.0
_FLOOD_NICE = -10
"""Calls are waited for at once, also while handshakes fill the generators' core."""
_PATIENCE_S = 60.0

Figures = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """What is measured and where it runs."""

    systems: Systems
    system_core: int
    load_core: int
    rounds: int
    log: Path

    @contextmanager
    def running(self, system: str, callee: str, key: str = "P-256") -> Iterator[System]:
        """One of the systems, fresh."""
        command = self.systems.command(system, callee, key)
        with running(command, core=self.system_core, log=self.log, listens_on=SYSTEM_PORT) as found:
            yield found

    @contextmanager
    def loading(
        self, module: str, *arguments: str, nice: int = -20
    ) -> Iterator["subprocess.Popen[str]"]:
        """A load generator on its core, until the block ends."""
        command = pinned(
            [sys.executable, "-m", f"tests.bench.{module}", *arguments], self.load_core
        )
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as load:
            prefer(load.pid, nice)
            try:
                yield load
            finally:
                stop(load)

    def calling(
        self, caller: str, callee: str, *arguments: str
    ) -> AbstractContextManager["subprocess.Popen[str]"]:
        """A generator of calls."""
        files = self.systems.files["P-256"]
        ends = ["--caller", caller, "--callee", callee]
        ends += ["--certificate", str(files.certificate), "--key", str(files.key)]
        return self.loading("tls_calls", *ends, *arguments)


def figures_of(load: "subprocess.Popen[str]") -> Figures:
    """Let a generator go on when it is ready, and wait for its figures."""
    said, _ = load.communicate("\n", _PATIENCE_S)
    figures: Figures = json.loads(said)
    return figures


def await_ready(load: "subprocess.Popen[str]") -> None:
    """Wait until a generator of calls has its connections and has warmed the system.

    Raises:
        RuntimeError: it ended instead.
    """
    assert load.stdout is not None
    if load.stdout.readline() != "ready\n":
        raise RuntimeError("the load generator could not begin; what it said is above")


def step(setting: Setting, system: str, way: tuple[str, str], rate: float) -> Figures:
    """One load step on a fresh system."""
    arguments = ["--rate", str(rate), "--calls", str(int(rate * _SECONDS))]
    with (
        setting.running(system, way[1]) as running_system,
        setting.calling(*way, *arguments) as load,
    ):
        await_ready(load)
        used = running_system.usage().cpu_s
        figures = figures_of(load)
        used = running_system.usage().cpu_s - used
    good = max(1, figures["calls"] - figures["failed"])
    figures["cpu_s_per_1000_calls"] = round(used * 1000 / good, 3)
    say(f"{system} {'-'.join(way)} {rate:g}/s {figures}")
    return figures


def is_clean(figures: Figures, rate: float) -> bool:
    """No call failed or was late, nothing was sent twice, and the rate was really offered."""
    bad = figures["failed"] or figures["late"] or figures["again"]
    return not bad and figures["offered"] >= _OFFERED * rate


def cost(setting: Setting) -> Figures:
    """CPU-seconds for 1000 calls at one rate: one way after the other in each round."""
    cases = [(system, way) for system in (OURS, KAMAILIO) for way in WAYS]
    found: dict[str, list[float]] = {}
    disturbed = 0
    for _ in range(setting.rounds):
        for system, way in cases:
            figures = step(setting, system, way, _COST_RATE)
            disturbed += not is_clean(figures, _COST_RATE)
            label = f"{system} {'-'.join(way)}"
            found.setdefault(label, []).append(figures["cpu_s_per_1000_calls"])
    medians = {label: round(statistics.median(values), 3) for label, values in found.items()}
    return {"rate": _COST_RATE, "steps_not_clean": disturbed, "cpu_s_per_1000_calls": medians}


def search(setting: Setting) -> Figures:
    """The highest clean rate of each way, and what a call costs there."""
    return {
        f"{system} {'-'.join(way)}": _highest(setting, system, way)
        for system, ways in ((OURS, WAYS), (KAMAILIO, (WAYS[0], WAYS[2])))
        for way in ways
    }


def _highest(setting: Setting, system: str, way: tuple[str, str]) -> Figures:
    best: Figures = {"calls_per_s": 0.0}
    failing, rate = 0.0, _FIRST_RATE[system]
    while True:
        figures = step(setting, system, way, rate)
        if is_clean(figures, rate):
            best = {
                "calls_per_s": rate,
                "cpu_s_per_1000_calls": figures["cpu_s_per_1000_calls"],
                "load_cores": figures["load_cores"],
            }
        else:
            failing = rate
        reached = best["calls_per_s"]
        if failing and failing - reached <= max(_PRECISION * reached, 10.0):
            return best
        rate = float(round((reached + failing) / 2 if failing else rate * _GROWTH))


def handshakes(setting: Setting) -> Figures:
    """New connections with each kind of key and version, and calls over UDP meanwhile."""
    found: dict[str, list[Figures]] = {}
    for _ in range(setting.rounds):
        for system in (OURS, KAMAILIO):
            for key in KEYS:
                with setting.running(system, "udp", key) as running_system:
                    calm = _called(setting)
                    found.setdefault(f"{system} {key} none", []).append(calm)
                    for version in VERSIONS:
                        figures = _flooded(setting, running_system, version)
                        say(f"{system} {key} TLS {version} {figures}; without {calm}")
                        found.setdefault(f"{system} {key} TLS {version}", []).append(figures)
    return {
        label: {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
        for label, rounds in found.items()
    }


def _flooded(setting: Setting, system: System, version: str) -> Figures:
    """As many handshakes of a version as there can be: alone, then with calls beside."""
    arguments = ("tls_handshakes", "--version", version, "--seconds")
    used = system.usage().cpu_s
    with setting.loading(*arguments, str(_FLOOD_S), nice=_FLOOD_NICE) as load:
        figures = figures_of(load)
    used = system.usage().cpu_s - used
    with setting.loading(*arguments, str(_FLOOD_S + 4), nice=_FLOOD_NICE) as load:
        meanwhile = _called(setting)
        stop(load)
    if figures["failed"]:
        say(f"handshakes failed: {figures['why']}")
    return {
        "per_s": figures["per_s"],
        "cpu_ms_each": round(used * 1000 / max(1, figures["done"]), 3),
        "handshakes_failed": figures["failed"],
        "load_cores": figures["load_cores"],
        **meanwhile,
    }


def _called(setting: Setting) -> Figures:
    """How long the set-up of calls over UDP takes, at an easy rate."""
    calls = int(_MEANWHILE_RATE * _FLOOD_S)
    arguments = ("--rate", str(_MEANWHILE_RATE), "--calls", str(calls), "--ring-ms", "0")
    with setting.calling("udp", "udp", *arguments, "--hold-ms", "300") as load:
        await_ready(load)
        figures = figures_of(load)
    return {
        "calls_failed": figures["failed"],
        "setup_p50_ms": figures["setup"]["p50"],
        "setup_p99_ms": figures["setup"]["p99"],
        "setup_worst_ms": figures["setup"]["worst"],
    }


def main() -> None:
    """Run the parts asked for and print their figures."""
    parser = parser_of(__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="some parts")
    parser.add_argument("--rounds", type=int, default=3, help="figures are medians of so many")
    chosen = parser.parse_args()
    measures = {"cost": cost, "search": search, "handshakes": handshakes}
    with alone(), tempfile.TemporaryDirectory(prefix="bench-") as name:
        log = log_file(chosen.log)
        say(f"the system logs to {log}")
        setting = Setting(
            write_systems(Path(name)), chosen.system_core, chosen.load_core, chosen.rounds, log
        )
        figures = {part: measures[part](setting) for part in chosen.only or PARTS}
    print(json.dumps({"bench": "tls", **figures}))


if __name__ == "__main__":
    main()
