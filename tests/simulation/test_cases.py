"""The table of policy cases: a policy and a message in, a decision and its explanation out."""

from functools import cache
from pathlib import Path

import pytest

from sbc.candidates import in_force
from sbc.simulation.cases import read_cases
from sbc.simulation.testing import Findings, run_cases

ROOT = Path(__file__).parents[2]
TABLES = sorted(
    [*(ROOT / "policies" / "tests").glob("*.yaml"), *(ROOT / "tests/policy/cases").glob("*.yaml")]
)
EDGE = "policies: POLICIES/edge-default.yaml\n"


@cache
def ran(path: Path) -> Findings:
    return run_cases(path, lambda configuration: in_force(configuration, {}))


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cases.yaml"
    path.write_text(text.replace("POLICIES", str(ROOT / "policies")))
    return path


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_every_case_of_the_table_holds(path: Path) -> None:
    found = ran(path)
    assert [str(problem) for problem in found.problems] == []
    assert [(one.where, one.name, one.failures) for one in found.failed] == []
    assert found.results


def test_every_shipped_policy_has_a_table() -> None:
    shipped = {path.name for path in (ROOT / "policies").glob("*.yaml")}
    assert {path.name for path in (ROOT / "policies" / "tests").glob("*.yaml")} == shipped


def test_the_tables_have_a_hundred_and_fifty_cases_and_half_of_them_are_attacks() -> None:
    cases = []
    for path in (ROOT / "policies" / "tests").glob("*.yaml"):
        model, _ = read_cases(path.read_text(), str(path))
        assert model is not None
        cases += model.cases
    assert len(cases) >= 150
    assert sum(case.attack for case in cases) >= len(cases) / 2


def test_every_case_says_the_decision_and_by_which_rule() -> None:
    for path in (ROOT / "policies" / "tests").glob("*.yaml"):
        model, _ = read_cases(path.read_text(), str(path))
        assert model is not None
        for case in model.cases:
            wanted = case.expect
            assert wanted.outcome, case.name
            told = wanted.rule or wanted.says or wanted.effects is not None or wanted.stage
            assert told or wanted.outcome == "malformed", case.name


def test_every_decision_of_the_table_is_explained() -> None:
    for path in TABLES:
        for one in ran(path).results:
            assert one.outcome.lines, one.name
            if one.outcome.treatment in ("allow", "reject", "drop") and one.outcome.decided:
                assert one.outcome.rule, one.name
                assert one.outcome.where, one.name


@pytest.mark.parametrize(
    ("expected", "failure"),
    [
        ("outcome: allow", "outcome is 'reject', not 'allow'"),
        ("status: 404", "status is 403, not 404"),
        ("rule: scanners", "rule is 'not registered', not 'scanners'"),
        ("stage: geo", "stage is 'rules', not 'geo'"),
        ("effects: cap 1", "effects is 'reject 403 Register first', not 'cap 1'"),
        ("says: moon", "the explanation does not say 'moon'"),
        ("nearest: moon", "not 'moon'"),
        ("nearest: ''", "not nothing"),
    ],
)
def test_a_case_that_does_not_hold_says_what_is_otherwise(
    tmp_path: Path, expected: str, failure: str
) -> None:
    text = (
        f"policies: POLICIES/edge-default.yaml\ncases:\n  - name: x\n    expect: {{{expected}}}\n"
    )
    (result,) = ran(written(tmp_path, text)).failed
    (said,) = result.failures
    assert failure in said
    assert result.where.endswith("cases.yaml:3")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cases: []\n", "1:8: error: cases: expected at least one entry"),
        ("cases: [{name: a, expect: {}}]\n", "nothing says which policies are tested"),
        (
            "config: x.yaml\npolicies: y\ncases: [{name: a, expect: {}}]\n",
            "config has policies and networks of its own",
        ),
        (
            "policies: p\ncases:\n  - {name: a, expect: {}}\n  - {name: a, expect: {}}\n",
            "the name 'a' is taken by line 3",
        ),
        ("policies: p\ncases: [{name: a, from: here, expect: {}}]\n", "'here' is no address"),
        ("policies: p\ncases: [{name: a, from: '1.2.3.4:0', expect: {}}]\n", "is no address"),
        ("policies: p\ncases: [{name: a, time: noon, expect: {}}]\n", "'noon' is no moment"),
        ("policies: p\ncases: [{name: a, expect: {outcome: maybe}}]\n", "'maybe'"),
        ("policies: p\ncases: [{name: a, expects: {}}]\n", "did you mean 'expect'?"),
        ("policies: nothing.yaml\ncases: [{name: a, expect: {}}]\n", "cannot be read"),
        ("config: nothing.yaml\ncases: [{name: a, expect: {}}]\n", "cannot be read"),
        (
            "policies: POLICIES/edge-default.yaml\ncases: [{name: a, network: moon, expect: {}}]\n",
            "there is no network 'moon' (networks: inside, outside)",
        ),
        (
            EDGE + "networks: {a: {listen: moon}}\ncases: [{name: a, expect: {}}]\n",
            "moon",
        ),
    ],
)
def test_a_broken_file_of_tests_says_where_and_what(tmp_path: Path, text: str, said: str) -> None:
    found = ran(written(tmp_path, text))
    assert found.broken
    assert said in "\n".join(map(str, found.problems))
    assert found.results == ()


def test_a_whole_configuration_can_be_tested(tmp_path: Path) -> None:
    text = (
        f"config: {ROOT}/deploy/sbc.yaml\nenvironment: {{PBX: 192.168.1.5}}\n"
        "cases:\n  - {name: a, from: 192.168.1.5, expect: {outcome: reject, status: 480}}\n"
    )
    found = ran(written(tmp_path, text))
    assert [str(problem) for problem in found.problems] == []
    assert [one.failures for one in found.results] == [()]


def test_the_network_of_a_source_is_that_of_its_peer(tmp_path: Path) -> None:
    text = (
        "policies: POLICIES/edge-default.yaml\n"
        "cases:\n  - {name: a, from: 192.168.1.5, called: '+1', expect: {rule: known peers}}\n"
    )
    (result,) = ran(written(tmp_path, text)).results
    assert result.outcome.flow.network == "inside"
