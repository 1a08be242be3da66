"""What policy costs of a whole call: one policy, and one that allows everything, in turn.

    python -m tests.bench.policy_cost
    python -m tests.bench.policy_cost --rounds 9 --rate 150
    python -m tests.bench.policy_cost --policy policies/tls-only.yaml

Each round measures both, one after the other on a fresh system each, so that what else the machine
does hits both alike. The last line is one JSON object: CPU-s per 1000 calls as medians, and `times`
the one is of the other, the median of the rounds. Definitions and figures are in README.md beside
this file.
"""

import json
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.bench.calls import Setting, log_file, one_step, parser_of, say, system_command
from tests.bench.dead import CONFIGURATION
from tests.bench.process import alone

EDGE_DEFAULT = CONFIGURATION.parents[2] / "policies/edge-default.yaml"
OPEN = "version: 1\nrules:\n  - {name: everything, then: allow}\n"
"""The policy that is none: no limits, no bans, and nobody is refused."""

_NAMED = "../../policies/edge-default.yaml"


def configuration_with(policy: Path, directory: Path) -> Path:
    """The bench's configuration with another policy, as a file of a directory."""
    text = CONFIGURATION.read_text()
    assert _NAMED in text, "the bench's configuration names its policy"
    file = directory / f"sbc-{policy.name}"
    file.write_text(text.replace(_NAMED, str(policy)))
    return file


def cost(setting: Setting, configuration: Path, rate: float, seconds: float) -> float:
    """CPU-s per 1000 calls with a configuration.

    Raises:
        RuntimeError: a call failed, so the figure would be that of something else.
    """
    system = replace(setting, command=system_command(configuration))
    step = one_step(system, rate, seconds)
    say(f"{configuration.name}: {step}")
    if step.failed:
        raise RuntimeError(f"{step.failed} of {step.calls} calls failed with {configuration}")
    return step.cpu_s_per_1000_calls


def main() -> None:
    """Measure and print."""
    parser = parser_of(__doc__)
    parser.add_argument("--policy", type=Path, default=EDGE_DEFAULT)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rate", type=float, default=100.0, help="calls per second")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each measure")
    chosen = parser.parse_args()
    setting = Setting((), chosen.system_core, chosen.load_core, log_file(chosen.log))
    rounds: list[tuple[float, float]] = []
    with alone(), tempfile.TemporaryDirectory(prefix="bench-") as name:
        say(f"the system logs to {setting.log}")
        directory = Path(name)
        nothing = directory / "open.yaml"
        nothing.write_text(OPEN)
        with_policy = configuration_with(chosen.policy.resolve(), directory)
        without = configuration_with(nothing, directory)
        for number in range(chosen.rounds):
            order = (with_policy, without) if number % 2 else (without, with_policy)
            costs = {one: cost(setting, one, chosen.rate, chosen.seconds) for one in order}
            rounds.append((costs[with_policy], costs[without]))
    low, times, high = statistics.quantiles((a / b for a, b in rounds), n=4)
    figures = {
        "bench": "policy_cost",
        "policy": chosen.policy.stem,
        "cpu_s_per_1000_calls": round(statistics.median(a for a, _ in rounds), 3),
        "cpu_s_per_1000_calls_without": round(statistics.median(b for _, b in rounds), 3),
        "times": round(times, 3),
        "times_quartiles": [round(low, 3), round(high, 3)],
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
