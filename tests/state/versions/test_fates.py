"""Which of the operator's files a version is written over, and through which links."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sbc.state.database import StoreUnusable
from sbc.state.versions.store import VersionStore
from sbc.state.versions.version import Read, Standing, Version

EXPIRES = "its set `expires`"


class Home:
    """The directory of a configuration, another one that is none of its business, and a store."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "sbc"
        self.elsewhere = directory / "elsewhere"
        for one in (self.path, self.elsewhere):
            one.mkdir()
        self.main = self.path / "sbc.yaml"
        self.store = VersionStore(directory / "versions")

    def keep(self, *paths: Path, feeds: tuple[Path, ...] = ()) -> Version:
        """A version that has ``new`` in every file."""
        files = {str(path): b"new" for path in (*paths, *feeds)}
        read = Read(str(self.main), files, {}, {str(path): EXPIRES for path in feeds})
        return self.store.keep(read, who="root", why="", at=1.0)

    def write(self, version: Version) -> list[tuple[str, str, str]]:
        fates = self.store.fates(version)
        assert self.store.write_out(version) == fates
        return [(Path(one.path).name, one.what, one.why) for one in fates]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    one = Home(tmp_path)
    yield one
    one.store.close()


def old(path: Path, text: str = "old") -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_a_link_that_is_put_there_meanwhile_leads_nowhere(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = old(home.path / "sets" / "list.txt")
    version = home.keep(place)
    kept, asked = home.store.kept, []

    def and_then_a_link(version: Version) -> dict[str, bytes]:
        asked.append(version)
        if len(asked) == 2:
            place.parent.rename(home.path / "away")
            place.parent.symlink_to(home.elsewhere)
        return kept(version)

    monkeypatch.setattr(home.store, "kept", and_then_a_link)
    with pytest.raises(StoreUnusable, match=r"leads to .*elsewhere all of a sudden"):
        home.store.write_out(version)
    assert list(home.elsewhere.iterdir()) == []


@pytest.mark.parametrize("what", ["pipe", "huge"])
def test_what_nobody_wrote_by_hand_is_not_waited_for_and_stays(home: Home, what: str) -> None:
    place = home.path / "list.txt"
    if what == "pipe":
        os.mkfifo(place)
    else:
        place.touch()
        os.truncate(place, 2**40)
    ((name, fate, why),) = [
        (Path(one.path).name, one.what, one.why)
        for one in home.store.fates(home.keep(place, old(home.main, "new")))
    ]
    assert (name, fate) == ("list.txt", "refuse")
    assert why.startswith("what stands there is not what a version had: ")
    with pytest.raises(StoreUnusable, match=r"list\.txt: what stands there"):
        home.store.write_out(home.store.versions[-1])
    assert place.is_fifo() is (what == "pipe")


def test_a_link_within_the_directory_is_followed_and_modes_stay(home: Home) -> None:
    real = old(home.path / "real.yaml")
    real.chmod(0o640)
    home.main.symlink_to(real)
    aside = home.path / "sbc.yaml.replaced"
    why = f"what stands there, and in no version, is {aside} then"
    assert home.write(home.keep(home.main)) == [("sbc.yaml", "write", why)]
    assert home.main.is_symlink()
    assert real.read_text() == "new"
    assert real.stat().st_mode & 0o777 == 0o640
    assert aside.read_text() == "old"


def test_a_link_that_leads_out_is_replaced_and_what_is_behind_it_left_alone(home: Home) -> None:
    foreign = old(home.elsewhere / "shadow")
    link = home.path / "edge.yaml"
    link.symlink_to(foreign)
    ((_, what, why),) = home.write(home.keep(link))
    assert (what, why) == (
        "write",
        f"in place of a link that leads out of {home.path}; {foreign} is left alone",
    )
    assert not link.is_symlink()
    assert (link.read_text(), foreign.read_text()) == ("new", "old")
    assert link.stat().st_mode & 0o777 == 0o600
    assert list(home.path.iterdir()) == [link]


def test_nothing_is_kept_aside_through_a_link(home: Home) -> None:
    foreign = old(home.elsewhere / "shadow", "secret")
    old(home.main)
    aside = home.path / "sbc.yaml.replaced"
    aside.symlink_to(foreign)
    home.write(home.keep(home.main))
    assert (aside.is_symlink(), aside.read_text()) == (False, "old")
    assert foreign.read_text() == "secret"


@pytest.mark.parametrize("name", ["linked/edge.yaml", "linked/../elsewhere/edge.yaml"])
def test_nothing_is_written_behind_a_directory_that_leads_out(home: Home, name: str) -> None:
    foreign = old(home.elsewhere / "edge.yaml")
    (home.path / "linked").symlink_to(home.elsewhere)
    version = home.keep(home.path / name, home.main)
    assert [one.what for one in home.store.fates(version)] == ["refuse", "write"]
    with pytest.raises(StoreUnusable, match=rf"edge\.yaml: .* leads out of {home.path}"):
        home.store.write_out(version)
    assert foreign.read_text() == "old"
    assert home.main.read_text() == "new"


def test_links_in_a_circle_are_no_file(home: Home) -> None:
    home.main.symlink_to(home.main)
    with pytest.raises(StoreUnusable, match=r"sbc\.yaml: Too many levels of symbolic links"):
        home.store.fates(home.keep(home.main))


def test_a_file_that_is_named_elsewhere_is_written_there(home: Home) -> None:
    shared = old(home.elsewhere / "edge.yaml")
    old(home.path / "policies" / "edge.yaml")
    up = home.path / "policies" / ".." / ".." / "elsewhere" / "other.yaml"
    home.write(home.keep(shared, up, home.path / "policies" / "edge.yaml"))
    written = [shared, home.elsewhere / "other.yaml", home.path / "policies" / "edge.yaml"]
    assert [path.read_text() for path in written] == ["new", "new", "new"]


def test_a_home_that_is_a_link_itself_is_home(home: Home, tmp_path: Path) -> None:
    linked = tmp_path / "etc"
    linked.symlink_to(home.path)
    home.main = linked / "sbc.yaml"
    old(home.main)
    home.write(home.keep(home.main))
    assert (home.path / "sbc.yaml").read_text() == "new"


def test_a_feed_stays_as_it_is_and_is_read_as_it_is(home: Home) -> None:
    feed = old(home.path / "feed.txt")
    version = home.keep(feeds=(feed,))
    old(feed, "renewed")
    assert home.store.files(version) == {str(feed): b"renewed"}
    assert home.store.kept(version) == {str(feed): b"new"}
    assert home.write(version) == [("feed.txt", "leave", f"others renew it: {EXPIRES}")]
    assert feed.read_text() == "renewed"


def test_what_is_a_feed_by_the_version_in_force_was_one_for_earlier_ones(home: Home) -> None:
    feed = old(home.path / "feed.txt")
    before = home.keep(feed)
    home.store.stand(Standing(home.keep(feeds=(feed,)).number))
    old(feed, "renewed")
    assert home.store.files(before) == {str(feed): b"renewed"}
    assert home.write(before) == [("feed.txt", "leave", f"others renew it: {EXPIRES}")]


def test_a_feed_that_is_gone_is_what_it_was(home: Home) -> None:
    feed = home.path / "feed.txt"
    version = home.keep(feeds=(feed,))
    assert home.store.files(version) == {str(feed): b"new"}
    assert home.write(version) == [("feed.txt", "write", "")]
    assert feed.read_text() == "new"


def test_files_that_are_as_they_should_be_have_no_fate(home: Home) -> None:
    assert home.write(home.keep(old(home.main, "new"))) == []
