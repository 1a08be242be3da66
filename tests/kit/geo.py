"""Small databases of places, in MaxMind's format."""

from pathlib import Path

from mmdb_writer import MMDBWriter
from netaddr import IPSet

COUNTRIES: dict[str, dict[str, object]] = {
    "203.0.113.0/24": {"country": {"iso_code": "DE"}, "registered_country": {"iso_code": "US"}},
    "198.51.100.0/25": {"registered_country": {"iso_code": "JM"}},
    "198.51.100.128/25": {"country": "FR", "asn": "AS64501"},
    "192.0.2.0/24": {"country_code": "AT"},
    "233.252.0.0/24": {"country": {"iso_code": "not letters"}},
    "2001:db8::/32": {"country": {"iso_code": "CH"}},
}
SYSTEMS: dict[str, dict[str, object]] = {"203.0.113.0/24": {"autonomous_system_number": 64500}}


def written(path: Path, records: dict[str, dict[str, object]], kind: str = "Test") -> Path:
    """A database file of some records, which knows IPv4 and IPv6."""
    writer = MMDBWriter(6, kind, ipv4_compatible=True)
    for network, record in records.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(path))
    return path
