"""What `sbc check` says of policies that let anybody call."""

import pytest

from tests.config.files import changed, problems

OPEN = "policies: open.yaml"


def told(text: str) -> list[str]:
    return [problem for problem in problems(text) if "lets anybody" in problem]


def test_a_policy_that_lets_strangers_call_is_warned_of() -> None:
    (problem,) = told(changed("policies: edge.yaml", OPEN))
    assert problem == (
        "sbc.yaml:25:11: warning: policies: rule 'all' (open.yaml:1) lets anybody on 'outside' "
        "call without registering, to 'pbx' (add registered: true, known_peer: true or source to "
        "its conditions)"
    )


@pytest.mark.parametrize("caller", ["outside", "phones", "[phones, pbx]"])
def test_it_is_said_that_a_trunk_costs_money(caller: str) -> None:
    text = changed("  - {from: outside, to: pbx}\n", f"  - {{from: {caller}, to: trunk}}\n")
    (problem,) = told(text.replace("policies: edge.yaml", OPEN))
    assert "to 'trunk'; what 'trunk' charges is yours to pay" in problem


@pytest.mark.parametrize(
    "route",
    [
        "{from: outside, method: REGISTER, to: pbx}",
        "{from: trunk, domain: pbx.example, to: pbx}",
    ],
)
def test_where_no_call_of_a_stranger_goes_nothing_is_said(route: str) -> None:
    text = changed("  - {from: outside, to: pbx}\n", f"  - {route}\n")
    assert told(text.replace("policies: edge.yaml", OPEN)) == []


def test_phones_that_are_asked_for_a_password_are_no_strangers() -> None:
    asked = (
        "  phones:\n    kind: endpoints\n    network: outside\n"
        "    authentication: {mode: challenge, realm: x.example, users: {a: secret}}\n"
    )
    text = changed("  phones: {kind: endpoints, network: outside}\n", asked)
    assert told(text.replace("policies: edge.yaml", OPEN)) == []


def test_a_rule_for_some_addresses_is_no_door_for_everybody() -> None:
    assert told(changed("policies: edge.yaml", "policies: some.yaml")) == []
