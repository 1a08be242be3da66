"""Writing what waits to disk beside the loop, and telling when the disk begins to refuse it."""

import sqlite3
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import trio

from sbc.state.batches import Batches

T = TypeVar("T")
V = TypeVar("V")


class Writer(Generic[V]):
    """The batches of one store and the thread that writes them."""

    __slots__ = ("_on_trouble", "_thread", "batches", "troubled")

    def __init__(self, most: int, on_trouble: Callable[[str], None]) -> None:
        """Nothing waits yet.

        Args:
            most: How many values may wait.
            on_trouble: Told when writing begins to fail, with why, and with an empty text when
                it works again.
        """
        self.batches: Batches[V] = Batches(most)
        self.troubled = False
        """Whether the disk refused the last batch."""
        self._on_trouble = on_trouble
        # One token: the connection is used by one thread at a time.
        self._thread = trio.CapacityLimiter(1)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do something that waits for the disk, after whatever is being done."""
        return await trio.to_thread.run_sync(work, limiter=self._thread)

    async def write(self, work: Callable[[dict[str, V]], Awaitable[None]]) -> int | None:
        """Have what waits written; a cancelled store too finishes the batch it began.

        Args:
            work: Writes a batch, by key; raises sqlite3.Error.

        Returns:
            How many values are on disk; None when it refused them, and they wait again.
        """
        batch = self.batches.take()
        written: int | None = len(batch)
        why = ""
        try:
            with trio.CancelScope(shield=True):
                await work(batch)
        except sqlite3.Error as error:
            written, why = None, str(error)
            self.batches.refused(batch)
        else:
            self.batches.written()
        if bool(why) != self.troubled:
            self.troubled = bool(why)
            self._on_trouble(why)
        return written
