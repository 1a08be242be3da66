"""``sbc bans``: who is shut out and why, and an operator's hand in it."""

import argparse
from argparse import Namespace
from pathlib import Path

from sbc.cli.answers import mapping, rows
from sbc.cli.operate import OK, PROBLEM, control_socket, show_json
from sbc.cli.table import cell, clock_time, draw_table, span
from sbc.management.control import ask

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_COLUMNS = ("source", "left", "by", "hits", "score", "times", "why")
_MUTES = ("source", "network", "left", "hits", "why")
_DEFAULT_S = 3600


def duration(text: str) -> int:
    """``90``, ``90s``, ``30m``, ``1h`` or ``2d`` in seconds.

    Raises:
        ArgumentTypeError: it is none of them.
    """
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "s")
    if not (number.isascii() and number.isdigit() and int(number) > 0):
        raise argparse.ArgumentTypeError("a duration is, for example, 90s, 30m, 1h or 2d")
    return int(number) * _UNITS[unit]


def add_arguments(command: argparse.ArgumentParser) -> None:
    """What ``sbc bans`` takes."""
    what = command.add_mutually_exclusive_group()
    what.add_argument("--lift", metavar="HOST", help="let an address or prefix in again")
    what.add_argument("--add", metavar="PREFIX", help="shut an address or prefix out")
    what.add_argument("--counters", action="store_true", help="what was seen, by kind and reason")
    command.add_argument(
        "--for", dest="seconds", type=duration, default=_DEFAULT_S, metavar="TIME",
        help="with --add: how long, as 90s, 30m, 1h or 2d (1h)",
    )  # fmt: skip
    command.add_argument("--why", metavar="TEXT", help="with --add: what everybody shall read")


def bans(arguments: Namespace) -> int:
    """``sbc bans``; 1 if there was nothing to lift."""
    socket = control_socket(arguments)
    if arguments.lift is not None:
        return _lift(arguments, socket)
    if arguments.add is not None:
        why = arguments.why or "by hand"
        wanted = {"source": arguments.add, "seconds": arguments.seconds, "why": why}
        answer = mapping(ask(socket, "ban", wanted))
    else:
        answer = mapping(ask(socket, "bans"))
    if arguments.json:
        show_json(answer)
    elif arguments.counters:
        counted = mapping(answer.get("counters"))
        print(draw_table(("offence", "seen"), sorted(counted.items())), end="")
    else:
        print(_outline(answer), end="")
    return OK


def _lift(arguments: Namespace, socket: Path) -> int:
    answer = mapping(ask(socket, "lift", {"source": arguments.lift}))
    lifted = answer.get("lifted")
    if arguments.json:
        show_json(answer)
    elif isinstance(lifted, list) and lifted:
        print("\n".join(f"lifted: {cell(one)}" for one in lifted))
    else:
        print(f"{cell(arguments.lift)} was not banned; what was held against it is forgotten")
    return OK if lifted else PROBLEM


def _outline(answer: dict[str, object]) -> str:
    found = rows(answer.get("bans"))
    parts = [draw_table(_COLUMNS, [_cells(row) for row in found])]
    for row in found:
        parts += _evidence(row)
    muted = rows(answer.get("mutes"))
    if muted:
        parts += ["\nmuted for a moment:\n", draw_table(_MUTES, [_mute(row) for row in muted])]
    parts.append(f"\nkernel: {cell(answer.get('kernel'))}{_kernel_dropped(answer)}\n")
    if answer.get("shadow"):
        parts.append("shadow: bans by rules are only reported\n")
    if answer.get("trouble"):
        parts.append(f"not on disk: {cell(answer['trouble'])}\n")
    return "".join(parts)


def _kernel_dropped(answer: dict[str, object]) -> str:
    """What the kernel dropped before it was seen, which no source's hits tell."""
    counts = mapping(answer.get("kernel_dropped"))
    told = ", ".join(f"{count} {cell(what)}" for what, count in counts.items() if count)
    return f"; packets dropped there, beside the hits: {told}" if told else ""


def _cells(row: dict[str, object]) -> list[object]:
    by = f"{row.get('by')} (shadow)" if row.get("shadow") else row.get("by")
    keys = ("hits", "score", "number", "why")
    return [row.get("source"), span(row.get("left_s")), by, *(row.get(key) for key in keys)]


def _evidence(row: dict[str, object]) -> list[str]:
    """What was seen of a source, a line for each."""
    lines = [f"\n{cell(row.get('source'))}, since {cell(clock_time(row.get('since')))}:\n"]
    for one in rows(row.get("evidence")):
        call = f" (Call-ID {cell(one['call_id'])})" if one.get("call_id") else ""
        lines.append(
            f"  {cell(clock_time(one.get('at')))}  {cell(one.get('source'))}  "
            f"{cell(one.get('offence'))}: {cell(one.get('what'))}{call}\n"
        )
    return lines if len(lines) > 1 else []


def _mute(row: dict[str, object]) -> list[object]:
    source = f"{row.get('host')} port {row.get('port')}"
    if row.get("connection") is not None:
        source += f" connection {row['connection']}"
    why = f"throttled: {row.get('why')}" if row.get("throttled") else row.get("why")
    return [source, row.get("network"), span(row.get("left_s")), row.get("hits"), why]
