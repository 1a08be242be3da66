"""One broken line per case: where the complaint points, and what it says would be right."""

import pytest

from tests.config.files import GOOD, Case, cases, changed, problems

BEFORE_ROUTES = GOOD[: GOOD.index("routes:")]


@pytest.mark.parametrize("case", cases("broken_files.txt"), ids=lambda case: case.complaints[0])
def test_a_broken_file_is_told_where_and_what_would_be_right(case: Case) -> None:
    found = [
        problem.removeprefix("sbc.yaml:").replace("\0", "\\0")
        for problem in problems(changed(case.old, case.new))
    ]
    assert found == case.complaints


def test_there_are_many_such_cases() -> None:
    assert len(cases("broken_files.txt")) > 80


def test_a_file_without_routes_is_warned_of() -> None:
    found = problems("networks: {a: {bind: 203.0.113.10}}\npolicies: edge.yaml\n")
    assert any("there are no routes, so no request goes anywhere" in problem for problem in found)


NOT_SHADOWED = [
    "{from: pbx, domain: a.example, to: trunk}\n  - {from: pbx, domain: b.example, to: phones}",
    "{from: pbx, number: '1*', to: trunk}\n  - {from: pbx, number: ['1*', '2*'], to: phones}",
    "{from: pbx, method: REGISTER, to: trunk}\n  - {from: pbx, to: phones}",
    "{from: trunk, to: pbx}\n  - {from: outside, to: pbx}",
    "{from: pbx, to: phones}\n  - {to: pbx}",
]


@pytest.mark.parametrize("routes", NOT_SHADOWED)
def test_routes_that_can_match_are_not_complained_about(routes: str) -> None:
    text = f"{BEFORE_ROUTES}routes:\n  - {routes}\npolicies: edge.yaml\n"
    assert [problem for problem in problems(text) if "never match" in problem] == []


SHADOWED = [
    "{from: outside, to: pbx}\n  - {from: trunk, to: pbx}",
    "{to: pbx}\n  - {from: [pbx, outside], number: '1', domain: x.example, to: phones}",
    "{from: pbx, domain: '*.example', to: pbx}\n  - {from: pbx, domain: a.example, to: phones}",
    "{number: ['1*', '200-299'], to: pbx}\n  - {number: ['12', '210-220'], to: phones}",
    "{number: '??', to: pbx}\n  - {number: '12', to: phones}",
    "{method: [INVITE, BYE], to: pbx}\n  - {method: BYE, to: phones}",
]


@pytest.mark.parametrize("routes", SHADOWED)
def test_routes_that_can_never_match_are_warned_of(routes: str) -> None:
    text = f"{BEFORE_ROUTES}routes:\n  - {routes}\npolicies: edge.yaml\n"
    found = [problem for problem in problems(text) if "never match" in problem]
    assert len(found) == 1
    assert "warning: routes[1]: 'routes[1]' can never match: 'routes[0]' in line 21" in found[0]


def test_a_long_list_of_routes_is_checked_too() -> None:
    numbers = "".join(f"  - {{number: '+{n}*', to: pbx}}\n" for n in range(10000, 11000))
    extra = "  - {number: '+109991', to: pbx}\n"
    found = problems(f"{BEFORE_ROUTES}routes:\n{numbers}{extra}policies: edge.yaml\n")
    assert len(found) == 1
    assert "'routes[999]' in line 1020" in found[0]
