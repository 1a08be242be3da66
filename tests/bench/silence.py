"""What silence around the system costs calls: a dead name server and a dead target, or neither.

    python -m tests.bench.silence                  both beside none, in turn
    python -m tests.bench.silence --dead dns       one of them

The last line is one JSON object: set-up times at 50 calls/s, medians of the rounds, and the same
with silence for one without. `dead.py` says what is dead, README.md beside it what set-up is.
"""

import json
import statistics
from typing import Any

from tests.bench.calls import Setting, latency, log_file, parser_of, say, system_command
from tests.bench.dead import DEAD, configuration
from tests.bench.process import alone

_TIMES = ("setup_p50_ms", "setup_p95_ms", "setup_p99_ms")


def main() -> None:
    """Probe a fresh system with and without, one after the other in each round."""
    parser = parser_of(__doc__)
    parser.add_argument("--dead", action="append", choices=DEAD, help="without it all of them")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    dead = chosen.dead or list(DEAD)
    found: dict[str, list[dict[str, Any]]] = {"dead": [], "none": []}
    with alone():
        log = log_file(chosen.log)
        say(f"the system logs to {log}")
        for _ in range(chosen.rounds):
            for label, missing in (("dead", dead), ("none", [])):
                with configuration(missing) as file:
                    command = system_command(file)
                    setting = Setting(command, chosen.system_core, chosen.load_core, log)
                    found[label].append(latency(setting, repeats=1))
                    say(f"{label} {found[label][-1]}")
    figures: dict[str, Any] = {"bench": "silence", "dead": dead}
    for label, probes in found.items():
        figures[f"{label}_failed"] = sum(probe["setup_failed"] for probe in probes)
        for name in _TIMES:
            figures[f"{label}_{name}"] = statistics.median(probe[name] for probe in probes)
    for name in _TIMES:
        ratio = figures[f"dead_{name}"] / figures[f"none_{name}"]
        figures[f"times_{name.removesuffix('_ms')}"] = round(ratio, 2)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
