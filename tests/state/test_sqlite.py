import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from sbc.state import batches, sqlite
from sbc.state.cdr import CdrRecord, EndedBy, LegRecord, RtpTotals
from sbc.state.database import StoreInUse, StoreUnusable
from sbc.state.file import CdrFile, read_records
from sbc.state.rows import row_of
from sbc.state.sqlite import CdrStore
from tests.kit.patience import PATIENCE_S
from tests.state.records import a_record, in_progress


@dataclass
class Kept:
    """A store on a file, its clock and what it complained of."""

    path: Path
    now: float = 5000.0
    troubles: list[str] = field(default_factory=list)
    troubled: trio.Event = field(default_factory=trio.Event)

    def store(self) -> CdrStore:
        return CdrStore(self.path, wall=lambda: self.now, on_trouble=self._trouble)

    def _trouble(self, why: str) -> None:
        self.troubles.append(why)
        self.troubled.set()

    def records(self) -> dict[str, CdrRecord]:
        return {record.call: record for record in read_records(self.path, last=1000)}


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "state" / "cdr.sqlite")


async def run_with(store: CdrStore, *records: CdrRecord) -> None:
    """Run a store, put records, and stop it in order."""
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            await nursery.start(store.run)
            for record in records:
                store.put(record)
            nursery.cancel_scope.cancel()


async def test_what_was_put_is_read_back_after_an_orderly_stop(kept: Kept) -> None:
    store = kept.store()
    await run_with(store, a_record("c1"), a_record("c2", started_at=999.0))
    assert read_records(kept.path, last=10) == [a_record("c2", started_at=999.0), a_record("c1")]
    assert read_records(kept.path, last=1) == [a_record("c1")]
    assert store.statistics.put == store.statistics.written == 2


async def test_a_number_that_is_no_utf_8_is_written_all_the_same(kept: Kept) -> None:
    odd = b"\xff100".decode("utf-8", "surrogateescape")
    await run_with(kept.store(), a_record("c1", from_number=odd), a_record("c2"))
    records = kept.records()
    assert records["c1"].from_number == "?100"
    assert records["c2"] == a_record("c2")


async def test_a_call_is_found_by_the_beginning_of_its_id(kept: Kept) -> None:
    await run_with(kept.store(), a_record("abc1"), a_record("abd2"))
    assert [r.call for r in read_records(kept.path, last=10, call="abc")] == ["abc1"]
    assert read_records(kept.path, last=10, call="%") == []


def steps_of(read: Callable[[], list[CdrRecord]], patch: pytest.MonkeyPatch) -> tuple[int, int]:
    """How many records were found, and how many tens of steps SQLite took for it."""
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    connect = sqlite3.connect

    def counted(*arguments: Any, **more: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **more)
        connection.set_progress_handler(step, 10)
        return connection

    with patch.context() as patched:
        patched.setattr(sqlite3, "connect", counted)
        found = len(read())
    return found, steps


def test_a_call_is_found_by_bytes_that_are_no_text(kept: Kept) -> None:
    file = CdrFile(kept.path)
    leg = LegRecord(sip_call_id="a\udcff@x")
    file.write([row_of(a_record("c1", a=leg, b=LegRecord()))], 0.0)
    file.close()
    assert [one.call for one in read_records(kept.path, last=5, sip_call_id="a\udcff@x")] == ["c1"]
    assert read_records(kept.path, last=5, call="c\udcff") == []


