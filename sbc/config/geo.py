"""Where addresses are: the section `geo`."""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from sbc.document.problem import Severity
from sbc.document.schema import Section
from sbc.document.text import Document
from sbc.geo.places import Failures, GeoPlaces, GeoSettings, open_places
from sbc.policy.model import PolicySet
from sbc.policy.world import FAILED_CLOSED, FAILED_OPEN

FAILURE_VALUES: Final[Failures] = {"closed": FAILED_CLOSED, "open": FAILED_OPEN}

_Text = Annotated[str, Field(min_length=1)]


class GeoSection(Section):
    """Databases in MaxMind's format (GeoLite2, GeoIP2, DB-IP and the like), which you bring.

    They are held in memory. A changed file is taken by itself when it has been left alone for some
    seconds; while it is missing or broken what was read before goes on, and an error is logged and
    shown by `sbc status`.
    """

    country: _Text | None = Field(
        default=None,
        description="File that knows countries (Country, City), for the condition "
        "`source_country`; relative to this file.",
        examples=["/var/lib/GeoIP/GeoLite2-Country.mmdb"],
    )
    asn: _Text | None = Field(
        default=None,
        description="File that knows autonomous systems (ASN, ISP), for the condition "
        "`source_asn`; relative to this file.",
        examples=["/var/lib/GeoIP/GeoLite2-ASN.mmdb"],
    )
    on_failure: Literal["closed", "open"] = Field(
        default="closed",
        description="What happens while there is no database to ask, of addresses that are not "
        "private. `closed`: conditions that ask it hold in rules that reject or drop and in "
        "limits, and in no others, so whoever it would have to tell is kept out. `open`: they hold "
        "in rules that allow or pass, and in none that refuse. Explanations say that it failed.",
    )


_ASKED: Final = {"source_country": "country", "source_asn": "asn"}
"""The conditions that ask a database, with the key that names it."""


def warn_of_missing(document: Document, section: GeoSection, policies: PolicySet) -> None:
    """Warn of conditions that no database can answer: for them every address is unknown."""
    entries = [rule for rules in policies.stages.values() for rule in rules]
    for fact, key in _ASKED.items():
        asking = next((one for one in entries if one.when.asks(fact)), None)
        if asking is not None and getattr(section, key) is None:
            document.report(
                ("geo",),
                f"rule {asking.name!r} ({asking.where}) asks for {fact}, and there is no database",
                f"set geo.{key}; without it every address is `unknown`",
                severity=Severity.WARNING,
            )


def build_geo(document: Document, section: GeoSection) -> GeoPlaces:
    """The databases, read; one that cannot be used is a warning, and `on_failure` holds.

    Reads whole files: inside a running loop, call it from a thread.
    """
    base = Path(document.file).parent
    settings = GeoSettings(
        None if section.country is None else base / section.country,
        None if section.asn is None else base / section.asn,
        section.on_failure,
    )
    places = open_places(settings, FAILURE_VALUES)
    for what, why in places.trouble.items():
        document.report(
            ("geo", what),
            f"{settings.files[what]}: {why}",
            f"until there is a good one, conditions on it fail {settings.on_failure}",
            severity=Severity.WARNING,
        )
    return places
