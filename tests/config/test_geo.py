"""The section `geo`, and conditions that no database can answer."""

from pathlib import Path

import pytest

from sbc.config.files import read_text
from sbc.config.load import load_text
from tests.config.files import GOOD, FakeMachine
from tests.kit.geo import COUNTRIES, SYSTEMS, written

LIMIT = "rate_limits: [{name: all, rate: 1, burst: 1}]\n"
ASKING = LIMIT + "rules: [{name: home, when: {not: {source_country: DE}}, then: drop}]\n"


def told(geo: str, policy: str = LIMIT) -> list[str]:
    def read(path: Path) -> str:
        return policy if path.name == "edge.yaml" else read_text(path)

    return [str(one) for one in load_text(GOOD + geo, "sbc.yaml", FakeMachine(), {}, read).problems]


def test_a_condition_that_no_database_can_answer_is_warned_of() -> None:
    assert told("", ASKING) == [
        (
            "sbc.yaml:1:1: warning: geo: rule 'home' (edge.yaml:2) asks for source_country, and "
            "there is no database (set geo.country; without it every address is `unknown`)"
        )
    ]


def test_a_database_that_answers_is_not(tmp_path: Path) -> None:
    assert told(f"geo: {{country: {written(tmp_path / 'c', COUNTRIES)}}}", ASKING) == []


def test_a_database_of_the_wrong_kind_is_warned_of(tmp_path: Path) -> None:
    file = written(tmp_path / "asn", SYSTEMS, "Test-ASN")
    (problem,) = told(f"geo: {{country: {file}, on_failure: open}}")
    assert problem.endswith(
        f"warning: geo.country: {file}: it is a database of kind 'Test-ASN' and holds no countries "
        "(until there is a good one, conditions on it fail open)"
    )


@pytest.mark.parametrize("key", ["country", "asn"])
def test_a_path_is_relative_to_the_file(key: str) -> None:
    (problem,) = told(f"geo: {{{key}: none.mmdb}}")
    assert f"geo.{key}: none.mmdb: cannot be read: no such file or directory" in problem


def test_what_is_over_in_a_set_is_over_wherever_the_configuration_is_used() -> None:
    # The machine of these tests has 2023-11-14.
    sets = "sets: {s: {kind: numbers, entries: ['1 until 2023-11-14', '2 until 2023-11-15']}}\n"
    configuration = load_text(
        GOOD, "sbc.yaml", FakeMachine(), {}, lambda _: LIMIT + sets
    ).configuration
    assert configuration is not None
    (named,) = configuration.policies.sets
    assert (named.find("1"), named.find("2")) == (None, "2")
