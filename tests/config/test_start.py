"""What a process begins with, and what of it is kept."""

from pathlib import Path

import pytest

from sbc.config.files import Files
from sbc.config.load import load_file
from sbc.config.start import Start, begin, read_of
from sbc.state.database import StoreInUse
from sbc.state.versions import store
from sbc.state.versions.history import Change, History
from sbc.state.versions.store import VersionStore, read_versions
from tests.config.files import GOOD, POLICIES, FakeMachine

NOW = 1.7e9
TEXT = GOOD + "state_dir: state\n"
OTHER = TEXT.replace("name: out", "name: other")


class Disk:
    def __init__(self, directory: Path) -> None:
        self.main = directory / "sbc.yaml"
        self.main.write_text(TEXT)
        self.policy = directory / "edge.yaml"
        self.policy.write_text(POLICIES["edge.yaml"])
        self.versions = directory / "state" / "versions"

    def begin(self) -> Start:
        start = begin(self.main, NOW, "root", FakeMachine(), {})
        if start.history is not None:
            start.history.store.close()
        return start

    def try_out(self, text: str) -> None:
        """Apply a text that is to be confirmed, as far as `finish`."""
        history = History(VersionStore(self.versions))
        files = Files({str(self.main): text.encode()})
        configuration = load_file(self.main, FakeMachine(), {}, files).configuration
        assert configuration is not None
        change = Change("root", confirm_s=60, writes=True)
        history.begin(read_of(configuration, files), change, NOW)
        history.finish()
        history.store.close()


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def route_of(start: Start) -> str:
    configuration = start.result.configuration
    assert configuration is not None
    return configuration.settings.routes[2].name


def test_the_first_start_keeps_the_first_version(disk: Disk) -> None:
    start = disk.begin()
    assert start.told == ()
    assert start.result.configuration is not None
    assert start.result.configuration.version == 1
    (version,), standing = read_versions(disk.versions)
    assert (version.who, version.why) == ("root", "the process was started with it")
    assert set(version.files) == {str(disk.main), str(disk.policy)}
    assert standing.in_force == standing.confirmed == 1


def test_the_same_files_are_the_same_version(disk: Disk) -> None:
    disk.begin()
    disk.begin()
    assert len(read_versions(disk.versions)[0]) == 1


def test_what_was_edited_since_is_what_is_begun_with(disk: Disk) -> None:
    disk.begin()
    disk.main.write_text(OTHER)
    start = disk.begin()
    assert route_of(start) == "other"
    assert read_versions(disk.versions)[1].in_force == 2


def test_a_broken_file_is_not_begun_with_and_keeps_nothing(disk: Disk) -> None:
    disk.main.write_text("networks: 1\n")
    start = disk.begin()
    assert start.result.errors
    assert start.history is None
    assert not disk.versions.exists()


def test_what_nobody_confirmed_is_gone_back_from(disk: Disk) -> None:
    disk.begin()
    disk.try_out(OTHER)
    assert disk.main.read_text() == OTHER
    start = disk.begin()
    assert route_of(start) == "out"
    assert disk.main.read_text() == TEXT
    assert start.told == (
        "version 2 was not confirmed, so back to version 1; that is version 3 now",
        f"{disk.main} was written",
    )
    assert disk.begin().told == ()


def test_what_an_operator_wrote_meanwhile_is_not_thrown_away(disk: Disk) -> None:
    disk.begin()
    disk.try_out(OTHER)
    disk.main.write_text("state_dir: state\nhalf: an edit\n")
    assert route_of(disk.begin()) == "out"
    assert (
        disk.main.with_name("sbc.yaml.replaced").read_text() == "state_dir: state\nhalf: an edit\n"
    )


def test_where_nothing_can_be_written_it_is_read_from_where_it_was_kept(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.begin()
    disk.try_out(OTHER)
    write_whole = store.write_whole

    def refuse(path: Path, data: bytes, **more: int) -> None:
        if path.parent.resolve() / path.name == disk.main:
            raise PermissionError(13, "read-only file system")
        write_whole(path, data, **more)

    monkeypatch.setattr(store, "write_whole", refuse)
    start = disk.begin()
    assert route_of(start) == "out"
    assert disk.main.read_text() == OTHER
    assert "read from where it was kept" in start.told[1]


def test_versions_of_another_file_are_left_alone(disk: Disk, tmp_path: Path) -> None:
    disk.begin()
    disk.try_out(OTHER)
    disk.main = tmp_path / "second.yaml"
    disk.main.write_text(TEXT)
    assert disk.begin().told == ()
    assert (tmp_path / "sbc.yaml").read_text() == OTHER


def test_the_directory_is_the_owners_alone(disk: Disk) -> None:
    disk.begin()
    assert disk.versions.stat().st_mode & 0o777 == 0o700
    files = [path for path in disk.versions.rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_two_processes_do_not_share_versions(disk: Disk) -> None:
    start = begin(disk.main, NOW, "root", FakeMachine(), {})
    assert start.history is not None
    with pytest.raises(StoreInUse):
        begin(disk.main, NOW, "root", FakeMachine(), {})
    start.history.store.close()


def test_a_variable_stays_a_name_in_what_is_kept(disk: Disk) -> None:
    text = TEXT.replace("name: out", "name: '${WHAT}'")
    disk.main.write_text(text)
    start = begin(disk.main, NOW, "root", FakeMachine(), {"WHAT": "secret"})
    assert start.history is not None
    version = start.history.version
    assert version is not None
    assert start.history.store.files(version)[str(disk.main)] == text.encode()
    start.history.store.close()


SETS = """
sets:
  fetched: {kind: networks, file: fetched.txt, optional: true}
  ending: {kind: networks, file: ending.txt, entries: 192.0.2.9 until 2099-01-01}
  old: {kind: networks, file: old.txt, expires: 60}
  outside: {kind: networks, file: ../outside.txt}
  linked: {kind: networks, file: linked.txt}
  ours: {kind: networks, file: ours.txt, entries: 192.0.2.9 until 2099-01-01}
"""


def test_what_others_renew_is_told_apart_and_makes_no_version(tmp_path: Path) -> None:
    home = tmp_path / "sbc"
    home.mkdir()
    disk = Disk(home)
    for name in ("fetched.txt", "old.txt", "../outside.txt", "../real.txt", "ours.txt"):
        (home / name).write_text("192.0.2.1\n")
    (home / "ending.txt").write_text("192.0.2.1 until 2099-01-01\n")
    (home / "linked.txt").symlink_to(tmp_path / "real.txt")
    disk.policy.write_text(SETS + POLICIES["edge.yaml"])
    assert disk.begin().result.errors == ()
    (version,), _ = read_versions(disk.versions)
    outside = f"it lies outside {home}"
    assert version.feeds == {
        str(home / "fetched.txt"): "its set is `optional`",
        str(home / "ending.txt"): "entries in it end (`until`)",
        str(home / "old.txt"): "its set `expires`",
        str(home / "../outside.txt"): outside,
        str(home / "linked.txt"): outside,
    }
    assert str(home / "ours.txt") in version.files
    for path in version.feeds:
        Path(path).write_text("192.0.2.2 until 2099-01-01\n")
    disk.begin()
    assert len(read_versions(disk.versions)[0]) == 1
    (home / "ours.txt").write_text("192.0.2.2\n")
    disk.begin()
    assert len(read_versions(disk.versions)[0]) == 2
