"""Every line of a shipped policy matters: without it, or with another action, a case fails."""

import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sbc.candidates import in_force
from sbc.simulation.cases import CasesFile, read_cases
from sbc.simulation.loading import load_border
from sbc.simulation.testing import NOON, failures_of, run_case

ROOT = Path(__file__).parents[2] / "policies"
SHIPPED = sorted(path for path in ROOT.glob("*.yaml") if (ROOT / "tests" / path.name).exists())
LISTS = ("sources", "rate_limits", "requirements", "rules", "geo", "identity", "fraud")


def mutants(policy: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A policy without one rule, one condition or one word, or with another action."""
    for section in LISTS:
        for number, rule in enumerate(policy.get(section, [])):
            where = f"{section} {rule['name']!r}"
            changed = copy.deepcopy(policy)
            del changed[section][number]
            yield f"without {where}", changed
            for key, value in rule.get("when", {}).items():
                changed = copy.deepcopy(policy)
                del changed[section][number]["when"][key]
                yield f"{where} without {key}", changed
                for at, word in enumerate(value if isinstance(value, list) else []):
                    changed = copy.deepcopy(policy)
                    del changed[section][number]["when"][key][at]
                    yield f"{where} {key} without {word!r}", changed
            if "then" in rule:
                changed = copy.deepcopy(policy)
                changed[section][number]["then"] = other_action(rule["then"])
                yield f"{where} then {other_action(rule['then'])}", changed


def other_action(then: str) -> str:
    return "drop" if then.split(maxsplit=1)[0] != "drop" else "reject 499"


def survives(name: str, policy: dict[str, Any], tmp_path: Path, cases: CasesFile) -> bool:
    """Whether all cases hold with a changed policy."""
    (tmp_path / name).write_text(yaml.safe_dump(policy, sort_keys=False))
    for other in ROOT.glob("*.yaml"):
        if other.name != name:
            (tmp_path / other.name).write_text(other.read_text())
    sections = {key: getattr(cases, key) for key in ("networks", "peers", "routes")}
    given = {key: value for key, value in sections.items() if value is not None}
    names = [Path(one).name for one in cases.policies]
    loaded = load_border(given, names, tmp_path, NOON, os.environ)
    if loaded.configuration is None:
        return False
    force = in_force(loaded.configuration, {})
    quick_first = sorted(cases.cases, key=lambda case: case.repeat)
    return not any(any(failures_of(case, run_case(case, force))) for case in quick_first)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_change_of_a_shipped_policy_makes_a_case_fail(path: Path, tmp_path: Path) -> None:
    cases, document = read_cases((ROOT / "tests" / path.name).read_text(), path.name)
    assert cases is not None, document.problems
    policy = yaml.safe_load(path.read_text())
    assert survives(path.name, policy, tmp_path, cases)
    alive = [
        what for what, changed in mutants(policy) if survives(path.name, changed, tmp_path, cases)
    ]
    assert alive == []
