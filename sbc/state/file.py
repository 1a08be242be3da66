"""The SQLite file that call records are in: what is done to it, without deciding when.

Everything here blocks; `sbc.state.sqlite` calls it beside the loop, the CLI has no loop.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from sbc.state.cdr import CdrRecord, EndedBy
from sbc.state.database import Database, StoreUnusable
from sbc.state.rows import COLUMNS, Value, record_of, writable_text

_SCHEMA_VERSION = 4
"""Version 1 had not the columns of what calls sounded like, version 2 neither the number of the
configuration in force nor the explanation, version 3 not who pays."""
_DELETE_AT_ONCE = 5000

_NAMES = ", ".join(name for name, _ in COLUMNS)
_TABLE = ", ".join(f"{name} {kind}" for name, kind in COLUMNS)
_MARKS = ", ".join("?" for _ in COLUMNS)
_INSERT = f"INSERT OR REPLACE INTO cdr ({_NAMES}) VALUES ({_MARKS})"  # noqa: S608 - own names

_CREATE = f"""
CREATE TABLE IF NOT EXISTS cdr ({_TABLE});
CREATE INDEX IF NOT EXISTS cdr_by_start ON cdr (started_at);
CREATE INDEX IF NOT EXISTS cdr_in_progress ON cdr (call) WHERE ended_at IS NULL;
CREATE INDEX IF NOT EXISTS cdr_by_a ON cdr (a_sip_call_id, started_at);
CREATE INDEX IF NOT EXISTS cdr_by_b ON cdr (b_sip_call_id, started_at);
CREATE TABLE IF NOT EXISTS alive (one INTEGER PRIMARY KEY CHECK (one = 1), at REAL NOT NULL);
"""
_ALIVE = "INSERT OR REPLACE INTO alive VALUES (1, ?)"
_SEEN = "coalesce((SELECT at FROM alive), 0)"
_CLOSE_OPEN_ROWS = f"""
UPDATE cdr SET
    ended_at = max(coalesce(answered_at, started_at), {_SEEN}),
    duration_s = CASE WHEN answered_at IS NULL THEN 0 ELSE max(0, {_SEEN} - answered_at) END,
    ended_by = ?,
    reason = 'the process ended before the call did; the end is when it was last seen alive'
WHERE ended_at IS NULL
"""  # noqa: S608 - own words
_DELETE_OLD = """
DELETE FROM cdr WHERE call IN (
    SELECT call FROM cdr WHERE started_at < ? AND ended_at IS NOT NULL
    ORDER BY started_at LIMIT ?)
"""
_DELETE_MANY = """
DELETE FROM cdr WHERE call IN (
    SELECT call FROM cdr WHERE ended_at IS NOT NULL ORDER BY started_at
    LIMIT min(?, max(0, (SELECT count(*) FROM cdr) - ?)))
"""

# Each half is read from its index alone, in the order of time, so that even a Call-ID that all
# calls have in common is found as fast as any.
_OF_SIP_CALL_ID = """
WHERE rowid IN (
    SELECT * FROM (
        SELECT rowid FROM cdr WHERE a_sip_call_id = ?1 ORDER BY started_at DESC LIMIT ?2)
    UNION SELECT * FROM (
        SELECT rowid FROM cdr WHERE b_sip_call_id = ?1 ORDER BY started_at DESC LIMIT ?2))
