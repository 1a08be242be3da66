"""Numbers that display names write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.policy.display_numbers import TOO_MANY, is_same_number, numbers_in


@pytest.mark.parametrize(
    ("display", "found"),
    [
        ("", []),
        ("Alice", []),
        ("101", []),
        ("Room 1234567", []),
        ("12345678", ["12345678"]),
        ("+12345", ["+12345"]),
        ("+1234", []),
        ("++12345", ["+12345"]),
        ("tel:+49-30/123.45 (67)", ["+49301234567"]),
        ("030 123456, 089 654321", ["030123456", "089654321"]),
        ("\u0660\u0663\u0660123456", ["030123456"]),
        ("0\u00ad30\u200b123456", ["030123456"]),
        ("12345678 " * 5, ["12345678" * 5]),
        ("12345678," * 6, ["12345678"] * 4 + [TOO_MANY]),
        ("1 " * 7 + "x" + " 1" * 7, []),
    ],
)
def test_what_a_name_writes_as_a_number(display: str, found: list[str]) -> None:
    assert numbers_in(display) == found


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("+4930123456", "030123456", True),
        ("030123456", "+4930123456", True),
        ("123456", "+4930123456", True),
        ("+4930123456", "+4930123457", False),
        ("+4930123456", "4930123456", True),
        ("+4989123456", "+4930123456", False),
    ],
)
def test_two_numbers_are_one_if_one_only_lacks_prefixes(one: str, other: str, same: bool) -> None:
    assert is_same_number(one, other) is same


@given(st.text(alphabet="+0123456789 ().-/aé\u0663\u200b", max_size=300))
def test_whatever_a_name_writes_its_numbers_are_few_and_plain(text: str) -> None:
    found = numbers_in(text)
    assert len(found) <= 5
    plain = [one for one in found if one != TOO_MANY]
    assert all(one.removeprefix("+").isascii() and one.removeprefix("+").isdigit() for one in plain)
