"""The story of one call: of a live one as the process tells it, of an old one from its record."""

from dataclasses import asdict
from pathlib import Path

from sbc.cli.answers import mapping, rows
from sbc.cli.ladder import LadderEntry, ascii_only, draw_ladder
from sbc.cli.table import draw_table
from sbc.management.ladder import read_ladder
from sbc.state.cdr import CdrRecord, LegRecord
from sbc.state.database import StoreUnusable
from sbc.state.file import read_records

_QUALITY = {
    "mos": "mos",
    "worst mos": "worst_mos",
    "as": "mos_codec",
    "worst second %": "worst_loss_percent",
    "longest burst": "longest_burst",
    "round trip ms": "round_trip_ms",
    "reports lost": "reported_lost",
    "reports jitter ms": "reported_jitter_ms",
}
"""The columns of what it sounded like, and what they are of."""

_NOTEWORTHY_PACKETS = 10
_NOTEWORTHY_SHARE = 0.01
"""Loss behind us is worth a sentence from so many packets, and so much of what was sent, on."""


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
    return story + _draw_media(rows(call.get("media")))


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
        "origin": record.origin,
        "reason": record.reason,
        "journal": read_ladder(record.ladder),
        "media": _media(record),
    }


def _media(record: CdrRecord) -> list[dict[str, object]]:
    """All streams of a call as one; none where nothing was heard."""
    a, b = record.from_a, record.from_b
    return [{"a": asdict(a), "b": asdict(b)}] if a.packets or b.packets else []


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


def _draw_media(streams: list[dict[str, object]]) -> str:
    """Tables of what was counted and of what it sounded like, and what is odd about it."""
    each = [(stream, side) for stream in streams for side in "ab"]
    if not each:
        return ""
    columns = ("stream", "from", "packets", "lost", "jitter ms", "latched to", "dropped")
    drawn = "\n" + draw_table(columns, [_media_cells(stream, side) for stream, side in each])
    titles = ("stream", "from", *_QUALITY)
    drawn += "\n" + draw_table(titles, [_quality_cells(stream, side) for stream, side in each])
    return drawn + "".join(_remark(stream, side) for stream, side in each)


def _media_cells(stream: dict[str, object], side: str) -> list[object]:
    counted = mapping(stream.get(side))
    latch = mapping(stream.get(f"{side}_rtp_latch"))
    drops = [f"{count} {reason}" for reason, count in mapping(counted.get("drops")).items()]
    return [
        stream.get("index"),
        side,
        counted.get("packets"),
        counted.get("lost"),
        counted.get("jitter_ms"),
        f"{latch['source']} ({latch.get('rank')})" if latch.get("source") else None,
        ", ".join(drops),
    ]


def _quality_cells(stream: dict[str, object], side: str) -> list[object]:
    counted = mapping(stream.get(side))
    return [stream.get("index"), side, *(counted.get(key) for key in _QUALITY.values())]


def _remark(stream: dict[str, object], side: str) -> str:
    """What a side lost of packets that had left here, when it is much; else nothing."""
    other = "b" if side == "a" else "a"
    packets = mapping(stream.get(other)).get("packets")
    behind = mapping(stream.get(side)).get("lost_behind_us")
    if not (isinstance(behind, int) and isinstance(packets, int)):
        return ""
    if behind < _NOTEWORTHY_PACKETS or behind < packets * _NOTEWORTHY_SHARE:
        return ""
    return (
        f"{side} reports {behind} packets lost that had left here: look between here and {side}\n"
    )
