"""Commands that change which configuration is in force, and those that look at that first."""

import re
import sys
from argparse import ArgumentTypeError, Namespace
from pathlib import Path

from sbc.cli.answers import mapping, rows
from sbc.cli.ladder import ascii_only
from sbc.cli.operate import OK, PROBLEM, control_socket, places, show_json
from sbc.cli.table import clock_time, draw_table, span
from sbc.management.control import NotRunning, ask
from sbc.management.versions import version_row
from sbc.state.database import StoreUnusable
from sbc.state.versions.store import read_versions

_SIGNS = {"added": "+", "removed": "-", "moved": ">", "changed": "~", "setting": "~"}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_COLUMNS = ("version", "at", "who", "files", "state", "why")


def duration(text: str) -> float:
    """``90``, ``90s``, ``5m``, ``1h`` as seconds, for the command line."""
    found = re.fullmatch(r"(\d{1,9})([smhd]?)", text)
    if found is None:
        raise ArgumentTypeError(f"{text!r} is no time; write 90s, 5m or 1h")
    return float(found[1]) * _UNITS[found[2] or "s"]


def reload(arguments: Namespace) -> int:
    """``sbc reload``: 1 when nothing was changed because something is wrong."""
    return _changed(arguments, "reload", {}, "reloaded")


def apply(arguments: Namespace) -> int:
    """``sbc apply``: likewise."""
    wanted = {"file": _named(arguments), "why": arguments.why, "confirm_s": arguments.confirm}
    return _changed(arguments, "apply", wanted, "applied")


def rollback(arguments: Namespace) -> int:
    """``sbc rollback``: likewise."""
    wanted = {
        "version": arguments.version,
        "why": arguments.why,
        "confirm_s": arguments.confirm,
    }
    return _changed(arguments, "rollback", wanted, "rolled back")


def confirm(arguments: Namespace) -> int:
    """``sbc confirm``."""
    answer = mapping(ask(control_socket(arguments), "confirm"))
    if arguments.json:
        show_json(answer)
    else:
        print(f"version {answer.get('version')} stays")
    return OK


def versions(arguments: Namespace) -> int:
    """``sbc versions``: asks the process, or where none runs reads what was kept."""
    where = places(arguments)
    try:
        listed = rows(ask(where.control_socket, "versions"))
    except NotRunning:
        try:
            kept, standing = read_versions(where.versions)
        except StoreUnusable as error:
            print(f"sbc: {error}", file=sys.stderr)
            return PROBLEM
        listed = [version_row(one, standing.in_force, standing.confirmed) for one in kept]
    if arguments.json:
        show_json(listed)
        return OK
    table = [[_cell(name, row.get(name)) for name in _COLUMNS] for row in listed]
    print(draw_table(_COLUMNS, table), end="")
    return OK


def plan(arguments: Namespace) -> int:
    """``sbc plan``: 1 when the candidate could not be put in force."""
    wanted = {
        "file": _named(arguments),
        "version": arguments.rollback,
        "calls": arguments.calls,
    }
    answer = mapping(ask(control_socket(arguments), "plan", wanted))
    possible = answer.get("possible") is True
    if arguments.json:
        show_json(answer)
        return OK if possible else PROBLEM
    for problem in _texts(answer.get("problems")):
        print(problem, file=sys.stderr)
    found = rows(answer.get("entries"))
    for entry in found:
        print("\n".join(_entry_lines(entry)))
    if possible and not found:
        print("nothing differs")
    _show_files(answer)
    if answer.get("replayed") is not None:
        _show_replayed(mapping(answer.get("replayed")))
    if not possible:
        print("this cannot be applied", file=sys.stderr)
    return OK if possible else PROBLEM


def _changed(arguments: Namespace, command: str, wanted: dict[str, object], done: str) -> int:
    answer = mapping(ask(control_socket(arguments), command, wanted))
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
    print("\n".join([done, *changes]) if changes else f"{done}; nothing differs")
    _show_files(answer)
    if answer.get("trouble"):
        print(ascii_only(str(answer["trouble"])), file=sys.stderr)
    if answer.get("version") is not None:
        print(f"version {answer['version']} is in force{_until(answer.get('confirm_within_s'))}")
    return OK


def _until(left: object) -> str:
    if left is None:
        return ""
    return f"; without `sbc confirm` within {span(left)} the one before comes back"


def _named(arguments: Namespace) -> str | None:
    """The file of a candidate as the process can find it."""
    file: Path | None = arguments.file
    return None if file is None else str(file.absolute())


def _cell(name: str, value: object) -> object:
    return clock_time(value) if name == "at" else value


def _entry_lines(entry: dict[str, object]) -> list[str]:
    places_of_it = [str(one) for one in (entry.get("before"), entry.get("after")) if one]
    where = f" ({' -> '.join(dict.fromkeys(places_of_it))})" if places_of_it else ""
    restart = ", needs a restart" if entry.get("needs_restart") else ""
    sign = entry.get("sign")
    head = f"{_SIGNS.get(str(sign), '?')} {entry.get('what')}: {sign}{restart}{where}"
    return [ascii_only(head), *(f"    {text}" for text in _texts(entry.get("details")))]


def _show_files(answer: dict[str, object]) -> None:
    """What becomes of the files on disk, where a version is written over them."""
    for one in rows(answer.get("files")):
        why = f": {one.get('why')}" if one.get("why") else ""
        print(ascii_only(f"{one.get('what')} {one.get('file')}{why}"))


def _treated(what: object, why: object) -> str:
    """How a call is treated, with why: rules say in that what they do."""
    return str(why) if str(why).startswith(str(what)) else f"{what}: {why}"


def _show_replayed(replayed: dict[str, object]) -> None:
    found = rows(replayed.get("differences"))
    count = sum(number for one in found if isinstance(number := one.get("calls"), int))
    print(f"of the last {replayed.get('calls')} calls {count} would be treated differently")
    for one in found:
        call = mapping(one.get("example"))
        who = f"{call.get('from')} of {call.get('of')} to {call.get('to')}"
        lines = [
            f"  {one.get('calls')} calls, the last {clock_time(call.get('started_at'))}: {who}",
            f"    now:  {_treated(one.get('before'), one.get('before_why'))}",
            f"    then: {_treated(one.get('after'), one.get('after_why'))}",
        ]
        assumed = _texts(one.get("assumed"))
        if assumed:
            lines.append(f"    assumed, since the record does not say: {'; '.join(assumed)}")
        print("\n".join(map(ascii_only, lines)))
    assumed = _texts(replayed.get("assumed"))
    if replayed.get("calls") and assumed:
        print(
            f"rules ask what records do not say; of these calls was assumed: {'; '.join(assumed)}"
        )


def _texts(value: object) -> list[str]:
    return [ascii_only(str(one)) for one in value] if isinstance(value, list) else []
