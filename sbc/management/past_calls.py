"""Call records as the ledger knows calls: counted again at a start, or judged again."""

import time
from collections.abc import Collection, Mapping
from math import isfinite
from pathlib import Path

import trio

from sbc.driver.switchboard import Switchboard
from sbc.management.log import Log
from sbc.policy.past import Past, remember
from sbc.state.cdr import CdrRecord, LegRecord
from sbc.state.database import StoreUnusable
from sbc.state.file import read_since

HISTORY_S = 30 * 86_400.0
"""How far back a start looks: further back no country is known any more."""
MOST_RECORDS = 50_000
"""Records that a start looks at, the newest."""
MOST_S = 3.0
"""For how long, at most: it is enough for about 25 000 calls, each to another number."""


def past_of(record: CdrRecord, trusted: Collection[str] = ()) -> Past | None:
    """A call that is over, as it was written down; None for one that is not.

    Records of before accounts were written down are counted for the peer, or for the address.

    Args:
        trusted: Names of trusted networks.
    """
    if record.ended_at is None:
        return None
    host = record.a.address.rpartition(":")[0].strip("[]")
    account = record.account
    if account is None:
        account = f"peer {record.a.peer}" if record.a.peer else f"source {host}"
    return Past(
        call=record.call,
        account=account,
        number=record.to_number if record.number is None else record.number,
        began=record.started_at,
        answered=record.answered_at,
        ended=record.ended_at,
        diverter=record.diverter or "",
        network=record.a.network,
        trusted=record.a.network in trusted,
        host=host,
        caller=record.from_number,
    )


def record_from_data(data: object) -> CdrRecord:
    """What `past_of` needs of a record as `sbc cdr --json` writes it.

    Raises:
        ValueError: it is no call record; the text says what is missing or wrong.
    """
    if not isinstance(data, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - it is read from a file
    leg = data.get("a")
    a = leg if isinstance(leg, dict) else {}
    began = _time(data, "started_at")
    if began is None or not isinstance(data.get("call"), str):
        raise ValueError("'call' and 'started_at' are needed")
    return CdrRecord(
        call=str(data["call"]),
        session_id="",
        started_at=began,
        answered_at=_time(data, "answered_at"),
        ended_at=_time(data, "ended_at"),
        from_number=_text(data, "from_number") or "",
        to_number=_text(data, "to_number") or "",
        a=LegRecord(_text(a, "peer") or "", _text(a, "network") or "", _text(a, "address") or ""),
        b=LegRecord(),
        account=_text(data, "account"),
        number=_text(data, "number"),
        diverter=_text(data, "diverter"),
    )


async def remember_calls(path: Path, switchboard: Switchboard, now: float, log: Log) -> None:
    """Count the calls of the process before this one, so that a restart forgets nothing.

    Before any call is served: nothing else may use the ledger meanwhile.

    Args:
        path: The call records.
        now: Seconds since 1970.
    """
    ledger, world = switchboard.calls.ledger, switchboard.force.world

    def count() -> int:
        records = read_since(path, now - HISTORY_S, MOST_RECORDS)
        found = (past_of(record) for record in records)
        calls = (past for past in found if past is not None)
        end = time.monotonic() + MOST_S
        return remember(ledger, world, calls, lambda: time.monotonic() > end)

    try:
        number = await trio.to_thread.run_sync(count)
    except StoreUnusable as error:
        log.warning("accounts", why=f"calls of before are not counted: {error}")
        return
    if number:
        log.info("accounts", calls_counted=number, accounts=len(ledger))


def _time(data: Mapping[str, object], key: str) -> float | None:
    value = data.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError(f"{key!r} is no time in seconds since 1970")
    return float(value)


def _text(data: Mapping[str, object], key: str) -> str | None:
    value = data.get(key)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{key!r} is no text")
    return value
