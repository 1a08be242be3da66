"""What of all that is dialled is a number of the world's plans."""

import pytest

from sbc.numbering import WorldKinds, WorldPlan, country_of

PLAN = WorldPlan()


@pytest.mark.parametrize(
    ("country", "number", "e164"),
    [
        ("DE", "030123456", "+4930123456"),
        ("DE", "004930123456", "+4930123456"),
        ("DE", "+49030123456", "+4930123456"),
        ("US", "6502530000", "+16502530000"),
        ("US", "16502530000", "+16502530000"),
        ("US", "0114930123456", "+4930123456"),
        ("IT", "0612345678", "+390612345678"),
        ("NO", "22334455", "+4722334455"),
        ("RU", "88005553535", "+78005553535"),
        ("", "+4930123456", "+4930123456"),
    ],
)
def test_what_is_dialled_is_brought_to_e164(country, number, e164):
    assert PLAN.e164(number, country) == e164


@pytest.mark.parametrize(
    ("country", "number"),
    [
        *(
            ("DE", number)
            for number in ("110", "112", "0110", "6001", "600123", "116117", "004930")
        ),
        *(("US", number) for number in ("911", "6001", "5551234")),
        ("IT", "112"),
        ("AU", "000"),
        ("GB", "999"),
        ("NO", "6001"),
        ("", "030123456"),
        ("DE", "+999123456"),
        ("DE", "+4900301234567"),
        ("DE", "\u0663\u0660\u0661\u0662\u0663\u0664"),
        ("DE", "1-800-FLOWERS"),
        ("DE", "+" + "4" * 25),
        ("XX", "030123456"),
    ],
)
def test_short_codes_emergency_numbers_extensions_and_names_are_none(country, number):
    assert PLAN.e164(number, country) is None


@pytest.mark.parametrize(
    ("country", "e164", "national"),
    [
        ("DE", "+4930123456", "030123456"),
        ("DE", "+49800123456", "0800123456"),
        ("DE", "+12025550123", "0012025550123"),
        ("US", "+16502530000", "6502530000"),
        ("US", "+4930123456", "0114930123456"),
        ("IT", "+390612345678", "0612345678"),
        ("DE", "nonsense", "nonsense"),
    ],
)
def test_a_number_is_written_as_it_is_dialled_in_a_country(country, e164, national):
    assert PLAN.national(e164, country) == national


@pytest.mark.parametrize(
    ("text", "region"),
    [("DE", "DE"), ("de", "DE"), ("49", "DE"), ("+1", "US"), ("XX", None), ("999", None)],
)
def test_a_country_is_known_by_letters_or_calling_code(text, region):
    assert country_of(text) == region


def test_what_belongs_to_no_country_is_none():
    assert [country_of(text) for text in ("800", "", "+", "4999", "\u0664\u0669")] == [None] * 5


@pytest.mark.parametrize(
    "number", ["+", "+882131234;x=y", "+49900123456#", "+49 900", "+\u0664\u0669900", "+alice"]
)
def test_what_only_begins_like_a_global_number_is_an_invalid_one(number):
    assert WorldKinds(["DE"]).kind(number) == "invalid"
