"""Bindings in SQLite, written beside the loop, so that a restart costs no phone its calls.

What changed is on disk one batch later; a process that is killed loses at most that. A disk that
fails costs nothing but the memory of the changes that wait for it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import trio

from sbc.state.bindings_file import BindingsFile, Row
from sbc.state.writer import Writer

MAX_WAITING = 200_000
"""Changes that wait for a disk that does not answer; more are lost, and counted."""
TRY_AGAIN_S = 5.0


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
        self._wall = wall
        self._writer: Writer[Row | None] = Writer(MAX_WAITING, on_trouble)
        self._batches = self._writer.batches

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
        file = await self._writer.in_thread(self._opened)
        try:
            task_status.started()
            while True:
                await self._batches.due(float("inf"))
                await self._write(file)
                if self._writer.troubled:
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
        async def work(rows: dict[str, Row | None]) -> None:
            await self._writer.in_thread(lambda: file.write(rows))

        written = await self._writer.write(work)
        if written is None:
            self.statistics.failed_writes += 1
        else:
            self.statistics.written += written
