"""Where addresses are, and what is said of that while a database cannot be used."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_network
from pathlib import Path
from typing import Final, Literal

from sbc.geo.database import Database, GeoUnusable, What, open_database
from sbc.prefixes import PrefixMap

OnFailure = Literal["closed", "open"]

REMEMBERED: Final = 16_384
"""Answers kept of each database."""

_NOWHERE: Final = PrefixMap(
    (ip_network(prefix), True)
    for prefix in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16",
        "100.64.0.0/10", "fc00::/7", "fe80::/10", "::1/128",
    )
)  # fmt: skip
"""Private addresses, which are in no country whatever database there is."""


@dataclass(frozen=True, slots=True)
class GeoSettings:
    """Which files say where addresses are."""

    country: Path | None = None
    asn: Path | None = None
    on_failure: OnFailure = "closed"
    """Whether rules that refuse hold while a database cannot be used, or all others do."""

    @property
    def files(self) -> dict[What, Path]:
        """Those that are given, by what they are asked for."""
        found: dict[What, Path] = {}
        if self.country is not None:
            found["country"] = self.country
        if self.asn is not None:
            found["asn"] = self.asn
        return found


Failures = Mapping[OnFailure, str]
"""What is said of every address while a database cannot be used."""


class GeoPlaces:
    """The databases in use; see `sbc.policy.facts.Places`.

    An address that no database is given for, and a private one, is nowhere.
    """

    __slots__ = ("_databases", "_failure", "_find", "settings", "trouble")

    def __init__(self, settings: GeoSettings, failures: Failures) -> None:
        """Begin without any database: what is given counts as failed until it is taken.

        Args:
            failures: The value that stands for a database that failed, by what is to be done.
        """
        self.settings = settings
        self._failure = failures[settings.on_failure]
        self._databases: dict[What, Database] = {}
        self._find: dict[What, Callable[[str], str]] = {}
        self.trouble: dict[What, str] = dict.fromkeys(settings.files, "it was not read yet")
        """What is wrong with the files, by what they are asked for."""

    def country(self, host: str) -> str:
        """ISO 3166 letters of the country of a numeric host; ``""`` if it is in none."""
        return self._ask("country", host)

    def asn(self, host: str) -> str:
        """The autonomous system that announces a numeric host; ``""`` if none is known."""
        return self._ask("asn", host)

    def database(self, what: What) -> Database | None:
        """The one that is asked for something, if there is one."""
        return self._databases.get(what)

    def take(self, what: What, database: Database) -> None:
        """Use a database from now on."""
        self._databases[what] = database
        self._find[what] = lru_cache(REMEMBERED)(lambda host: database.find(host, what))
        self.trouble.pop(what, None)

    def fail(self, what: What, why: str) -> None:
        """A file cannot be used; what was read before goes on."""
        self.trouble[what] = why

    def inherit(self, before: "GeoPlaces") -> None:
        """Go on with what was in use before where the same file cannot be used any more."""
        for what, file in self.settings.files.items():
            old = before.database(what) if before.settings.files.get(what) == file else None
            if old is not None and what not in self._databases:
                why = self.trouble[what]
                self.take(what, old)
                self.fail(what, why)

    def _ask(self, what: What, host: str) -> str:
        find = self._find.get(what)
        if find is None:
            is_asked = what in self.settings.files
            return self._failure if is_asked and _NOWHERE.find(host) is None else ""
        try:
            return find(host)
        except GeoUnusable as error:
            self.fail(what, str(error))
            return self._failure


def open_places(settings: GeoSettings, failures: Failures) -> GeoPlaces:
    """Read all databases; those that cannot be used are in `trouble`.

    Reads whole files: inside a running loop, call it from a thread.
    """
    places = GeoPlaces(settings, failures)
    for what, file in settings.files.items():
        try:
            places.take(what, open_database(file, what))
        except GeoUnusable as error:
            places.fail(what, str(error))
    return places
