"""One database file in MaxMind's format, held in memory.

Whoever updates such a file may write over it in place, under our feet, so it is read as a whole. It
is read by the library's reader in Python: the one in C takes a third of the time, but a file with a
damaged byte can end the process in it.
"""

import io
import re
import stat
import struct
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import islice
from pathlib import Path
from typing import Final, Literal

import maxminddb

from sbc.document.reading import why_unreadable

What = Literal["country", "asn"]
"""What a database is asked for."""

MAX_BYTES: Final = 1_073_741_824
"""The longest file that is read; the largest that are sold have half as much."""

_SAMPLE: Final = 1000
"""Records that are looked at to see what a file holds."""

_COUNTRY = re.compile(r"[A-Z]{2}")
_ASN = re.compile(r"(?:AS)?([1-9][0-9]{0,9})")
_DAMAGED: Final = (
    maxminddb.InvalidDatabaseError, ArithmeticError, AttributeError, LookupError, MemoryError,
    OSError, RuntimeError, TypeError, ValueError, struct.error,
)  # fmt: skip
"""What reading a damaged file may end in: the library takes what it finds there at its word."""


class GeoUnusable(Exception):
    """A database file that cannot be used; its text says why."""


class Database:
    """A file as it was when it was opened."""

    __slots__ = ("_reader", "built", "kind")

    def __init__(self, reader: maxminddb.Reader) -> None:
        self._reader = reader
        metadata = reader.metadata()
        self.kind = metadata.database_type
        """What its maker calls it."""
        self.built = float(metadata.build_epoch)
        """Seconds since 1970."""

    def find(self, host: str, what: What) -> str:
        """The country (ISO 3166 letters) or autonomous system of a numeric host; ``""`` for none.

        Raises:
            GeoUnusable: the file is damaged there.
        """
        try:
            address = _unmapped(host)
        except ValueError:
            return ""
        try:
            record = self._reader.get(address)
        except _DAMAGED as error:
            if isinstance(error, ValueError) and address.version == 6:
                return ""  # A database of IPv4 addresses knows no other.
            raise GeoUnusable(f"it is damaged: {error}") from None
        return _value_of(record, what)

    def holds(self, what: What) -> bool:
        """Whether it knows countries, or autonomous systems.

        Raises:
            GeoUnusable: the file is damaged.
        """
        try:
            records = list(islice(self._reader, _SAMPLE))
        except _DAMAGED as error:
            raise GeoUnusable(f"it is damaged: {error}") from None
        return any(_value_of(record, what) for _, record in records)


def open_database(path: Path, what: What) -> Database:
    """Read a file and see that it is whole and holds what is wanted.

    Reads a whole file: inside a running loop, call it from a thread.

    Raises:
        GeoUnusable: it cannot be used.
    """
    try:
        data = io.BytesIO(_bounded(path))
        database = Database(maxminddb.open_database(data, maxminddb.MODE_FD))
    except _DAMAGED as error:
        raise GeoUnusable(_why(error)) from None
    if not database.holds(what):
        wanted = "countries" if what == "country" else "autonomous systems"
        raise GeoUnusable(f"it is a database of kind {database.kind!r} and holds no {wanted}")
    return database


def _bounded(path: Path) -> bytes:
    if not path.is_dir() and not stat.S_ISREG(path.stat().st_mode):
        # On a pipe one might wait for ever.
        raise ValueError("it is no regular file")
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"longer than {MAX_BYTES} bytes")
    return data


def _unmapped(host: str) -> IPv4Address | IPv6Address:
    """An address; one of IPv4 written as IPv6 (RFC 4291 §2.5.5.2) is one of IPv4."""
    address = ip_address(host)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _why(error: Exception) -> str:
    if isinstance(error, maxminddb.InvalidDatabaseError):
        return "it is no database in MaxMind's format, or only a part of one"
    return f"cannot be read: {why_unreadable(error)}"


def _value_of(record: object, what: What) -> str:
    if not isinstance(record, Mapping):
        return ""
    return _country_of(record) if what == "country" else _asn_of(record)


def _country_of(record: Mapping[str, object]) -> str:
    """The country where it is; failing that the one where it is registered.

    Other makers write the letters where MaxMind has a mapping with them.
    """
    for key in ("country", "registered_country", "country_code"):
        found = record.get(key)
        if isinstance(found, Mapping):
            found = found.get("iso_code")
        if isinstance(found, str) and _COUNTRY.fullmatch(found) is not None:
            return found
    return ""


def _asn_of(record: Mapping[str, object]) -> str:
    for key in ("autonomous_system_number", "asn"):
        match = _ASN.fullmatch(str(record.get(key, "")))
        if match is not None:
            return match[1]
    return ""
