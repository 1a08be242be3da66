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
        ("\u2460\u2461\u2462\u2463\u2464\u2465\u2466\u2467", ["12345678"]),
        ("\u207a\u2074\u2079\u00b3\u2070\u00b9\u00b2\u00b3", ["+4930123"]),
        ("+49\u201330\u2013123456", ["+4930123456"]),
        ("+49\u00b730\u2022123456", ["+4930123456"]),
        ("".join(f"{digit}\u0332" for digit in "12345678"), ["12345678"]),
        ("12\u20e334\u20e35678", ["12345678"]),
        ("Caf\u00e9 1234567\u00e9", []),
        ("x" * 256, []),
        ("x" * 257, [TOO_MANY]),
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
        ("456", "+4930123456", True),
        ("56", "+4930123456", False),
        ("0", "+4930123456", False),
        ("0", "00", True),
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
