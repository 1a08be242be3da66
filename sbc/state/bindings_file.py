"""The SQLite file that bindings are in: what is done to it, without deciding when.

A binding is a row of text that only the registrar reads, by its key, with the time it ends. Beside
them is the key that makes tokens, so that a phone has the same one after a restart.

Everything here blocks.
"""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from sbc.state.database import Database, unusable

_SCHEMA_VERSION = 1
_CREATE = """
CREATE TABLE IF NOT EXISTS binding (
    key TEXT PRIMARY KEY, until REAL NOT NULL, data TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS secret (name TEXT PRIMARY KEY, value BLOB NOT NULL);
"""
_TOKENS = "tokens"


class Row(NamedTuple):
    """One binding."""

    until: float
    """When it ends, in seconds since 1970."""
    data: str


class BindingsFile:
    """An open file, locked against a second writer.

    Usable from any thread, but from one at a time.
    """

    __slots__ = ("_connection", "_database", "_path")

    def __init__(self, path: Path) -> None:
        """Open the file, make it where there is none.

        Raises:
            StoreInUse: another process has it.
            StoreUnusable: it cannot be opened or is something else.
        """
        # Lost power may cost the last moment: the phones in it register again.
        self._database = Database(
            path, version=_SCHEMA_VERSION, schema=lambda _: _CREATE, synchronous="NORMAL"
        )
        self._connection = self._database.connection
        self._path = path

    def secret(self, fresh: bytes) -> bytes:
        """The key of the tokens; `fresh` from now on if there was none.

        Raises:
            StoreUnusable: it can be neither read nor written.
        """
        try:
            with self._connection as transaction:
                transaction.execute("INSERT OR IGNORE INTO secret VALUES (?, ?)", (_TOKENS, fresh))
                found = transaction.execute("SELECT value FROM secret WHERE name = ?", (_TOKENS,))
                return bytes(found.fetchone()[0])
        except sqlite3.Error as error:
            raise unusable(self._path, error) from error

    def read(self, now: float) -> list[str]:
        """The bindings that live at `now`, those that end first first; the others go.

        Raises:
            StoreUnusable: they cannot be read.
        """
        try:
            with self._connection as transaction:
                transaction.execute("DELETE FROM binding WHERE until <= ?", (now,))
                found = transaction.execute("SELECT data FROM binding ORDER BY until")
                return [data for (data,) in found]
        except sqlite3.Error as error:
            raise unusable(self._path, error) from error

    def write(self, rows: Mapping[str, Row | None]) -> None:
        """Write rows by their keys in one transaction; None removes one.

        Raises:
            sqlite3.Error: nothing was written.
        """
        gone = [(key,) for key, row in rows.items() if row is None]
        there = [(key, *row) for key, row in rows.items() if row is not None]
        with self._connection as transaction:
            transaction.executemany("DELETE FROM binding WHERE key = ?", gone)
            transaction.executemany("INSERT OR REPLACE INTO binding VALUES (?, ?, ?)", there)

    def close(self) -> None:
        """Close and unlock."""
        self._database.close()
