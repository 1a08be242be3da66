"""What is kept, how much of it, and what happens when it is damaged."""

import os
from pathlib import Path

import pytest

from sbc.state.database import StoreDamaged
from sbc.state.versions import store as module
from sbc.state.versions.disk import read_bounded
from sbc.state.versions.store import VersionStore, read_versions
from sbc.state.versions.version import Read, Standing


def a_read(text: str) -> Read:
    return Read("/etc/sbc.yaml", {"/etc/sbc.yaml": text.encode(), "/etc/p": b"same"}, {"/c": "ab"})


def keep(store: VersionStore, *texts: str) -> None:
    for text in texts:
        store.keep(a_read(text), who="root", why="", at=1.0)


def numbers(directory: Path) -> list[int]:
    return [version.number for version in read_versions(directory)[0]]


@pytest.fixture
def store(tmp_path: Path) -> VersionStore:
    return VersionStore(tmp_path / "versions")


def test_what_was_kept_is_there_again(store: VersionStore) -> None:
    keep(store, "one", "two")
    store.stand(Standing(2, 1, 99.0, written=False))
    store.close()
    again = VersionStore(store.directory)
    assert again.versions == store.versions
    assert again.standing == Standing(2, 1, 99.0, written=False)
    assert again.files(again.versions[0])["/etc/sbc.yaml"] == b"one"
    assert again.versions[0].referred == {"/c": "ab"}


def test_what_versions_share_is_kept_once(store: VersionStore) -> None:
    keep(store, "one", "two", "three")
    assert len(list((store.directory / "files").iterdir())) == 4


def test_the_oldest_go_but_never_those_that_stand(
    store: VersionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_VERSIONS", 3)
    keep(store, *(str(number) for number in range(1, 8)))
    store.stand(Standing(6, 1, 9.0))
    store.forget_old()
    assert numbers(store.directory) == [1, 6, 7]
    assert len(list((store.directory / "files").iterdir())) == 4


def test_they_are_bounded_in_bytes_too(
    store: VersionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 250)
    keep(store, *(str(number) * 100 for number in range(1, 5)))
    store.stand(Standing(1, 1))
    store.forget_old()
    assert numbers(store.directory) == [1, 4]


def test_a_number_is_never_given_twice(store: VersionStore) -> None:
    keep(store, "one", "two", "three")
    store.stand(Standing(3, 3))
    (store.directory / "2.json").unlink()
    keep(store, "four")
    assert numbers(store.directory) == [1, 3, 4]


def test_what_an_ended_process_left_half_written_goes(store: VersionStore) -> None:
    keep(store, "one")
    store.stand(Standing(1, 1))
    left = store.directory / "files" / ".abc.new"
    left.write_text("half")
    store.forget_old()
    assert not left.exists()


@pytest.mark.parametrize("text", ["", "[]", "{}x", '{"number": 1}', '{"in_force": 7}'])
def test_what_is_damaged_is_told(store: VersionStore, text: str) -> None:
    keep(store, "one")
    store.stand(Standing(1, 1))
    store.close()
    (store.directory / "standing.json").write_text(text)
    with pytest.raises(StoreDamaged, match=r"standing\.json"):
        VersionStore(store.directory)


def test_nobody_waits_for_a_pipe_that_stands_for_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "list")
    for path in (tmp_path / "list", Path("/dev/zero")):
        with pytest.raises(ValueError, match="it is no regular file"):
            read_bounded(path)
    with pytest.raises(IsADirectoryError):
        read_bounded(tmp_path)
