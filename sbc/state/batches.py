"""What waits to be written, by key, and the rhythm in which a store writes it.

A store puts as fast as it likes; what is put is handed out one batch later, at most `BATCH_S`
plus the disk's own time, and of several values of one key only the last. What the disk refused
waits for the next batch.
"""

from typing import Generic, TypeVar

import trio

BATCH_ROWS = 200
BATCH_S = 0.1

V = TypeVar("V")


class Batches(Generic[V]):
    """Values that wait for a disk."""

    __slots__ = ("_enough", "_most", "_something", "_waiting", "_writing", "_written")

    def __init__(self, most: int) -> None:
        """At most `most` keys wait; further ones are lost."""
        self._most = most
        self._waiting: dict[str, V] = {}
        self._something = trio.Event()
        self._enough = trio.Event()
        self._written = trio.Event()
        self._writing = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, key: str, value: V) -> bool:
        """Have a value written soon; false when there is no room for it."""
        if len(self._waiting) >= self._most and key not in self._waiting:
            return False
        self._waiting[key] = value
        self._something.set()
        if len(self._waiting) >= BATCH_ROWS:
            self._enough.set()
        return True

    async def due(self, within_s: float) -> None:
        """Return when there is something and a moment for more to join it; or after a time."""
        with trio.move_on_after(within_s):
            await self._something.wait()
            with trio.move_on_after(BATCH_S):
                await self._enough.wait()

    def take(self) -> dict[str, V]:
        """The batch, which counts as being written until `written` or `refused`."""
        self._something = trio.Event()
        self._enough = trio.Event()
        batch, self._waiting = self._waiting, {}
        self._writing = True
        return batch

    def written(self) -> None:
        """The batch is on disk."""
        self._writing = False
        self._written.set()
        self._written = trio.Event()

    def refused(self, batch: dict[str, V]) -> None:
        """The disk refused the batch: it waits again, but for what was put meanwhile."""
        self._waiting = batch | self._waiting
        self.written()

    async def flush(self) -> None:
        """Return when all that was put before is on disk; waits as long as the disk does."""
        while self._waiting or self._writing:
            self._something.set()
            self._enough.set()
            await self._written.wait()
