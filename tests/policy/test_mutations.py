"""Every line of a shipped policy matters: wrong in one place, it makes one of its cases fail."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sbc.candidates import in_force
from sbc.policy.facts import Facts
from sbc.policy.model import PolicySet
from sbc.policy.tariffs import CutOff
from sbc.simulation.cases import SECTIONS, Case, CasesFile, read_cases
from sbc.simulation.loading import load_border
from sbc.simulation.testing import NOON, failures_of, run_case
from tests.kit.policy_mutants import Mutant, mutants

ROOT = Path(__file__).parents[2] / "policies"
SHIPPED = sorted(path.name for path in ROOT.glob("*.yaml"))

EXCUSED = {
    ("edge-default.yaml", "bans left out"): "says what holds anyhow, where it can be changed",
    ("toll-fraud.yaml", "fraud 'anybody spent too much in an hour' before its neighbour"): (
        "of a phone with both too much in its own hour is said before"
    ),
    ("toll-fraud.yaml", "fraud 'too many calls at once' before its neighbour"): (
        "of a phone with both its own short calls are said before"
    ),
    ("toll-fraud.yaml", "fraud 'anybody spends much' before its neighbour"): (
        "a phone that spends as much is refused before"
    ),
    ("geo-blocking.yaml", "geo 'premium and satellite numbers' before its neighbour"): (
        "the wanted number that is shipped, an example, is no premium number"
    ),
    ("tls-only.yaml", "requirements 'no media in the clear' before its neighbour"): (
        "where nothing is offered, nothing is offered in the clear"
    ),
}
"""What no decision can show, by file and change, and why it is there all the same."""


SOURCES = {
    "a trunk": Facts("outside", False, "192.0.2.10", peer="trunk"),
    "a PBX": Facts("inside", True, "192.168.1.5", peer="pbx"),
    "a trunk with a registration": Facts("outside", False, "192.0.2.10", peer="t", registered=True),
    "a phone": Facts("outside", False, "198.51.100.7", registered=True),
    "a phone inside": Facts("inside", True, "192.168.1.7", registered=True),
    "a stranger": Facts("outside", False, "198.51.100.7"),
    "a stranger inside": Facts("inside", True, "192.168.1.7"),
}
"""Whoever sends something, as it is known before that is read."""

PEERS, PHONES = ("peers", 10_000, 20_000), ("registered phones", 100, 300)
STRANGERS, TRUNKS = ("strangers", 40, 100), ("trunks", 500, 1000)
PORT, ALL = ("one port of a stranger", 2, 20), ("all strangers", 200, 600)
USUAL: dict[str, dict[str, tuple[str, float, float]]] = {
    "a trunk": {"source": PEERS, "network": ALL},
    "a PBX": {"source": PEERS},
    "a trunk with a registration": {"source": PEERS, "network": ALL},
    "a phone": {"source": PHONES, "network": ALL},
    "a phone inside": {},
    "a stranger": {"source": STRANGERS, "flow": PORT, "network": ALL},
    "a stranger inside": {},
}
BUDGETS = {
    "edge-default.yaml": USUAL,
    "trunk-hardening.yaml": {
        name: {**USUAL[name], **({"source": TRUNKS} if "trunk" in name else {})} for name in USUAL
    },
}
"""The limit of each level that holds for each of them: to send that much would take too long."""

CUT_OFFS = {"toll-fraud.yaml": CutOff(150.0, 500.0)}
"""What may be spent before live calls end; `tests/driver/test_spending.py` ends them."""


def budgets(policy: PolicySet) -> dict[str, dict[str, tuple[str, float, float]]]:
    """For every source the first limit of each level that fits it."""
    found: dict[str, dict[str, tuple[str, float, float]]] = {name: {} for name in SOURCES}
    for name, facts in SOURCES.items():
        for limit in policy.rate_limits:
            if limit.when.hold(facts):
                told = (limit.name, limit.rate, limit.burst)
                found[name].setdefault(limit.per, told)
    return found


class Tables:
    """The cases of a policy, asked of it as it is and of what became of it."""

    def __init__(self, name: str, tmp_path: Path) -> None:
        cases, document = read_cases((ROOT / "tests" / name).read_text(), name)
        assert cases is not None, document.problems
        shutil.copytree(ROOT, tmp_path / "policies")
        self._cases: CasesFile = cases
        self._file = tmp_path / "policies" / name
        given = {key: getattr(cases, key) for key in SECTIONS}
        self._sections = {key: value for key, value in given.items() if value is not None}

    def holds(self, text: str, rule: str = "") -> bool:
        """Whether the policy can be read with that text, and all its cases hold."""
        self._file.write_text(text)
        base = self._file.parent / "tests"
        loaded = load_border(self._sections, self._cases.policies, base, NOON, {})
        if loaded.configuration is None:
            return False
        force = in_force(loaded.configuration, {})
        if budgets(force.policy) != BUDGETS.get(self._file.name, USUAL):
            return False
        if force.policy.tariffs.cut_off != CUT_OFFS.get(self._file.name):
            return False
        return not any(
            any(failures_of(case, run_case(case, force))) for case in self._nearest(rule)
        )

    def _nearest(self, rule: str) -> Iterator[Case]:
        """The cases, those first that are quick and likely to tell."""

        def distance(case: Case) -> tuple[int, bool]:
            told = (case.expect.rule, *case.expect.says)
            return case.repeat, not rule or not any(rule in (one or "") for one in told)

        yield from sorted(self._cases.cases, key=distance)


def alive(name: str, tmp_path: Path) -> Iterator[Mutant]:
    """The changes that no case notices."""
    tables = Tables(name, tmp_path)
    text = (ROOT / name).read_text()
    assert tables.holds(text)
    yield from (one for one in mutants(text) if tables.holds(one.text, one.rule))


@pytest.mark.parametrize("name", SHIPPED)
def test_whatever_is_changed_in_a_shipped_policy_makes_a_case_fail(
    name: str, tmp_path: Path
) -> None:
    found = [one for one in alive(name, tmp_path) if (name, one.what) not in EXCUSED]
    assert [f"policies/{name}:{one.line}: {one.what}" for one in found] == []


@pytest.mark.parametrize("name", sorted({file for file, _ in EXCUSED}))
def test_what_is_excused_is_there(name: str) -> None:
    changes = {one.what for one in mutants((ROOT / name).read_text())}
    assert {what for file, what in EXCUSED if file == name} <= changes
