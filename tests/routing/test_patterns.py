"""Number and domain patterns of routes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.routing.patterns import (
    Exact,
    Prefix,
    Range,
    domain_covers,
    domain_matches,
    number_covers,
    number_matches,
    parse_number_pattern,
)


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("600", ["600"], ["6000", "60", "", "601"]),
        ("+49*", ["+49", "+4930123"], ["49", "+48", ""]),
        ("*", ["", "anyone", "600"], []),
        ("600-699", ["600", "650", "699"], ["599", "700", "6000", "65a", "6 0", "65٣"]),
        ("+4900-+4999", ["+4950"], ["4950", "+5000", "+49+0", "-4950"]),
        ("6??", ["600", "6ab"], ["60", "6000", "500"]),
        ("0*9", ["09", "0129"], ["0", "9", "0128"]),
        ("*#9*", ["#9", "12#934"], ["#", "9"]),
        (r"\*97", ["*97"], ["97", "a97"]),
        (r"\*9*", ["*9", "*97"], ["97", "a97"]),
        (r"1\-2", ["1-2"], ["1", "2"]),
        ("alice", ["alice"], ["Alice", "alic"]),
        ("a-b", ["a-b"], ["a"]),
    ],
)
def test_a_pattern_matches_what_its_table_says(
    pattern: str, matching: list[str], others: list[str]
) -> None:
    parsed = parse_number_pattern(pattern)
    assert [user for user in matching if not number_matches(parsed, user)] == []
    assert [user for user in others if number_matches(parsed, user)] == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "at least one character"),
        ("6 00", "no blanks"),
        ("+49\x0030", "cannot be dialled"),
        ("+4\uff19*", "cannot be dialled"),
        ("\u0664\u0669", "cannot be dialled"),
        ("600-6999", "same length"),
        ("+600-6999", "same length"),
        ("699-600", "write 600-699"),
        ("600\\", "escapes nothing"),
        ("^600", "regular expression"),
        ("600$", "regular expression"),
        ("+49.*", "regular expression"),
        ("[1-6]00", "regular expression"),
    ],
)
def test_a_bad_pattern_says_what_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        parse_number_pattern(text)


def test_the_cheapest_kind_is_chosen() -> None:
    assert parse_number_pattern("600") == Exact("600")
    assert parse_number_pattern(r"\*97") == Exact("*97")
    assert parse_number_pattern("6*") == Prefix("6")
    assert parse_number_pattern("600-699") == Range("600", "699")


PIECES = st.lists(st.sampled_from(["?", "*", "1", "2", "+"]), min_size=1, max_size=6).map("".join)
USERS = st.text(alphabet="12+-", max_size=7)


@given(PIECES, USERS)
def test_a_glob_agrees_with_the_regular_expression_of_the_same_meaning(
    text: str, user: str
) -> None:
    expression = "".join({"?": ".", "*": ".*"}.get(c, re.escape(c)) for c in text)
    expected = re.fullmatch(expression, user) is not None
    assert number_matches(parse_number_pattern(text), user) == expected


RANGES = st.tuples(st.integers(0, 99), st.integers(0, 99)).map(
    lambda ends: f"{min(ends):02d}-{max(ends):02d}"
)
PATTERNS = PIECES | RANGES


@given(PATTERNS, PATTERNS, USERS | st.integers(0, 99).map("{:02d}".format))
def test_whatever_a_covered_pattern_matches_the_wide_one_matches(
    wide: str, narrow: str, user: str
) -> None:
    first, second = parse_number_pattern(wide), parse_number_pattern(narrow)
    if number_covers(first, second) and number_matches(second, user):
        assert number_matches(first, user)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [("*", "6??"), ("6*", "600-699"), ("600-699", "650"), ("6??", "650"), ("60*", "60?*")],
)
def test_obvious_covers_are_seen(wide: str, narrow: str) -> None:
    assert number_covers(parse_number_pattern(wide), parse_number_pattern(narrow))
    assert not number_covers(parse_number_pattern(narrow), parse_number_pattern(wide))


@pytest.mark.parametrize(
    ("pattern", "domain", "expected"),
    [
        ("example.com", "example.com", True),
        ("example.com", "a.example.com", False),
        ("*.example.com", "a.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", ".example.com", False),
        ("*.example.com", "badexample.com", False),
    ],
)
def test_domains(pattern: str, domain: str, expected: bool) -> None:
    assert domain_matches(pattern, domain) is expected


def test_domain_covers() -> None:
    assert domain_covers("*.com", "*.example.com")
    assert domain_covers("*.example.com", "a.example.com")
    assert not domain_covers("a.example.com", "*.example.com")
    assert not domain_covers("*.example.com", "*.com")
