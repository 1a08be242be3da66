"""The numbering plans of the world, as libphonenumber knows them.

What the cores ask for is `sbc.policy.numbers.NumberPlan` and `sbc.policy.facts.NumberKinds`.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import CountryCodeSource, PhoneNumber, PhoneNumberType, ValidationResult

_DIALLED = re.compile(r"\+?[0-9]{3,24}")
_MAX_DIGITS = 15
_NORTH_AMERICA = 1
"""Country code whose members dial each other with or without it in front."""


class WorldPlan:
    """Numbers of all countries; each answer is remembered, as callers call again."""

    def __init__(self) -> None:
        self._e164 = lru_cache(4096)(_e164)
        self._national = lru_cache(4096)(_national)

    def e164(self, number: str, country: str) -> str | None:
        """See `NumberPlan.e164`."""
        # Looked at first, so that no stranger's long texts are remembered.
        return self._e164(number, country) if _DIALLED.fullmatch(number) is not None else None

    def national(self, e164: str, country: str) -> str:
        """See `NumberPlan.national`."""
        return self._national(e164, country)


_E164 = re.compile(r"\+[0-9]{1,24}")
_SHORT = re.compile(r"[0-9]{2,8}")
"""What a short code looks like; what is longer is somebody's number."""

_ALWAYS_EMERGENCY: Final = frozenset(("112", "911"))
"""What every mobile phone takes for an emergency, in whatever country (3GPP TS 22.101 §10.1)."""

_SATELLITE: Final = (870, 881, 882, 883)
"""Country codes that are no country's but of satellites and of networks billed like them."""

_KINDS: Final = {
    PhoneNumberType.FIXED_LINE: "fixed",
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "fixed-or-mobile",
    PhoneNumberType.TOLL_FREE: "toll-free",
    PhoneNumberType.PREMIUM_RATE: "premium",
    PhoneNumberType.SHARED_COST: "shared-cost",
    PhoneNumberType.VOIP: "voip",
    PhoneNumberType.PERSONAL_NUMBER: "personal",
    PhoneNumberType.PAGER: "pager",
    PhoneNumberType.UAN: "company",
    PhoneNumberType.VOICEMAIL: "voicemail",
}
_SOMEWHERE: Final = frozenset(("fixed", "mobile", "fixed-or-mobile"))
"""The kinds of +1 that are in one of its countries; a toll-free number is in all of them."""


class WorldKinds:
    """What numbers are, and where; each answer is remembered, as callers call again."""

    def __init__(self, countries: Iterable[str] = ()) -> None:
        """Know the short codes of some countries.

        Args:
            countries: ISO 3166 letters. With none only 112 and 911 are known for emergencies.
        """
        self._countries = tuple(dict.fromkeys(countries))
        self._country_and_kind = lru_cache(4096)(_country_and_kind)
        self._short_kind = lru_cache(4096)(self._find_short_kind)

    def country(self, e164: str) -> str:
        """See `NumberKinds.country`.

        A number of +1 that is assigned to none of its countries, or to all of them, has none; other
        codes that several countries share give the largest where a number is nobody's.
        """
        return self._country_and_kind(e164)[0] if _E164.fullmatch(e164) is not None else ""

    def kind(self, number: str) -> str:
        """See `NumberKinds.kind`.

        ``unallocated`` is what has a possible length and is nobody's, ``invalid`` what no plan has
        room for, or what begins with a plus and goes on with more than digits. Extensions and names
        are of no kind.
        """
        # Looked at first, so that no stranger's long texts are remembered.
        if _E164.fullmatch(number) is not None:
            return self._country_and_kind(number)[1]
        if number.startswith("+"):
            # It says that it is a global number, and is none.
            return "invalid"
        return self._short_kind(number) if _SHORT.fullmatch(number) is not None else ""

    def _find_short_kind(self, number: str) -> str:
        countries = self._countries
        if number in _ALWAYS_EMERGENCY or any(
            phonenumbers.is_emergency_number(number, country) for country in countries
        ):
            return "emergency"
        return "short" if any(_is_short(number, country) for country in countries) else ""


def _is_short(number: str, country: str) -> bool:
    try:
        found = phonenumbers.parse(number, country)
    except phonenumbers.NumberParseException:
        return False
    is_short: bool = phonenumbers.is_valid_short_number_for_region(found, country)
    return is_short


