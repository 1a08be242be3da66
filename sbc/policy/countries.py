"""Which countries there are, for what people write: a wrong one would never match anything."""

from typing import Final

from sbc.document.schema import BadValue

COUNTRIES: Final = frozenset(
    """
    AC AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR
    BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC
    EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK
    HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB
    LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ
    NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU
    RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TA TC TD TF TG TH TJ TK TL TM
    TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW
    """.split()  # noqa: SIM905  # as a list it would take a page
)
"""The letters of ISO 3166, and those that numbering plans and databases use beside them: Ascension
(AC), Tristan da Cunha (TA) and Kosovo (XK)."""

_OTHERWISE: Final = {"UK": "GB"}
"""What people write for a country that has other letters."""


def check_country(text: str) -> str:
    """The letters of a country, in capitals.

    Raises:
        BadValue: there is no such country.
    """
    country = text.upper()
    if country in COUNTRIES:
        return country
    other = _OTHERWISE.get(country)
    raise BadValue(
        f"{text!r} is no country",
        f"did you mean {other!r}?" if other else "two letters of ISO 3166, as DE",
    )
