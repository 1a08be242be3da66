"""Commands that need no running process: check, schema, cdr, version."""

import shutil
import sys
from argparse import Namespace
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from media.relay import Relay
from sbc.cli.names import with_names_checked
from sbc.cli.operate import OK, PROBLEM, records_file, show_json
from sbc.cli.places import SEARCHED, find_configuration
from sbc.cli.story import draw_story, story_of
from sbc.cli.table import clock_time, draw_table, span
from sbc.config.json_schema import configuration_schema, policy_schema
from sbc.config.load import LoadResult, MediaEngine, load_file
from sbc.state.cdr import CdrRecord
from sbc.state.database import StoreUnusable
from sbc.state.file import read_records


def version(arguments: Namespace) -> int:
    """``sbc version``."""
    number, (engine, why) = product_version(), media_engine(MediaEngine())
    if arguments.json:
        show_json({"version": number, "engine": engine, "why": why})
    else:
        print(f"sbc {number}")
        print(f"media engine: {engine} ({why})")
    return OK


def media_engine(wanted: MediaEngine) -> tuple[str, str]:
    """Which engine would relay media here, and why: it is started for a moment."""
    relay = Relay(workers=wanted.workers, native=wanted.native)
    relay.close()
    return relay.engine_name, relay.engine_reason


def product_version() -> str:
    """The version of the installed product; a bare checkout that was never installed has none."""
    try:
        return metadata.version("sbc")
    except metadata.PackageNotFoundError:
        return "of a checkout that is not installed"


def schema(arguments: Namespace) -> int:
    """``sbc schema``."""
    show_json(policy_schema() if arguments.what == "policy" else configuration_schema())
    return OK


def check(arguments: Namespace) -> int:
    """``sbc check``: 1 when the file cannot be used; warnings alone are no failure."""
    path = configuration_file(arguments.file)
    if path is None:
        return PROBLEM
    result = with_names_checked(load_file(path))
    engine, why = None, "the configuration cannot be used"
    if result.configuration is not None:
        engine, why = media_engine(result.configuration.media_engine)
    if arguments.json:
        show_json(
            {
                "file": str(path),
                "usable": result.configuration is not None,
                "engine": engine,
                "why": why,
                "problems": [
                    {
                        "severity": problem.severity.value,
                        "file": problem.file,
                        "line": problem.line,
                        "column": problem.column,
                        "path": problem.path,
                        "message": problem.message,
                        "hint": problem.hint,
                    }
                    for problem in result.problems
                ],
            }
        )
    else:
        for problem in result.problems:
            print(problem)
        print(f"media engine: {engine or 'not known'} ({why})")
        print(_verdict(str(path), result))
    return OK if result.configuration is not None else PROBLEM


def configuration_file(named: Path | None) -> Path | None:
    """The file that was named, or the one that is found; None has been complained about."""
    path = named if named is not None else find_configuration()
    if path is None:
        looked = ", ".join(str(place) for place in SEARCHED)
        print(f"sbc: name a configuration file; there is none of {looked}", file=sys.stderr)
    return path


def cdr(arguments: Namespace) -> int:
    """``sbc cdr``: reads the file, after asking a running process to write what it still holds."""
    file = arguments.file or records_file(arguments)
    try:
        records = read_records(file, last=arguments.last, call=arguments.call)
    except StoreUnusable as error:
        print(f"sbc: {error}", file=sys.stderr)
        return PROBLEM
    if arguments.json:
        show_json([_cdr_data(record) for record in records])
    elif arguments.ladder:
        width = shutil.get_terminal_size().columns
        print("\n".join(draw_story(story_of(record), width) for record in records), end="")
    else:
        print(draw_table(_CDR_COLUMNS, [_cdr_cells(record) for record in records]), end="")
    return PROBLEM if arguments.call is not None and not records else OK


_CDR_COLUMNS = (
    "call",
    "started",
    "talked",
    "from",
    "to",
    "a",
    "b",
    "status",
    "q850",
    "ended by",
    "origin",
    "lost a/b",
    "jitter ms a/b",
    "mos a/b",
    "worst mos a/b",
    "reason",
)


def _cdr_data(record: CdrRecord) -> dict[str, object]:
    """A record as JSON, with what follows from it."""
    return {**asdict(record), "duration_s": record.duration_s, "origin": record.origin}


def _cdr_cells(record: CdrRecord) -> list[object]:
    a, b = record.from_a, record.from_b
    return [
        record.call,
        clock_time(record.started_at),
        "in progress" if record.ended_at is None else span(record.duration_s),
        record.from_number,
        record.to_number,
        record.a.peer or record.a.network,
        record.b.peer or record.b.network,
        record.status,
        record.q850,
        record.ended_by,
        record.origin,
        f"{a.lost}/{b.lost}",
        f"{a.jitter_ms:g}/{b.jitter_ms:g}",
        f"{_score(a.mos)}/{_score(b.mos)}",
        f"{_score(a.worst_mos)}/{_score(b.worst_mos)}",
        record.reason,
    ]


def _score(mos: float | None) -> str:
    return "-" if mos is None else f"{mos:.1f}"


def _verdict(file: str, result: LoadResult) -> str:
    settings = result.settings
    if settings is None:
        return f"{file}: cannot be used: {len(result.errors)} error(s)"
    counts = (
        (len(settings.networks), "network"),
        (len(settings.peers), "peer"),
        (len(settings.routes), "route"),
        (len(result.warnings), "warning"),
    )
    words = ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for count, what in counts)
    return f"{file}: fine: {words}"