def _country_and_kind(e164: str) -> tuple[str, str]:
    """Where a number is and what it is: read once, since both are asked of nearly every call."""
    try:
        found = phonenumbers.parse(e164, None)
    except phonenumbers.NumberParseException:
        return "", "invalid"
    kind = _kind(found)
    return _country(found, kind), kind


def _country(found: PhoneNumber, kind: str) -> str:
    if found.country_code == _NORTH_AMERICA and kind not in _SOMEWHERE:
        return ""
    region = phonenumbers.region_code_for_number(found)
    region = region or phonenumbers.region_code_for_country_code(found.country_code or 0)
    return region if region in phonenumbers.SUPPORTED_REGIONS else ""


def _kind(found: PhoneNumber) -> str:
    if found.country_code in _SATELLITE:
        # Whatever length: who calls it is charged for it.
        return "satellite"
    if phonenumbers.is_possible_number_with_reason(found) != ValidationResult.IS_POSSIBLE:
        return "invalid"
    return _KINDS.get(phonenumbers.number_type(found), "unallocated")


def country_of(text: str) -> str | None:
    """The region of a country's letters (``"DE"``) or calling code (``"49"``, ``"+49"``)."""
    region = text.upper()
    if region in phonenumbers.SUPPORTED_REGIONS:
        return region
    code = text.removeprefix("+")
    if not (code.isascii() and code.isdigit() and len(code) <= 3):
        return None
    found = phonenumbers.region_code_for_country_code(int(code))
    return found if found in phonenumbers.SUPPORTED_REGIONS else None


def _e164(number: str, country: str) -> str | None:
    found = _parsed(number, country)
    if found is None:
        return None
    text = phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164)
    if len(text) > _MAX_DIGITS + 1:
        return None
    # Something like +49 00 30... loses a prefix at each reading: nobody's number.
    again = _parsed(text, country)
    return text if again is not None and _same(found, again) else None


def _parsed(number: str, country: str) -> PhoneNumber | None:
    """A number as dialled in a country, if it is a possible one and more than a local one."""
    if country and phonenumbers.is_emergency_number(number, country):
        return None
    try:
        found = phonenumbers.parse(number, country or None, keep_raw_input=True)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(found) != ValidationResult.IS_POSSIBLE:
        return None
    source = found.country_code_source
    if source in (
        CountryCodeSource.FROM_NUMBER_WITH_PLUS_SIGN,
        CountryCodeSource.FROM_NUMBER_WITH_IDD,
    ):
        return found
    return found if _is_national(number, country, found) else None


def _is_national(number: str, country: str, found: PhoneNumber) -> bool:
    """Whether digits without international prefix are a national number, not an extension.

    They are if they begin with the national prefix. Where there is none, or none is needed, they
    must be assigned to somebody.
    """
    prefix = _national_prefix(country)
    if prefix and number.startswith(prefix):
        # What keeps its prefix is no subscriber's either: 0110 is 110 with a 0 for the line.
        if phonenumbers.national_significant_number(found) != number:
            return True
    elif prefix and found.country_code != _NORTH_AMERICA:
        return False
    return phonenumbers.is_valid_number(found)


def _national_prefix(country: str) -> str:
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(country)
    return "" if metadata is None else metadata.national_prefix or ""


def _same(one: PhoneNumber, other: PhoneNumber) -> bool:
    return (one.country_code, one.national_number, one.italian_leading_zero) == (
        other.country_code,
        other.national_number,
        other.italian_leading_zero,
    )


def _national(e164: str, country: str) -> str:
    try:
        found = phonenumbers.parse(e164, None)
    except phonenumbers.NumberParseException:
        return e164.removeprefix("+")
    if found.country_code != phonenumbers.country_code_for_region(country):
        text = phonenumbers.format_out_of_country_calling_number(found, country)
    elif phonenumbers.is_valid_number(found) or found.country_code == _NORTH_AMERICA:
        text = phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.NATIONAL)
    else:
        # The library knows how to write what is assigned; of the rest it would lose the prefix.
        text = _national_prefix(country) + phonenumbers.national_significant_number(found)
    return "".join(digit for digit in text if digit.isascii() and digit.isdigit())
