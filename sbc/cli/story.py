"""The story of one call: of a live one as the process tells it, of an old one from its record."""

from pathlib import Path

from sbc.cli.answers import mapping, rows
from sbc.cli.ladder import LadderEntry, ascii_only, draw_ladder
from sbc.cli.table import draw_table
from sbc.management.ladder import read_ladder
from sbc.state.cdr import CdrRecord, LegRecord
from sbc.state.file import StoreUnusable, read_records


def draw_story(call: dict[str, object], width: int) -> str:
    """A call as the control command ``call`` tells it: title, ladder, media.

    Args:
        width: Columns to use.
    """
    entries = [
        LadderEntry(
            float(str(entry.get("at"))),
            str(entry.get("kind")),
            str(entry.get("side")),
            str(entry.get("direction")),
            str(entry.get("summary")),
        )
        for entry in rows(call.get("journal"))
    ]
    words = [call.get("call"), call.get("state"), f"{call.get('from')} -> {call.get('to')}"]
    story = ascii_only("  ".join(str(word) for word in words)) + "\n"
    a, b = leg_name(mapping(call.get("a"))), leg_name(mapping(call.get("b")))
    story += draw_ladder(entries, a=a, b=b, width=width)
    if call.get("dropped"):
        story += f"({call['dropped']} entries in the middle gave way to later ones)\n"
    media = [_media_cells(stream, side) for stream in rows(call.get("media")) for side in "ab"]
    if media:
        columns = ("stream", "from", "packets", "lost", "jitter ms", "latched to", "dropped")
        story += "\n" + draw_table(columns, media)
    return story


def kept_story(records: Path, name: str) -> dict[str, object] | None:
    """What the record of a call has kept of its story; None if there is none.

    Args:
        records: The call record file.
        name: The call's id, or a beginning that no other has.
    """
    try:
        found = read_records(records, last=2, call=name)
    except StoreUnusable:
        return None
    return story_of(found[0]) if len(found) == 1 and found[0].ladder else None


def story_of(record: CdrRecord) -> dict[str, object]:
    """The story in a record, as the control command ``call`` tells it, without messages."""
    return {
        "call": record.call,
        "state": "in progress" if record.ended_at is None else "ended",
        "from": record.from_number,
        "to": record.to_number,
        "a": _leg(record.a),
        "b": _leg(record.b),
        "route": record.route,
        "started_at": record.started_at,
        "ended_by": record.ended_by,
        "reason": record.reason,
        "journal": read_ladder(record.ladder),
    }


def _leg(leg: LegRecord) -> dict[str, object]:
    return {
        "peer": leg.peer,
        "network": leg.network,
        "address": leg.address,
        "call_id": leg.sip_call_id,
    }


def leg_name(leg: dict[str, object]) -> str:
    """Whom a leg is with, and where that is."""
    return f"{leg.get('peer') or leg.get('network')} {leg.get('address')}"


def _media_cells(stream: dict[str, object], side: str) -> list[object]:
    counted = mapping(stream.get(side))
    latch = mapping(stream.get(f"{side}_rtp_latch"))
    ticks, clock_hz = counted.get("jitter_ticks"), stream.get("clock_hz")
    jitter_ms = None
    if isinstance(ticks, int | float) and isinstance(clock_hz, int) and clock_hz:
        jitter_ms = round(ticks * 1000 / clock_hz, 1)
    drops = [f"{count} {reason}" for reason, count in mapping(counted.get("drops")).items()]
    return [
        stream.get("index"),
        side,
        counted.get("packets"),
        counted.get("lost"),
        jitter_ms,
        f"{latch['source']} ({latch.get('rank')})" if latch.get("source") else None,
        ", ".join(drops),
    ]
