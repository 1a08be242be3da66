"""``sbc explain``: why a call or a request went as it did."""

import sys
from argparse import Namespace
from collections.abc import Iterable

from sbc.cli.answers import mapping, rows
from sbc.cli.ladder import ascii_only
from sbc.cli.operate import OK, PROBLEM, control_socket, records_file, show_json
from sbc.cli.table import clock_time
from sbc.management.control import CommandRefused, NotRunning, ask
from sbc.management.explaining import record_explained
from sbc.state.database import StoreUnusable
from sbc.state.file import read_records

_LAST = 20
"""Records of one Call-ID that are shown."""


def explain(arguments: Namespace) -> int:
    """``sbc explain``: what the process knows, or else the call records; 1 if none knows it."""
    found = _live(arguments) or _kept(arguments)
    if not found:
        print(
            f"sbc: nothing is known of {ascii_only(arguments.name)}: neither a call nor a refused "
            "request of late has that Call-ID or id, nor a call record",
            file=sys.stderr,
        )
        return PROBLEM
    if arguments.json:
        show_json(found)
    else:
        print("\n".join(map(draw_explanation, found)), end="")
    return OK


def draw_explanation(told: dict[str, object]) -> str:
    """An explanation as text: a title, and a line for each step."""
    status = told.get("status")
    title = [ascii_only(str(told.get("title"))), str(told.get("id") or "")]
    title += [clock_time(told.get("at")) or "", str(status) if status else ""]
    return "  ".join(filter(None, title)) + "\n" + draw_lines(rows(told.get("lines")))


def draw_lines(lines: Iterable[dict[str, object]]) -> str:
    """Steps, their names in a column, each with where what decided it stands."""
    drawn = [
        (
            ascii_only(str(line.get("step"))),
            ascii_only(str(line.get("text")))
            + (f"  [{ascii_only(str(line['where']))}]" if line.get("where") else ""),
        )
        for line in map(mapping, lines)
    ]
    width = max((len(step) for step, _ in drawn), default=0)
    return "".join(f"  {step:{width}}  {text}\n" for step, text in drawn)


def _live(arguments: Namespace) -> list[dict[str, object]]:
    try:
        return rows(ask(control_socket(arguments), "explain", {"id": arguments.name}))
    except (CommandRefused, NotRunning):
        return []


def _kept(arguments: Namespace) -> list[dict[str, object]]:
    file = records_file(arguments)
    try:
        records = read_records(file, last=_LAST, sip_call_id=arguments.name)
        records = records or read_records(file, last=_LAST, call=arguments.name)
    except StoreUnusable:
        return []
    return [record_explained(record) for record in records]
