"""``sbc explain``: why calls and requests went as they did, by a Call-ID or an id of ours."""

import json
from collections.abc import Iterable

from sbc.b2bua.call import Call
from sbc.driver.explanation import (
    Line,
    lines_of_call,
    lines_of_explanation,
    lines_of_refused,
)
from sbc.driver.refused import RefusedRequest
from sbc.driver.switchboard import Switchboard
from sbc.management.redaction import without_secrets
from sbc.state.cdr import CdrRecord

Row = dict[str, object]


def explained(switchboard: Switchboard, name: str) -> list[Row]:
    """What the running process knows of a Call-ID of either leg, or an id of ours."""
    calls = [*switchboard.calls.recent, *switchboard.calls]
    found = [one for one in calls if name in (one.name, one.a.call_id, one.b.call_id)]
    named = switchboard.calls.by_name(name)
    if not found and named is not None:
        found = [named]
    return [
        *(_of_refused(one) for one in switchboard.refused.find(name)),
        *(_of_call(one) for one in found),
    ]


def record_explained(record: CdrRecord) -> Row:
    """What a call record knows: of calls that the process has forgotten."""
    lines = [Line("source", f"{record.a.address} on network {record.a.network!r}")]
    if record.explanation:
        lines += lines_of_explanation(json.loads(record.explanation))
    if record.route:
        lines.append(Line("route", record.route))
    if record.reason:
        lines.append(Line("end", f"{record.reason} (by {record.ended_by})"))
    title = f"call {record.from_number} -> {record.to_number}"
    return _row(record.call, title, record.started_at, record.status, lines)


def _of_call(call: Call) -> Row:
    status = call.ending.status if call.ending is not None else 0
    title = f"{call.state.value} call {call.caller} -> {call.callee}"
    return _row(call.name, title, call.started_wall, status, lines_of_call(call))


def _of_refused(refused: RefusedRequest) -> Row:
    title = f"refused {refused.method} {refused.caller} -> {refused.callee}"
    return _row(refused.id, title, refused.at, refused.status, lines_of_refused(refused))


def _row(name: str, title: str, at: float, status: int, lines: Iterable[Line]) -> Row:
    return {
        "id": name,
        "title": title,
        "at": at,
        "status": status,
        "lines": [line._replace(text=without_secrets(line.text))._asdict() for line in lines],
    }