@pytest.mark.parametrize("call_id", ["one", "x" * 8000 + "{}", "{}@host", "the same", ""])
def test_a_call_is_found_as_fast_among_many_whatever_strangers_call_theirs(
    kept: Kept, call_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[list[tuple[int, int]]] = []
    for count in (100, 1000):
        file = CdrFile(kept.path)
        legs = [LegRecord(sip_call_id=call_id.format(number)) for number in range(count)]
        records = [a_record(f"c{n:04}", a=leg, b=leg) for n, leg in enumerate(legs)]
        file.write([row_of(record) for record in records], 0.0)
        file.close()
        reads = (
            lambda: read_records(kept.path, last=5, sip_call_id=call_id.format(77)),
            lambda: read_records(kept.path, last=5, sip_call_id="unknown"),
            lambda: read_records(kept.path, last=5, call="c0077"),
        )
        taken.append([steps_of(read, monkeypatch) for read in reads])
    few, many = taken
    assert [found for found, _ in many] == [5 if "{}" not in call_id else 1, 0, 1]
    assert many == few


async def test_the_end_of_a_call_replaces_its_beginning(kept: Kept) -> None:
    store = kept.store()
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            await nursery.start(store.run)
            store.put(in_progress("c1"))
            await store.flush()
            assert kept.records() == {"c1": in_progress("c1")}
            store.put(a_record("c1"))
            await store.flush()
            assert kept.records() == {"c1": a_record("c1")}
            nursery.cancel_scope.cancel()


async def test_flush_waits_for_the_batch_that_is_being_written(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, go_on = trio.Event(), trio.Event()
    write = CdrStore._write

    async def slowly(store: CdrStore, file: CdrFile) -> None:
        writing.set()
        await go_on.wait()
        await write(store, file)

    monkeypatch.setattr(CdrStore, "_write", slowly)
    store = kept.store()
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            await nursery.start(store.run)
            store.put(a_record("c1"))
            async with trio.open_nursery() as flushing:
                flushing.start_soon(store.flush)
                await writing.wait()
                go_on.set()
            assert set(kept.records()) == {"c1"}
            nursery.cancel_scope.cancel()


_VICTIM = """
import sys, trio
from pathlib import Path
from typing import Any
from sbc.state.sqlite import CdrStore
from tests.state.records import a_record, in_progress

async def main():
    store = CdrStore(Path(sys.argv[1]), on_trouble=print, wall=lambda: 1030.0)
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        store.put(a_record("ended"))
        store.put(in_progress("open"))
        await store.flush()
        print("flushed", flush=True)
        store.put(a_record("too late to be promised"))
        await trio.sleep_forever()

trio.run(main)
"""


async def test_records_survive_kill_9_and_the_next_start_closes_what_was_open(kept: Kept) -> None:
    command = [sys.executable, "-c", _VICTIM, str(kept.path)]
    with trio.fail_after(30):
        victim = await trio.lowlevel.open_process(
            command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
        assert victim.stdout is not None
        try:
            said = b""
            async with victim.stdout:
                while not said.endswith(b"\n"):
                    part = await victim.stdout.receive_some()
                    assert part, "it ended too early"
                    said += part
            assert said == b"flushed\n"
        finally:
            victim.send_signal(signal.SIGKILL)
            await victim.wait()
    assert kept.records()["open"] == in_progress("open")
    store = kept.store()
    await run_with(store)
    assert store.statistics.closed_after_crash == 1
    records = kept.records()
    assert records["ended"] == a_record("ended")
    crashed = records["open"]
    assert crashed.ended_by is EndedBy.CRASH
    assert crashed.ended_at == 1030.0, "when the process was last seen alive"
    assert crashed.duration_s == 27.5


async def test_a_second_start_finds_nothing_left_open(kept: Kept) -> None:
    await run_with(kept.store(), in_progress("c1"))
    await run_with(kept.store())
    second = kept.store()
    await run_with(second)
    assert second.statistics.closed_after_crash == 0


async def test_two_processes_cannot_write_one_file(kept: Kept) -> None:
    file = CdrFile(kept.path)
    try:
        with pytest.raises(ExceptionGroup) as caught:
            await run_with(kept.store())
        assert caught.group_contains(StoreInUse, match=f"written by process {os.getpid()}")
    finally:
        file.close()
    await run_with(kept.store())


@pytest.mark.parametrize("content", [b"this is no database, far from it" * 100])
async def test_a_file_of_another_kind_is_refused_and_left_alone(kept: Kept, content: bytes) -> None:
    kept.path.parent.mkdir()
    kept.path.write_bytes(content)
    with pytest.raises(StoreUnusable, match="not a database"):
        CdrFile(kept.path)
    assert kept.path.read_bytes() == content


def test_a_file_of_a_later_version_is_refused(kept: Kept) -> None:
    CdrFile(kept.path).close()
    connection = sqlite3.connect(kept.path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreUnusable, match="another version"):
        CdrFile(kept.path)


# The table as version 1 made it, with a call that was up when its process was ended.
_VERSION_1 = """
CREATE TABLE cdr (call TEXT PRIMARY KEY, session_id TEXT NOT NULL, started_at REAL NOT NULL,
    answered_at REAL, ended_at REAL, duration_s REAL NOT NULL, from_number TEXT NOT NULL,
    to_number TEXT NOT NULL, a_peer TEXT NOT NULL, a_network TEXT NOT NULL,
    a_address TEXT NOT NULL, a_sip_call_id TEXT NOT NULL, b_peer TEXT NOT NULL,
    b_network TEXT NOT NULL, b_address TEXT NOT NULL, b_sip_call_id TEXT NOT NULL,
    route TEXT NOT NULL, status INTEGER NOT NULL, q850 INTEGER NOT NULL, ended_by TEXT,
    reason TEXT NOT NULL, from_a_packets INTEGER NOT NULL, from_a_octets INTEGER NOT NULL,
    from_a_lost INTEGER NOT NULL, from_a_jitter_ms REAL NOT NULL, from_b_packets INTEGER NOT NULL,
    from_b_octets INTEGER NOT NULL, from_b_lost INTEGER NOT NULL, from_b_jitter_ms REAL NOT NULL,
    role TEXT NOT NULL, ladder TEXT NOT NULL);
CREATE TABLE alive (one INTEGER PRIMARY KEY CHECK (one = 1), at REAL NOT NULL);
INSERT INTO alive VALUES (1, 1062.5);
INSERT INTO cdr VALUES ('c1', 's', 1000, 1002.5, NULL, 0, '100', '600', 'phones', 'public',
    '192.0.2.7:5060', 'a@phone', 'pbx', 'lan', '10.0.0.1:5060', 'b@sbc', 'to the PBX', 200, 0,
    NULL, '', 3000, 516000, 3, 1.5, 0, 0, 0, 0, 'media-relay', '');
PRAGMA user_version = 1;
"""


@pytest.fixture
def of_version_1(kept: Kept) -> Path:
    kept.path.parent.mkdir()
    connection = sqlite3.connect(kept.path)
    connection.executescript(_VERSION_1)
    connection.close()
    return kept.path


def test_a_file_of_version_1_is_read_as_it_is(of_version_1: Path) -> None:
    before = of_version_1.read_bytes()
    (record,) = read_records(of_version_1, last=1)
    assert record.from_a == RtpTotals(3000, 516_000, 3, 1.5)
    assert (record.role, record.from_b.mos) == ("media-relay", None)
    assert of_version_1.read_bytes() == before


@pytest.mark.usefixtures("of_version_1")
async def test_a_file_of_version_1_is_brought_up_to_date_and_keeps_its_records(kept: Kept) -> None:
    for call in ("c2", "c3"):  # the second start finds nothing left to do
        await run_with(kept.store(), a_record(call))
    records = kept.records()
    assert records["c2"] == a_record("c2")
    assert records["c3"] == a_record("c3")
    old = records["c1"]
    assert (old.from_a, old.ended_by) == (RtpTotals(3000, 516_000, 3, 1.5), EndedBy.CRASH)
    assert old.duration_s == 60.0


def test_a_directory_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnusable, match="file/state cannot be made: Not a directory"):
        CdrFile(tmp_path / "file" / "state" / "cdr.sqlite")


def test_who_called_whom_is_for_nobody_else_to_read(kept: Kept) -> None:
    file = CdrFile(kept.path)
    file.write([row_of(a_record())], 1.0)
    try:
        for path in kept.path.parent.iterdir():
            assert path.stat().st_mode & 0o077 == 0, path
    finally:
        file.close()


def test_a_missing_file_is_no_empty_answer(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match="there is no such file"):
        read_records(tmp_path / "cdr.sqlite", last=1)


async def test_old_records_go_and_calls_in_progress_stay(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "KEPT_DAYS", 5.0)
    day = 86_400.0
    kept.now = 10 * day
    records = [
        a_record("old", started_at=1 * day),
        in_progress("old but open"),
        a_record("new", started_at=9 * day),
    ]
    await run_with(kept.store(), *records)
    assert set(kept.records()) == {"old but open", "new"}


async def test_the_oldest_records_beyond_the_number_to_keep_go(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "KEPT_ROWS", 2)
    records = [a_record(f"c{n}", started_at=1000.0 + n) for n in range(5)]
    await run_with(kept.store(), *records)
    assert set(kept.records()) == {"c3", "c4"}


async def test_a_disk_that_refuses_is_told_once_and_nothing_is_lost_when_it_recovers(
    kept: Kept, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    write: Callable[..., None] = CdrFile.write
    full = True

    def maybe(file: CdrFile, rows: list[tuple[object, ...]], now: float) -> None:
        if full:
            raise sqlite3.OperationalError("database or disk is full")
        write(file, rows, now)

    monkeypatch.setattr(CdrFile, "write", maybe)
    store = kept.store()
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        store.put(in_progress("c1"))
        await kept.troubled.wait()
        await trio.sleep(30)
        store.put(a_record("c1"))
        assert kept.troubles == ["database or disk is full"]
        full = False
        await store.flush()
        assert kept.troubles[1:] == [""]
        nursery.cancel_scope.cancel()
    assert kept.records() == {"c1": a_record("c1")}


def test_records_beyond_what_may_wait_are_counted_as_lost(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "MAX_WAITING", 2)
    store = kept.store()
    for call in ("c1", "c2", "c3", "c2"):
        store.put(a_record(call))
    assert store.statistics.lost == 1
    assert store.waiting == 2


async def test_many_records_do_not_wait_for_the_batch_time(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_S", 1000.0)
    store = kept.store()
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            await nursery.start(store.run)
            for n in range(batches.BATCH_ROWS):
                store.put(a_record(f"c{n}"))
            while store.statistics.written < batches.BATCH_ROWS:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
