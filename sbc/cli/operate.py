"""Commands to the running process: each asks on the control socket and shows the answer."""

import json
import math
import shutil
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from sbc.cli.ladder import LadderEntry, ascii_only, draw_ladder
from sbc.cli.places import Places, find_configuration, find_places
from sbc.cli.table import cell, draw_table, span
from sbc.management.control import NotRunning, ask
from sbc.state.places import CDR_FILE

OK, PROBLEM, USAGE, NOT_RUNNING = 0, 1, 2, 3
"""Exit codes: done; refused or something is wrong; misused; nobody answers."""

_STOP_S = 15.0
_POLL_S = 0.5


def places(arguments: Namespace) -> Places:
    """Where the process meant by ``--socket`` or ``--config`` keeps its things."""
    if arguments.socket is not None:
        return Places(arguments.socket, arguments.socket.parent / CDR_FILE)
    return find_places(arguments.config or find_configuration())


def control_socket(arguments: Namespace) -> Path:
    """The control socket of the process that is meant."""
    return places(arguments).control_socket


def show_json(value: object) -> None:
    """Print a value for scripts."""
    print(json.dumps(value, indent=2))


def status(arguments: Namespace) -> int:
    """``sbc status``."""
    answer = _mapping(ask(control_socket(arguments), "status"))
    if arguments.json:
        show_json(answer)
    else:
        print(_outline(answer), end="")
    return OK


def calls(arguments: Namespace) -> int:
    """``sbc calls``, and with ``--ladder`` the story of one."""
    if arguments.ladder is not None:
        return _ladder(arguments)
    rows = _rows(ask(control_socket(arguments), "calls"))
    if arguments.json:
        show_json(rows)
        return OK
    columns = ("call", "state", "from", "to", "a", "b", "age", "talking", "route")
    print(draw_table(columns, [_call_cells(row) for row in rows]), end="")
    return OK


def registrations(arguments: Namespace) -> int:
    """``sbc registrations``."""
    rows = _rows(ask(control_socket(arguments), "registrations"))
    if arguments.json:
        show_json(rows)
        return OK
    keys = ("aor", "network", "transport", "source", "registrar", "behind_nat", "reachable")
    columns = (
        "aor",
        "network",
        "transport",
        "source",
        "registrar",
        "nat",
        "reachable",
        "expires in",
    )
    cells = [[*(row.get(key) for key in keys), span(row.get("expires_in_s"))] for row in rows]
    print(draw_table(columns, cells), end="")
    return OK


def reload(arguments: Namespace) -> int:
    """``sbc reload``: 1 when nothing was changed because something is wrong."""
    answer = _mapping(ask(control_socket(arguments), "reload"))
    applied = answer.get("applied") is True
    if arguments.json:
        show_json(answer)
        return OK if applied else PROBLEM
    for problem in _texts(answer.get("problems")):
        print(problem, file=sys.stderr)
    for change in _texts(answer.get("restart")):
        print(f"needs a restart: {change}", file=sys.stderr)
    if not applied:
        print("nothing was changed", file=sys.stderr)
        return PROBLEM
    changes = _texts(answer.get("changes"))
    print("\n".join(["reloaded", *changes]) if changes else "reloaded; nothing differs")
    return OK


def stop(
    arguments: Namespace,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """``sbc stop``: returns when the process has gone; 1 if it has not in time.

    With ``--drain`` calls in progress may end by themselves first, how many are left is shown, and
    only ``--timeout`` sets a limit, after which they are hung up.
    """
    path = control_socket(arguments)
    began = clock()
    wanted = {"drain": arguments.drain, "timeout_s": arguments.timeout}
    answer = _mapping(ask(path, "stop", wanted))
    patience = _STOP_S
    if arguments.drain:
        patience = math.inf if arguments.timeout is None else arguments.timeout + _STOP_S
    shown = None
    while clock() - began < patience:
        left = answer.get("calls")
        if arguments.drain and left != shown and not arguments.json:
            print(f"calls left: {left}", flush=True)
            shown = left
        sleep(_POLL_S)
        try:
            answer = _mapping(ask(path, "status"))
        except NotRunning:
            _report_stop(arguments, "stopped")
            return OK
    _report_stop(arguments, "still running")
    return PROBLEM


def _report_stop(arguments: Namespace, state: str) -> None:
    if arguments.json:
        show_json({"state": state})
    else:
        print(state)


def _ladder(arguments: Namespace) -> int:
    call = _mapping(ask(control_socket(arguments), "call", {"call": arguments.ladder}))
    if arguments.json:
        show_json(call)
    else:
        print(draw_story(call, shutil.get_terminal_size().columns), end="")
    return OK


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
        for entry in _rows(call.get("journal"))
    ]
    words = [call.get("call"), call.get("state"), f"{call.get('from')} -> {call.get('to')}"]
    story = ascii_only("  ".join(str(word) for word in words)) + "\n"
    a, b = _leg_name(_mapping(call.get("a"))), _leg_name(_mapping(call.get("b")))
    story += draw_ladder(entries, a=a, b=b, width=width)
    if call.get("dropped"):
        story += f"({call['dropped']} entries in the middle gave way to later ones)\n"
    media = [_media_cells(stream, side) for stream in _rows(call.get("media")) for side in "ab"]
    if media:
        columns = ("stream", "from", "packets", "lost", "jitter ms", "latched to", "dropped")
        story += "\n" + draw_table(columns, media)
    return story


def _media_cells(stream: dict[str, object], side: str) -> list[object]:
    counted = _mapping(stream.get(side))
    latch = _mapping(stream.get(f"{side}_rtp_latch"))
    ticks, clock_hz = counted.get("jitter_ticks"), stream.get("clock_hz")
    jitter_ms = None
    if isinstance(ticks, int | float) and isinstance(clock_hz, int) and clock_hz:
        jitter_ms = round(ticks * 1000 / clock_hz, 1)
    drops = [f"{count} {reason}" for reason, count in _mapping(counted.get("drops")).items()]
    return [
        stream.get("index"),
        side,
        counted.get("packets"),
        counted.get("lost"),
        jitter_ms,
        f"{latch['source']} ({latch.get('rank')})" if latch.get("source") else None,
        ", ".join(drops),
    ]


def _call_cells(row: dict[str, object]) -> list[object]:
    return [
        row.get("call"),
        row.get("state"),
        row.get("from"),
        row.get("to"),
        _leg_name(_mapping(row.get("a"))),
        _leg_name(_mapping(row.get("b"))),
        span(row.get("age_s")),
        span(row.get("talking_s")),
        row.get("route"),
    ]


def _leg_name(leg: dict[str, object]) -> str:
    return f"{leg.get('peer') or leg.get('network')} {leg.get('address')}"


def _outline(answer: dict[str, object]) -> str:
    """A nested answer with a line for each value, and what belongs together under its name."""
    lines = _items(answer, "")
    width = max((len(name) for name, _ in lines), default=0)
    return "".join(f"{f'{name:{width}}  {value}'.rstrip()}\n" for name, value in lines)


def _items(values: dict[str, object], indent: str) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, dict) and value:
            lines.append((f"{indent}{ascii_only(key)}", ""))
            lines += _items(value, f"{indent}  ")
        elif key == "uptime_s":
            lines.append((f"{indent}uptime", cell(span(value))))
        else:
            shown = None if value == {} else value
            lines.append((f"{indent}{ascii_only(key)}", cell(shown)))
    return lines


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _rows(value: object) -> list[dict[str, object]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    return [ascii_only(str(one)) for one in value] if isinstance(value, list) else []
