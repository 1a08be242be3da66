"""Countries that people write."""

import phonenumbers
import pytest

from sbc.document.schema import BadValue
from sbc.policy.countries import COUNTRIES, check_country


def test_every_country_that_a_number_may_be_of_can_be_written() -> None:
    assert phonenumbers.SUPPORTED_REGIONS <= COUNTRIES


def test_letters_of_any_case_will_do() -> None:
    assert check_country("de") == "DE"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("UK", "did you mean 'GB'?"),
        ("EU", "two letters of ISO 3166, as DE"),
        ("Germany", "two letters of ISO 3166, as DE"),
        ("", "two letters of ISO 3166, as DE"),
    ],
)
def test_what_is_no_country_and_would_never_match_is_refused(text: str, hint: str) -> None:
    with pytest.raises(BadValue, match="is no country") as refused:
        check_country(text)
    assert refused.value.hint == hint
