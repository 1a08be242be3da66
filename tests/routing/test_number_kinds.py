"""What numbers are, and in which country."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.numbering import WorldKinds
from sbc.policy.conditions_schema import NumberKind

KINDS = WorldKinds(["DE", "US"])


@pytest.mark.parametrize(
    ("number", "country", "kind"),
    [
        ("+4930123456", "DE", "fixed"),
        ("+4915112345678", "DE", "mobile"),
        ("+498001234567", "DE", "toll-free"),
        ("+499001234567", "DE", "premium"),
        # One code, many countries, which cost very different amounts of money.
        ("+12125550123", "US", "fixed-or-mobile"),
        ("+14165551234", "CA", "fixed-or-mobile"),
        ("+18765551234", "JM", "mobile"),
        ("+18095551234", "DO", "fixed-or-mobile"),
        ("+12844961234", "VG", "mobile"),
        # In all of them, or in none.
        ("+18005551212", "", "toll-free"),
        ("+19005551212", "", "premium"),
        ("+15005550006", "", "personal"),
        ("+10005551234", "", "unallocated"),
        ("+77012345678", "KZ", "mobile"),
        ("+79161234567", "RU", "mobile"),
        ("+447911123456", "GG", "mobile"),
        ("+49111111111", "DE", "unallocated"),
        ("+4912", "DE", "invalid"),
        ("+493012345678901234", "DE", "invalid"),
        ("+999123456", "", "invalid"),
        ("+870773123456", "", "satellite"),
        ("+88161234567", "", "satellite"),
        ("+882133000000", "", "satellite"),
        ("+8835100000000", "", "satellite"),
        ("+80012345678", "", "toll-free"),
        ("+979123456789", "", "premium"),
        ("112", "", "emergency"),
        ("110", "", "emergency"),
        ("911", "", "emergency"),
        ("411", "", "short"),
        ("+112", "", "invalid"),
        ("1100", "", ""),
        ("600", "", ""),
        ("alice", "", ""),
        ("", "", ""),
    ],
)
def test_the_kind_and_the_country_of_a_number(number: str, country: str, kind: str) -> None:
    assert (KINDS.country(number), KINDS.kind(number)) == (country, kind)


def test_the_emergency_numbers_of_other_countries_are_no_emergencies_here() -> None:
    assert WorldKinds(["US"]).kind("110") == ""
    assert WorldKinds(["DE"]).kind("110") == "emergency"


def test_without_any_country_the_two_that_every_mobile_phone_knows_remain() -> None:
    nowhere = WorldKinds()
    assert [nowhere.kind(number) for number in ("112", "911", "110", "999")] == [
        "emergency",
        "emergency",
        "",
        "",
    ]


@given(st.text(max_size=40) | st.from_regex(r"\+?[0-9]{1,30}", fullmatch=True))
def test_whatever_is_asked_about_is_of_a_kind_that_conditions_know(text: str) -> None:
    assert KINDS.kind(text) in {*NumberKind.__args__, ""}
    assert len(KINDS.country(text)) in (0, 2)


def test_long_texts_of_strangers_are_not_remembered() -> None:
    kinds = WorldKinds(["DE"])
    kinds.kind("+" + "1" * 1000)
    kinds.country("x" * 1000)
    assert kinds._country_and_kind.cache_info().currsize == 0
