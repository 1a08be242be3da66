"""Call records in SQLite, written beside the loop and safe against a crash.

A record is put when its call is answered and again when it has ended. What was put is on disk
one batch later, at most `BATCH_S` plus the disk's own time; a process that dies leaves records
without an end, which the next start closes with the time the process was last seen alive.

A batch is one transaction, flushed to disk, so a record survives loss of power too; that costs
at most ten flushes per second, however many calls there are.
"""

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import trio

from sbc.state.cdr import CdrRecord
from sbc.state.database import unusable
from sbc.state.file import CdrFile
from sbc.state.rows import Value, row_of
from sbc.state.writer import Writer

MAX_WAITING = 50_000
"""Records that wait for a disk that does not answer; more are lost, and counted."""

KEPT_DAYS = 365.0
KEPT_ROWS = 1_000_000
"""How much is kept: what is older, or beyond that number, goes, the oldest first."""

ALIVE_EVERY_S = 10.0
_SWEEP_EVERY_S = 600.0
_SWEEP_AGAIN_S = 1.0


@dataclass(slots=True)
class StoreStatistics:
    """Counters since start."""

    put: int = 0
    written: int = 0
    """Records on disk; of two that were put for one call in one batch, one is."""
    lost: int = 0
    """Records that could not be kept because too many waited."""
    failed_writes: int = 0
    """Batches the disk refused; they are tried again."""
    closed_after_crash: int = 0
    deleted: int = 0
    """Old records, by `KEPT_DAYS` and `KEPT_ROWS`."""


class CdrStore:
    """The one writer of a call record file."""

    def __init__(
        self,
        path: Path,
        *,
        on_trouble: Callable[[str], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Nothing is opened before `run`.

        Args:
            on_trouble: Told when writing begins to fail, with why, and with an empty text when
                it works again.
            wall: Seconds since the epoch.
        """
        self.path = path
        self.statistics = StoreStatistics()
        self._wall = wall
        self._writer: Writer[tuple[Value, ...]] = Writer(MAX_WAITING, on_trouble)
        self._batches = self._writer.batches
        self._sweep_at = 0.0

    @property
    def waiting(self) -> int:
        """Records that wait for the next batch."""
        return len(self._batches)

    def put(self, record: CdrRecord) -> None:
        """Have a record written soon; a later one of the same call replaces it."""
        self.statistics.put += 1
        if not self._batches.put(record.call, row_of(record)):
            self.statistics.lost += 1

    async def flush(self) -> None:
        """Return when everything that was put before is on disk; waits as long as the disk does."""
        await self._batches.flush()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Open the file, close what a crash left open, and write until cancelled.

        Cancelling writes what waits before it returns.

        Raises:
            StoreInUse: another process has the file.
            StoreUnusable: it cannot be opened.
        """
        file = await self._writer.in_thread(self._opened)
        try:
            task_status.started()
            while True:
                await self._batches.due(ALIVE_EVERY_S)
                await self._write(file)
        finally:
            if self._batches:
                await self._write(file)
            file.close()

    def _opened(self) -> CdrFile:
        file = CdrFile(self.path)
        try:
            self.statistics.closed_after_crash = file.close_open_rows()
        except sqlite3.Error as error:
            file.close()
            raise unusable(self.path, error) from error
        return file

    async def _write(self, file: CdrFile) -> None:
        now = self._wall()

        async def work(rows: dict[str, tuple[Value, ...]]) -> None:
            await self._writer.in_thread(lambda: file.write(list(rows.values()), now))
            await self._sweep(file)

        written = await self._writer.write(work)
        if written is None:
            self.statistics.failed_writes += 1
        else:
            self.statistics.written += written

    async def _sweep(self, file: CdrFile) -> None:
        now = trio.current_time()
        if now < self._sweep_at:
            return
        oldest = self._wall() - KEPT_DAYS * 86_400
        deleted = await self._writer.in_thread(lambda: file.delete(oldest, KEPT_ROWS))
        self.statistics.deleted += deleted
        self._sweep_at = now + (_SWEEP_AGAIN_S if deleted else _SWEEP_EVERY_S)