"""
_BEGINS_WITH = "WHERE call >= ?1 AND call < ?1 || char(0x10FFFF)"


class CdrFile:
    """An open file, locked against a second writer.

    Usable from any thread, but from one at a time.
    """

    __slots__ = ("_connection", "_database")

    def __init__(self, path: Path) -> None:
        """Open the file, make it where there is none.

        Raises:
            StoreInUse: another process has it.
            StoreUnusable: it cannot be opened or is something else.
        """
        # A record must survive loss of power: one flush to disk per batch.
        self._database = Database(
            path, version=_SCHEMA_VERSION, schema=_completion, synchronous="FULL"
        )
        self._connection = self._database.connection

    def write(self, rows: Sequence[tuple[Value, ...]], now: float) -> None:
        """Write rows in one transaction, and that we were alive at `now`.

        Raises:
            sqlite3.Error: nothing was written.
        """
        with self._connection as transaction:
            transaction.executemany(_INSERT, rows)
            transaction.execute(_ALIVE, (now,))

    def close_open_rows(self) -> int:
        """End the records that a crash left open, and say how many there were.

        Raises:
            sqlite3.Error: nothing was changed.
        """
        with self._connection as transaction:
            return transaction.execute(_CLOSE_OPEN_ROWS, (EndedBy.CRASH.value,)).rowcount

    def delete(self, before: float, keep: int) -> int:
        """Delete records that began before a time, and the oldest beyond `keep`.

        A bounded number at once, so that calls that end meanwhile are not kept waiting; returns
        how many went. Calls in progress stay.

        Raises:
            sqlite3.Error: nothing was deleted.
        """
        with self._connection as transaction:
            old = transaction.execute(_DELETE_OLD, (before, _DELETE_AT_ONCE)).rowcount
            many = transaction.execute(_DELETE_MANY, (_DELETE_AT_ONCE, keep)).rowcount
        return old + many

    def close(self) -> None:
        """Close and unlock."""
        self._database.close()


def read_records(
    path: Path, *, last: int, call: str | None = None, sip_call_id: str | None = None
) -> list[CdrRecord]:
    """The newest records, oldest first, or those whose call id begins with `call`.

    Args:
        sip_call_id: Only those with this Call-ID on either leg.

    Of a file that an earlier version wrote, what it did not record is None.

    Raises:
        StoreUnusable: there is no such file or it cannot be read.
    """
    if not path.exists():
        raise StoreUnusable(f"{path}: there is no such file")
    where = _BEGINS_WITH if call else ""
    if sip_call_id is not None:
        call, where = sip_call_id, _OF_SIP_CALL_ID
    # With the plus the records that fit are sorted, in place of all searched in the order of time.
    order = "+started_at" if where else "started_at"
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        ) as connection:
            there = _columns(connection)
            names = ", ".join(name if name in there else "NULL" for name, _ in COLUMNS)
            query = f"SELECT {names} FROM cdr {where} ORDER BY {order} DESC LIMIT ?2"  # noqa: S608 - own names
            asked = None if call is None else writable_text(call)
            rows = connection.execute(query, (asked, last)).fetchall()
    except sqlite3.Error as error:
        raise StoreUnusable(f"{path}: {error}") from error
    return [record_of(row) for row in reversed(rows)]


def read_since(path: Path, since: float, most: int) -> Iterator[CdrRecord]:
    """The records of calls that began since a time, newest first; at most so many.

    Without the stories of the calls, which are most of a record.

    Raises:
        StoreUnusable: there is no such file or it cannot be read.
    """
    if not path.exists():
        raise StoreUnusable(f"{path}: there is no such file")
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        ) as connection:
            there = _columns(connection)
            names = ", ".join(
                "''" if name == "ladder" else name if name in there else "NULL"
                for name, _ in COLUMNS
            )
            query = (
                f"SELECT {names} FROM cdr WHERE started_at >= ? ORDER BY started_at DESC LIMIT ?"  # noqa: S608 - own names
            )
            for row in connection.execute(query, (since, most)):
                yield record_of(row)
    except sqlite3.Error as error:
        raise StoreUnusable(f"{path}: {error}") from error


def _completion(connection: sqlite3.Connection) -> str:
    return f"{_CREATE} {_additions(connection)}"


def _additions(connection: sqlite3.Connection) -> str:
    """The columns that a file of an earlier version lacks."""
    there = _columns(connection)
    missing = [(name, kind) for name, kind in COLUMNS if there and name not in there]
    return " ".join(f"ALTER TABLE cdr ADD COLUMN {name} {kind};" for name, kind in missing)


def _columns(connection: sqlite3.Connection) -> set[str]:
    """The names of the columns that are there; none where there is no table yet."""
    return {row[1] for row in connection.execute("PRAGMA table_info(cdr)")}
