"""Databases of places: what they know, what is refused, and what holds while there is none."""

import os
import random
from ipaddress import ip_network
from pathlib import Path

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from sbc.config.geo import FAILURE_VALUES
from sbc.geo.database import GeoUnusable, open_database
from sbc.geo.places import GeoPlaces, GeoSettings, OnFailure, open_places
from sbc.policy.access import decide
from sbc.policy.facts import Facts
from sbc.policy.load import combine, load_policy
from sbc.policy.world import World
from tests.kit.geo import COUNTRIES, SYSTEMS, written


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("geo") / "country.mmdb", COUNTRIES, "Test-Country")


def opened(
    country: Path | None, asn: Path | None = None, on_failure: OnFailure = "closed"
) -> GeoPlaces:
    return open_places(GeoSettings(country, asn, on_failure), FAILURE_VALUES)


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("203.0.113.9", "DE"),
        ("198.51.100.9", "JM"),
        ("198.51.100.200", "FR"),
        ("192.0.2.1", "AT"),
        ("233.252.0.1", ""),
        ("2001:db8::7", "CH"),
        ("2001:db9::7", ""),
        ("::ffff:203.0.113.9", "DE"),
        ("10.0.0.1", ""),
        ("no address", ""),
        ("", ""),
    ],
)
def test_an_address_is_in_the_country_that_the_database_says(
    country: Path, host: str, known: str
) -> None:
    assert opened(country).country(host) == known


def test_autonomous_systems_come_from_a_database_of_their_own(
    country: Path, tmp_path: Path
) -> None:
    places = opened(country, written(tmp_path / "asn.mmdb", SYSTEMS, "Test-ASN"))
    assert (places.asn("203.0.113.9"), places.asn("192.0.2.1")) == ("64500", "")
    assert opened(None, country).asn("198.51.100.200") == "64501"
    assert places.trouble == {}


def test_without_any_database_everything_is_nowhere() -> None:
    places = opened(None)
    assert (places.country("203.0.113.9"), places.asn("203.0.113.9")) == ("", "")


def test_a_database_of_ipv4_alone_knows_no_other_address(tmp_path: Path) -> None:
    writer = MMDBWriter(4, "Test-Country")
    writer.insert_network(IPSet(["203.0.113.0/24"]), {"country": {"iso_code": "DE"}})
    writer.to_db_file(str(tmp_path / "4.mmdb"))
    places = opened(tmp_path / "4.mmdb")
    assert (places.country("203.0.113.9"), places.country("2001:db8::1")) == ("DE", "")
    assert places.trouble == {}


def test_nobody_waits_for_a_pipe_that_stands_for_a_database(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "country.mmdb")
    with pytest.raises(GeoUnusable, match="it is no regular file"):
        open_database(tmp_path / "country.mmdb", "country")
    with pytest.raises(GeoUnusable, match="is a directory"):
        open_database(tmp_path, "country")


def test_a_file_that_is_overwritten_in_place_goes_on_as_it_was(
    country: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.mmdb"
    copy.write_bytes(country.read_bytes())
    places = opened(copy)
    with copy.open("r+b") as file:
        file.write(bytes(country.stat().st_size))
        file.truncate(10)
    assert places.country("203.0.113.9") == "DE"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda data: data[: len(data) // 2], "it is no database in MaxMind's format"),
        (lambda data: data[:-10], "it is no database in MaxMind's format"),
        (lambda _: b"", "it is no database in MaxMind's format"),
        (lambda _: b"<html>Please log in</html>", "it is no database in MaxMind's format"),
    ],
)
def test_a_file_that_is_not_whole_is_refused(
    country: Path, tmp_path: Path, change, why: str
) -> None:
    path = tmp_path / "broken.mmdb"
    path.write_bytes(change(country.read_bytes()))
    with pytest.raises(GeoUnusable, match=why):
        open_database(path, "country")


def test_a_file_that_knows_something_else_is_refused(tmp_path: Path) -> None:
    asn = written(tmp_path / "asn.mmdb", SYSTEMS, "Test-ASN")
    with pytest.raises(GeoUnusable, match="of kind 'Test-ASN' and holds no countries"):
        open_database(asn, "country")


def test_a_file_that_is_not_there_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(GeoUnusable, match="cannot be read: no such file or directory"):
        open_database(tmp_path / "none", "asn")


