"""Bindings on disk: what changed is there one batch later, and the next process finds it."""

import sqlite3
from pathlib import Path

import pytest
import trio

from sbc.state.bindings import MAX_WAITING, BindingStore
from sbc.state.bindings_file import BindingsFile
from sbc.state.database import StoreInUse, StoreUnusable
from tests.kit.patience import PATIENCE_S

SECRET = b"s" * 32
NOW = 5000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "registrations.sqlite"


def a_store(path: Path, troubles: list[str] | None = None, secret: bytes = SECRET) -> BindingStore:
    told = [] if troubles is None else troubles
    return BindingStore(path, secret, on_trouble=told.append, wall=lambda: NOW)


async def run_with(store: BindingStore, *rows: tuple[str, float, str]) -> None:
    """Run a store, put rows, and stop it in order."""
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            await nursery.start(store.run)
            for row in rows:
                store.put(*row)
            nursery.cancel_scope.cancel()


async def test_the_next_process_finds_what_lives_and_nothing_else(path: Path) -> None:
    await run_with(a_store(path), ("a", NOW + 60, "A"), ("b", NOW + 9, "B"), ("c", NOW, "C"))
    heir = a_store(path)
    await run_with(heir)
    assert heir.take_found() == ["B", "A"]
    assert heir.take_found() == []


async def test_what_was_forgotten_is_gone_and_what_changed_is_there_once(path: Path) -> None:
    store = a_store(path)
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            await nursery.start(store.run)
            store.put("a", NOW + 60, "old")
            store.put("b", NOW + 60, "B")
            await store.flush()
            store.put("a", NOW + 90, "new")
            store.forget("b")
            store.forget("never there")
            await store.flush()
            nursery.cancel_scope.cancel()
    heir = a_store(path)
    await run_with(heir)
    assert heir.take_found() == ["new"]
    assert store.statistics.written == 5


async def test_the_key_of_the_tokens_is_the_first_one_for_ever(path: Path) -> None:
    await run_with(a_store(path))
    heir = a_store(path, secret=b"another" * 4)
    await run_with(heir)
    assert heir.secret == SECRET


def test_nobody_else_may_read_the_file(path: Path) -> None:
    trio.run(run_with, a_store(path), ("a", NOW + 60, "A"))
    assert path.stat().st_mode & 0o077 == 0


async def test_a_disk_that_fails_is_told_once_and_loses_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    troubles: list[str] = []
    store = a_store(path, troubles)
    write = BindingsFile.write
    full = [True, True]

    def sometimes(file: BindingsFile, rows: dict[str, object]) -> None:
        if full:
            full.pop()
            raise sqlite3.OperationalError("disk is full")
        write(file, rows)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(BindingsFile, "write", sometimes)
    monkeypatch.setattr("sbc.state.bindings.TRY_AGAIN_S", 0.0)
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            await nursery.start(store.run)
            store.put("a", NOW + 60, "A")
            await store.flush()
            nursery.cancel_scope.cancel()
    assert troubles == ["disk is full", ""]
    assert (store.statistics.failed_writes, store.statistics.written) == (2, 1)


def test_more_changes_than_a_dead_disk_may_hold_back_are_counted_as_lost(path: Path) -> None:
    store = a_store(path)
    for number in range(MAX_WAITING + 3):
        store.forget(str(number))
    store.put("0", NOW, "what waits already may change")
    assert store.statistics.lost == 3


async def test_a_second_process_is_refused(path: Path) -> None:
    with pytest.raises(BaseExceptionGroup) as caught:  # noqa: PT012 - the nursery is the point
        async with trio.open_nursery() as nursery:
            await nursery.start(a_store(path).run)
            await nursery.start(a_store(path).run)
    assert caught.group_contains(StoreInUse, match="is written by process")


def test_a_file_that_is_none_of_ours_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(StoreUnusable, match="not a database"):
        trio.run(a_store(path).run)
