"""Files of sets and databases that change while they are in use."""

import os
from pathlib import Path
from typing import cast

import pytest

from sbc.config.files import read_text
from sbc.config.geo import FAILURE_VALUES
from sbc.geo.places import GeoSettings, open_places
from sbc.management.file_changes import LOOK_S
from sbc.management.lists import ListWatch
from sbc.management.log import Log
from sbc.policy.sets import EntrySet, read_entries
from tests.kit.geo import COUNTRIES, written

NOON = 1_800_000_000.0


class Told:
    """A log that remembers."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str]] = []
        self.advice: list[str] = []

    def info(self, event: str, **fields: str) -> None:
        self.lines.append(("info", event, fields.get("trouble", "")))

    def error(self, event: str, **fields: str) -> None:
        self.lines.append(("error", event, fields["trouble"]))
        self.advice.append(fields["advice"])


def feed(path: Path, text: str, **more: float) -> EntrySet:
    entries, faults = read_entries("networks", text.split("\n"))
    assert faults == []
    return EntrySet("feed", "networks", entries, file=str(path), **more)


def write(path: Path, text: str, at: float) -> None:
    path.write_text(text)
    os.utime(path, (at, at))


class Watching:
    """A watch over sets and databases, whose clock goes on from look to look."""

    def __init__(self, *sets: EntrySet, geo: GeoSettings | None = None) -> None:
        self.now = NOON
        self.told = Told()
        self.places = open_places(geo or GeoSettings(), FAILURE_VALUES)
        self.watch = ListWatch(cast("Log", self.told), read=read_text, wall=lambda: self.now)
        self.watch.watch(sets, self.places)

    async def looks(self, number: int) -> None:
        """As so many turns of `ListWatch.run`."""
        for _ in range(number):
            await self.watch.look()
            self.now += LOOK_S


async def test_a_changed_file_is_taken_when_two_looks_find_the_same(
    tmp_path: Path,
) -> None:
    path = tmp_path / "feed.txt"
    write(path, "192.0.2.1", NOON - 10)
    bad = feed(path, "192.0.2.1")
    watching = Watching(bad)
    await watching.looks(3)
    write(path, "192.0.2.1\n192.0.2.2", NOON)
    await watching.looks(1)
    assert bad.find("192.0.2.2") is None
    await watching.looks(1)
    assert bad.find("192.0.2.2") == "192.0.2.2"
    assert watching.told.lines == [("info", "list taken", "")]


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("192.0.2.1\nbad\nworse\n", ":2: 'bad' is neither an address nor a prefix, and 1 more"),
        (None, "cannot be read: no such file or directory"),
    ],
)
async def test_while_a_file_is_broken_or_missing_what_was_read_before_goes_on(
    tmp_path: Path, text: str | None, trouble: str
) -> None:
    path = tmp_path / "feed.txt"
    write(path, "192.0.2.1", NOON - 10)
    bad = feed(path, "192.0.2.1")
    watching = Watching(bad)
    await watching.looks(2)
    path.unlink()
    if text is not None:
        write(path, text, NOON)
    await watching.looks(4)
    assert bad.find("192.0.2.1") == "192.0.2.1"
    assert trouble in bad.trouble
    assert trouble in str(watching.watch.listing())
    write(path, "192.0.2.2", NOON + 1)
    await watching.looks(3)
    assert (bad.find("192.0.2.1"), bad.find("192.0.2.2")) == (None, "192.0.2.2")
    error, *rest = watching.told.lines
    assert error[:2] == ("error", "list")
    assert trouble in error[2]
    assert rest == [("info", "list taken", ""), ("info", "list", "over")]
    (advice,) = watching.told.advice
    assert advice.startswith("what was read before goes on; ")


async def test_a_file_that_nobody_renews_counts_no_more_and_the_operator_is_told_once(
    tmp_path: Path,
) -> None:
    path = tmp_path / "feed.txt"
    write(path, "192.0.2.1", NOON - 3590)
    bad = feed(path, "192.0.2.1", expires_s=3600)
    watching = Watching(bad)
    await watching.looks(2)
    assert bad.find("192.0.2.1") == "192.0.2.1"
    await watching.looks(3)
    assert bad.find("192.0.2.1") is None
    row = cast("dict[str, dict[str, object]]", watching.watch.listing()["sets"])["feed"]
    assert (row["entries"], row["trouble"]) == (
        0,
        "it has not changed for 3600 s, so none of its entries counts any more",
    )
    assert [line for line in watching.told.lines if line[1] == "list"] == [
        ("error", "list", row["trouble"])
    ]
    path.unlink()
    await watching.looks(2)
    missing = "see why nobody renews it; a good file is taken without a reload"
    assert watching.told.advice == [missing, missing]


async def test_entries_end_at_their_time_without_any_change(
    tmp_path: Path,
) -> None:
    entries, _ = read_entries("networks", ["192.0.2.1 until 2027-01-15T08:00:30Z"])
    short = EntrySet("short", "networks", entries)
    watching = Watching(short)
    await watching.looks(1)
    assert short.entries == 1
    await watching.looks(6)
    assert (short.entries, short.find("192.0.2.1")) == (0, None)


async def test_a_database_is_exchanged_and_a_broken_one_is_not_taken(
    tmp_path: Path,
) -> None:
    path = tmp_path / "country.mmdb"
    settings = GeoSettings(country=path)
    watching = Watching(geo=settings)
    places = watching.places
    await watching.looks(3)
    assert places.country("203.0.113.9") == FAILURE_VALUES["closed"]
    written(path, COUNTRIES)
    await watching.looks(3)
    assert places.country("203.0.113.9") == "DE"
    path.write_bytes(path.read_bytes()[:100])
    await watching.looks(3)
    assert places.country("203.0.113.9") == "DE"
    written(path, {"203.0.113.0/24": {"country": {"iso_code": "AT"}}})
    await watching.looks(3)
    assert places.country("203.0.113.9") == "AT"
    assert [line[:2] for line in watching.told.lines] == [
        ("error", "list"),
        ("info", "list taken"),
        ("info", "list"),
        ("error", "list"),
        ("info", "list taken"),
        ("info", "list"),
    ]