@pytest.mark.parametrize("seed", range(60))
def test_whatever_is_damaged_gives_an_answer_or_says_so(
    country: Path, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    data = bytearray(country.read_bytes())
    for _ in range(chance.randrange(1, 200)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    path = tmp_path / "damaged.mmdb"
    path.write_bytes(data)
    places = opened(path)
    known = {places.country(str(net[1])) for net in map(ip_network, COUNTRIES)}
    assert all(one in FAILURE_VALUES.values() or len(one) in (0, 2) for one in known)


def decisions(places: GeoPlaces, *, host: str = "203.0.113.9", text: str) -> str:
    policy = combine([load_policy(text, "p")])
    facts = Facts("outside", False, host, "INVITE", world=World(places=places))
    return decide(policy, facts).rule


BLOCK = """\
rules:
  - {name: exception, when: {source_country: CH}, then: allow}
  - {name: block, when: {source_country: [KP, DE]}, then: drop}
  - {name: not from home, when: {not: {source_country: [FR]}}, then: reject}
  - {name: rest, then: allow}
"""
ONLY = """\
rules:
  - {name: home, when: {source_country: [FR]}, then: allow}
  - {name: rest, then: drop}
"""


@pytest.mark.parametrize(
    ("text", "on_failure", "rule"),
    [
        # Who would have to be told is kept out, and no exception holds.
        (BLOCK, "closed", "block"),
        (ONLY, "closed", "rest"),
        # Nobody is kept out.
        (BLOCK, "open", "exception"),
        (BLOCK.replace("CH}, then: allow", "CH}, then: drop"), "open", "rest"),
        (ONLY, "open", "home"),
        (ONLY.replace("source_country: [FR]", "not: {source_country: [KP]}"), "open", "home"),
        (ONLY.replace("source_country: [FR]", "not: {source_country: [KP]}"), "closed", "rest"),
    ],
)
def test_without_a_database_rules_fail_as_it_is_configured(
    tmp_path: Path, text: str, on_failure: OnFailure, rule: str
) -> None:
    places = opened(tmp_path / "none", on_failure=on_failure)
    assert decisions(places, text=text) == rule


def test_an_explanation_says_that_the_database_failed(tmp_path: Path) -> None:
    policy = combine([load_policy(BLOCK, "p")])
    world = World(places=opened(tmp_path / "none"))
    decision = decide(policy, Facts("outside", False, "203.0.113.9", "INVITE", world=world))
    assert decision.explanation == (
        "drop by rule 'block' (p:3): source_country database failed (closed) (DE|KP wanted)"
    )


def test_private_addresses_are_nowhere_whether_the_database_failed_or_not(tmp_path: Path) -> None:
    places = opened(tmp_path / "none", tmp_path / "none")
    for host in ("10.1.2.3", "192.168.1.1", "100.64.0.1", "fd00::1", "fe80::1", "127.0.0.1"):
        assert (places.country(host), places.asn(host)) == ("", "")


def test_many_rules_fail_as_few_do(tmp_path: Path) -> None:
    others = "".join(
        f"  - {{name: o{n}, when: {{source_country: KP, method: M{chr(65 + n)}}}, then: drop}}\n"
        for n in range(20)
    )
    text = BLOCK.replace("rules:\n", "rules:\n" + others)
    assert decisions(opened(tmp_path / "none"), text=text) == "block"
    assert decisions(opened(tmp_path / "none", on_failure="open"), text=text) == "exception"


def test_what_was_in_use_goes_on_when_a_reload_finds_the_file_broken(
    country: Path, tmp_path: Path
) -> None:
    path = tmp_path / "country.mmdb"
    path.write_bytes(country.read_bytes())
    before = opened(path)
    path.write_bytes(b"")
    after = opened(path)
    assert after.country("203.0.113.9") in FAILURE_VALUES.values()
    after.inherit(before)
    assert after.country("203.0.113.9") == "DE"
    assert "no database" in after.trouble["country"]
    elsewhere = opened(tmp_path / "none")
    elsewhere.inherit(before)
    assert elsewhere.country("203.0.113.9") in FAILURE_VALUES.values()


def test_an_earlier_rule_for_the_same_country_shadows_a_later_one_whatever_they_do() -> None:
    policy = load_policy(
        """\
rules:
  - {name: all of it, when: {source_country: [DE, AT]}, then: allow}
  - {name: never, when: {source_country: DE}, then: drop}
""",
        "p",
    )
    (problem,) = policy.problems
    assert "'never' can never match" in problem.message
