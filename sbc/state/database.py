"""One SQLite file of ours: opened, made where there is none, and locked against a second writer.

Everything here blocks; the stores call it beside the loop, the CLI has no loop.
"""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Literal


class StoreInUse(Exception):
    """Another process writes to this file; the text names it."""


class StoreUnusable(Exception):
    """The file cannot be opened, or is none of ours; the text says why."""


class StoreDamaged(StoreUnusable):
    """The file can be opened, but what is in it is damaged or none of ours."""


def unusable(path: Path, error: sqlite3.Error) -> StoreUnusable:
    """What it means that SQLite refuses a file: of its own kind are faults of what is in it."""
    kind = StoreDamaged if type(error) is sqlite3.DatabaseError else StoreUnusable
    return kind(f"{path}: {error}")


class Database:
    """An open file, usable from any thread, but from one at a time."""

    __slots__ = ("_lock", "connection")

    def __init__(
        self,
        path: Path,
        *,
        version: int,
        schema: Callable[[sqlite3.Connection], str],
        synchronous: Literal["FULL", "NORMAL"],
    ) -> None:
        """Open the file, make it where there is none.

        Args:
            version: Of the schema; files of earlier ones are taken, of later ones not.
            schema: The statements that make or complete it, given what is there.
            synchronous: `FULL` survives loss of power, `NORMAL` the end of the process.

        Raises:
            StoreInUse: another process has it.
            StoreUnusable: it cannot be opened or is something else.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StoreUnusable(f"{path.parent} cannot be made: {error.strerror}") from error
        try:
            # Who called whom, and from where, is nobody else's business.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            self._lock = locked(path)
        except OSError as error:
            raise StoreUnusable(f"{path}: {error.strerror}") from error
        try:
            self.connection = _connected(path, version, schema, synchronous)
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Close and unlock."""
        self.connection.close()
        os.close(self._lock)


def locked(path: Path) -> int:
    """A descriptor that holds the lock of a file; SQLite's own locks allow several writers.

    Raises:
        StoreInUse: another process holds it.
        OSError: the file of the lock cannot be had.
    """
    lock = os.open(f"{path}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(lock, 32).decode("ascii", "replace").strip()
        os.close(lock)
        raise StoreInUse(f"{path} is written by process {owner or 'unknown'}") from None
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return lock


def _connected(
    path: Path,
    version: int,
    schema: Callable[[sqlite3.Connection], str],
    synchronous: str,
) -> sqlite3.Connection:
    with contextlib.ExitStack() as undo:
        connection = undo.enter_context(
            contextlib.closing(sqlite3.connect(path, check_same_thread=False))
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            there = connection.execute("PRAGMA user_version").fetchone()[0]
            if 0 <= there <= version:
                mark = f"PRAGMA user_version = {version};"
                connection.executescript(f"BEGIN; {schema(connection)} {mark} COMMIT;")
                undo.pop_all()
                return connection
        except sqlite3.Error as error:
            raise unusable(path, error) from error
    raise StoreDamaged(f"{path}: written by another version ({there})")
