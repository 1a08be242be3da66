"""Bindings in SQLite, written beside the loop, so that a restart costs no phone its calls.

What changed is on disk one batch later; a process that is killed loses at most that. A disk that
fails costs nothing but the memory of the changes that wait for it.
"""

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import trio

from sbc.state.batches import Batches
from sbc.state.bindings_file import BindingsFile, Row

MAX_WAITING = 200_000
"""Changes that wait for a disk that does not answer; more are lost, and counted."""
TRY_AGAIN_S = 5.0

T = TypeVar("T")


@dataclass(slots=True)
class BindingStatistics:
    """Counters since start."""

    written: int = 0
    """Changes on disk; of two of one binding in one batch, one is."""
    lost: int = 0
    """Changes that could not be kept because too many waited."""
    failed_writes: int = 0
    """Batches the disk refused; they are tried again."""


class BindingStore:
    """The one writer of a file of bindings."""

    def __init__(
        self,
        path: Path,
        fresh_secret: bytes,
        *,
        on_trouble: Callable[[str], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Nothing is opened before `run`.

        Args:
            fresh_secret: The key of the tokens if the file has none yet.
            on_trouble: Told when writing begins to fail, with why, and with an empty text when
                it works again.
            wall: Seconds since the epoch.
        """
        self.path = path
        self.statistics = BindingStatistics()
        self.secret = fresh_secret
        """The key of the tokens: once `run` has started, the one of the file."""
        self._found: list[str] = []
        self._on_trouble = on_trouble
        self._wall = wall
        self._troubled = False
        self._batches: Batches[Row | None] = Batches(MAX_WAITING)
        # One token: the connection is used by one thread at a time.
        self._thread = trio.CapacityLimiter(1)

    def take_found(self) -> list[str]:
        """The bindings that the process before left behind; once."""
        found, self._found = self._found, []
        return found

    def put(self, key: str, until: float, data: str) -> None:
        """Have a binding written soon; it ends at `until`, in seconds since 1970."""
        self._change(key, Row(until, data))

    def forget(self, key: str) -> None:
        """Have a binding removed soon."""
        self._change(key, None)

    async def flush(self) -> None:
        """Return when everything that was put before is on disk; waits as long as the disk does."""
        await self._batches.flush()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Open the file, read what is there, and write until cancelled.

        Cancelling writes what waits before it returns.

        Raises:
            StoreInUse: another process has the file.
            StoreUnusable: it cannot be opened or read.
        """
        file = await self._in_thread(self._opened)
        try:
            task_status.started()
            while True:
                await self._batches.due(float("inf"))
                await self._write(file)
                if self._troubled:
                    await trio.sleep(TRY_AGAIN_S)
        finally:
            if self._batches:
                await self._write(file)
            file.close()

    def _change(self, key: str, row: Row | None) -> None:
        if not self._batches.put(key, row):
            self.statistics.lost += 1

    def _opened(self) -> BindingsFile:
        file = BindingsFile(self.path)
        try:
            self.secret = file.secret(self.secret)
            self._found = file.read(self._wall())
        except BaseException:
            file.close()
            raise
        return file

    async def _write(self, file: BindingsFile) -> None:
        """Write what waits; a cancelled store too finishes the batch it began."""
        rows = self._batches.take()
        why = ""
        try:
            with trio.CancelScope(shield=True):
                await self._in_thread(lambda: file.write(rows))
        except sqlite3.Error as error:
            why = str(error)
            self.statistics.failed_writes += 1
            self._batches.refused(rows)
        else:
            self.statistics.written += len(rows)
            self._batches.written()
        if bool(why) != self._troubled:
            self._troubled = bool(why)
            self._on_trouble(why)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(work, limiter=self._thread)
