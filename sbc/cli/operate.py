"""Commands to the running process: each asks on the control socket and shows the answer."""

import json
import math
import shutil
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from sbc.cli.answers import mapping, rows
from sbc.cli.ladder import ascii_only
from sbc.cli.places import find_configuration
from sbc.cli.story import draw_story, kept_story, leg_name
from sbc.cli.table import cell, clock_time, draw_table, span
from sbc.config.places import Places, find_places
from sbc.management.control import CommandRefused, ControlFailed, NotRunning, ask
from sbc.state.places import CDR_FILE, VERSIONS_DIR

OK, PROBLEM, USAGE, NOT_RUNNING = 0, 1, 2, 3
"""Exit codes: done; refused or something is wrong; misused; nobody answers."""

_STOP_S = 15.0
_POLL_S = 0.5


def places(arguments: Namespace) -> Places:
    """Where the process meant by ``--socket`` or ``--config`` keeps its things."""
    if arguments.socket is not None:
        state = arguments.socket.parent
        return Places(arguments.socket, state / CDR_FILE, state / VERSIONS_DIR)
    return find_places(arguments.config or find_configuration())


def control_socket(arguments: Namespace) -> Path:
    """The control socket of the process that is meant."""
    return places(arguments).control_socket


def records_file(arguments: Namespace) -> Path:
    """The call records of the process that is meant, after it has written what it still holds."""
    try:
        ask(control_socket(arguments), "flush")
    except (NotRunning, CommandRefused, ControlFailed):
        pass  # then what is in the file is all there is to see
    return places(arguments).call_records


def show_json(value: object) -> None:
    """Print a value for scripts."""
    print(json.dumps(value, indent=2))


def status(arguments: Namespace) -> int:
    """``sbc status``."""
    answer = mapping(ask(control_socket(arguments), "status"))
    if arguments.json:
        show_json(answer)
    else:
        print(_outline(answer), end="")
    return OK


def calls(arguments: Namespace) -> int:
    """``sbc calls``, and with ``--ladder`` the story of one."""
    if arguments.ladder is not None:
        return _ladder(arguments)
    found = rows(ask(control_socket(arguments), "calls"))
    if arguments.json:
        show_json(found)
        return OK
    columns = ("call", "state", "from", "to", "a", "b", "age", "talking", "route")
    print(draw_table(columns, [_call_cells(row) for row in found]), end="")
    return OK


def registrations(arguments: Namespace) -> int:
    """``sbc registrations``, and with ``--accept`` the word that a held device is the user's."""
    if arguments.accept is not None:
        return _accept(arguments)
    found = rows(ask(control_socket(arguments), "registrations"))
    if arguments.json:
        show_json(found)
        return OK
    keys = ("aor", "network", "transport", "source", "flow", "mode", "registrar")
    columns = (*keys, "nat", "reachable", "expires in", "at the registrar")
    cells = [
        [
            *(row.get(key) or None for key in keys),
            row.get("behind_nat"),
            row.get("reachable"),
            span(row.get("expires_in_s")),
            span(row.get("registrar_expires_in_s")),
        ]
        for row in found
    ]
    print(draw_table(columns, cells), end="")
    return OK


def _accept(arguments: Namespace) -> int:
    answer = mapping(ask(control_socket(arguments), "accept", {"aor": arguments.accept}))
    if arguments.json:
        show_json(answer)
    else:
        print(f"a new device of {answer['aor']} may register within {span(answer['accepted_s'])}")
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
    answer = mapping(ask(path, "stop", wanted))
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
            answer = mapping(ask(path, "status"))
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
    call = _story(arguments)
    if arguments.json:
        show_json(call)
    else:
        print(draw_story(call, shutil.get_terminal_size().columns), end="")
    return OK


def _story(arguments: Namespace) -> dict[str, object]:
    """What the process still knows of a call, or else what its record has kept."""
    try:
        return mapping(ask(control_socket(arguments), "call", {"call": arguments.ladder}))
    except (CommandRefused, NotRunning):
        kept = kept_story(records_file(arguments), arguments.ladder)
        if kept is None:
            raise
        return kept


def _call_cells(row: dict[str, object]) -> list[object]:
    return [
        row.get("call"),
        row.get("state"),
        row.get("from"),
        row.get("to"),
        leg_name(mapping(row.get("a"))),
        leg_name(mapping(row.get("b"))),
        span(row.get("age_s")),
        span(row.get("talking_s")),
        row.get("route"),
    ]


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
        elif key == "at":
            lines.append((f"{indent}at", cell(clock_time(value))))
        else:
            shown = None if value == {} else value
            lines.append((f"{indent}{ascii_only(key)}", cell(shown)))
    return lines
