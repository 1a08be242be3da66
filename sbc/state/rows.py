"""Call records as rows of a table, and back.

Sans-IO.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sbc.state.cdr import CdrRecord, EndedBy, LegRecord, RtpTotals

_QUALITY = (
    ("longest_burst", "INTEGER"),
    ("worst_loss_percent", "REAL"),
    ("mos", "REAL"),
    ("worst_mos", "REAL"),
    ("mos_codec", "TEXT"),
    ("round_trip_ms", "REAL"),
    ("reported_lost", "INTEGER"),
    ("reported_jitter_ms", "REAL"),
    ("lost_behind_us", "INTEGER"),
)

COLUMNS: tuple[tuple[str, str], ...] = (
    ("call", "TEXT PRIMARY KEY"),
    ("session_id", "TEXT NOT NULL"),
    ("started_at", "REAL NOT NULL"),
    ("answered_at", "REAL"),
    ("ended_at", "REAL"),
    ("duration_s", "REAL NOT NULL"),
    ("from_number", "TEXT NOT NULL"),
    ("to_number", "TEXT NOT NULL"),
    ("a_peer", "TEXT NOT NULL"),
    ("a_network", "TEXT NOT NULL"),
    ("a_address", "TEXT NOT NULL"),
    ("a_sip_call_id", "TEXT NOT NULL"),
    ("b_peer", "TEXT NOT NULL"),
    ("b_network", "TEXT NOT NULL"),
    ("b_address", "TEXT NOT NULL"),
    ("b_sip_call_id", "TEXT NOT NULL"),
    ("route", "TEXT NOT NULL"),
    ("status", "INTEGER NOT NULL"),
    ("q850", "INTEGER NOT NULL"),
    ("ended_by", "TEXT"),
    ("reason", "TEXT NOT NULL"),
    ("from_a_packets", "INTEGER NOT NULL"),
    ("from_a_octets", "INTEGER NOT NULL"),
    ("from_a_lost", "INTEGER NOT NULL"),
    ("from_a_jitter_ms", "REAL NOT NULL"),
    ("from_b_packets", "INTEGER NOT NULL"),
    ("from_b_octets", "INTEGER NOT NULL"),
    ("from_b_lost", "INTEGER NOT NULL"),
    ("from_b_jitter_ms", "REAL NOT NULL"),
    ("role", "TEXT NOT NULL"),
    ("ladder", "TEXT NOT NULL"),
    *((f"from_a_{name}", kind) for name, kind in _QUALITY),
    *((f"from_b_{name}", kind) for name, kind in _QUALITY),
    ("configuration", "INTEGER"),
    ("explanation", "TEXT"),
    ("account", "TEXT"),
    ("number", "TEXT"),
    ("diverter", "TEXT"),
)
"""Names and SQL types, in the order of a row. What a later version adds stands at the end and may
be null, so that it can be added to the files of earlier ones."""

Value = str | int | float | None


def row_of(record: CdrRecord) -> tuple[Value, ...]:
    """The row of a record, in the order of `COLUMNS`.

    Bytes of a stranger that are no UTF-8 become ``?``: the file holds only what can be written.
    """
    return _writable(_values_of(record))


def _values_of(record: CdrRecord) -> tuple[Value, ...]:
    return (
        record.call,
        record.session_id,
        record.started_at,
        record.answered_at,
        record.ended_at,
        record.duration_s,
        record.from_number,
        record.to_number,
        *_leg_values(record.a),
        *_leg_values(record.b),
        record.route,
        record.status,
        record.q850,
        None if record.ended_by is None else record.ended_by.value,
        record.reason,
        *_rtp_values(record.from_a),
        *_rtp_values(record.from_b),
        record.role,
        record.ladder,
        *_quality_values(record.from_a),
        *_quality_values(record.from_b),
        record.configuration,
        record.explanation,
        record.account,
        record.number,
        record.diverter,
    )


def record_of(row: Sequence[Any]) -> CdrRecord:
    """The record of a row that `row_of` made."""
    return CdrRecord(
        call=row[0],
        session_id=row[1],
        started_at=row[2],
        answered_at=row[3],
        ended_at=row[4],
        from_number=row[6],
        to_number=row[7],
        a=LegRecord(*row[8:12]),
        b=LegRecord(*row[12:16]),
        route=row[16],
        status=row[17],
        q850=row[18],
        ended_by=None if row[19] is None else EndedBy(row[19]),
        reason=row[20],
        from_a=RtpTotals(*row[21:25], *row[31:40]),
        from_b=RtpTotals(*row[25:29], *row[40:49]),
        role=row[29],
        ladder=row[30],
        configuration=row[49],
        explanation=row[50] or "",
        account=row[51],
        number=row[52],
        diverter=row[53],
    )


def _writable(values: tuple[Value, ...]) -> tuple[Value, ...]:
    """The values as SQLite takes them: no half of a surrogate pair in any text."""
    try:
        "".join(_texts(values)).encode()
    except UnicodeEncodeError:
        return tuple(writable_text(value) if isinstance(value, str) else value for value in values)
    return values


def writable_text(text: str) -> str:
    """A text as the file has it: each half of a surrogate pair is a ``?``."""
    return text.encode("utf-8", "replace").decode()


def _texts(values: tuple[Value, ...]) -> Iterable[str]:
    return [value for value in values if isinstance(value, str)]


def _leg_values(leg: LegRecord) -> tuple[Value, ...]:
    return (leg.peer, leg.network, leg.address, leg.sip_call_id)


def _rtp_values(totals: RtpTotals) -> tuple[Value, ...]:
    return (totals.packets, totals.octets, totals.lost, totals.jitter_ms)


def _quality_values(totals: RtpTotals) -> tuple[Value, ...]:
    return tuple(getattr(totals, name) for name, _ in _QUALITY)
