"""Rules that can never match: found as comparing each with each would, at less cost."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.policy import shadows
from sbc.policy.conditions import Conditions, asks, covers
from sbc.policy.shadows import shadowed

SOURCES = [ip_network(text) for text in ("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "::/0")]


def rules_of(*wanted: dict[str, object]) -> list[Conditions]:
    return [asks(**one) for one in wanted]


def all_pairs(rules: list[Conditions]) -> list[tuple[int, int]]:
    """The same by comparing each with each."""
    alive: list[int] = []
    found: list[tuple[int, int]] = []
    for number, when in enumerate(rules):
        above = [one for one in alive if covers(rules[one], when)]
        if above:
            found.append((number, above[0]))
        else:
            alive.append(number)
    return found


CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "source": st.lists(st.sampled_from(SOURCES), min_size=1, max_size=2).map(tuple),
        "called": st.lists(
            st.sampled_from(["+49*", "+4930*", "+493012", "600", "600-699", "6??", "*"]),
            min_size=1,
            max_size=2,
        ).map(tuple),
        "method": st.sampled_from([("INVITE",), ("INVITE", "REGISTER"), ("OPTIONS",)]),
        "user_agent": st.sampled_from([("x",), ("xy",)]),
        "registered": st.booleans(),
    },
)


@given(st.lists(CONDITIONS, max_size=8))
def test_it_finds_what_comparing_each_with_each_finds(wanted: list[dict[str, object]]) -> None:
    rules = rules_of(*wanted)
    assert list(shadowed(rules)) == all_pairs(rules)


def test_the_first_that_takes_all_is_named() -> None:
    rules = rules_of({"method": ("INVITE",)}, {}, {"registered": True})
    assert list(shadowed(rules)) == [(2, 1)]


def test_many_rules_are_not_compared_each_with_each(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0

    def counted(wide: Conditions, narrow: Conditions) -> bool:
        nonlocal compared
        compared += 1
        return covers(wide, narrow)

    monkeypatch.setattr(shadows, "covers", counted)
    rules = [
        asks(source=(ip_network(f"10.{n >> 8}.{n & 255}.0/24"),), method=("INVITE",))
        for n in range(2000)
    ]
    assert list(shadowed(rules)) == []
    assert compared <= len(rules)
