"""``sbc policy backtest``: calls of before, judged by the rules against toll fraud of now."""

import json
import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterator
from pathlib import Path
from time import time

from sbc.cli.ladder import ascii_only
from sbc.cli.operate import OK, PROBLEM, records_file, show_json
from sbc.cli.places import find_configuration
from sbc.cli.table import clock_time, draw_table, span
from sbc.cli.versions import duration
from sbc.config.files import read_text
from sbc.config.load import load_file
from sbc.document.problem import Problem
from sbc.management.past_calls import past_of, record_from_data
from sbc.numbering import WorldKinds
from sbc.policy.library import Library
from sbc.policy.load import combine, load_policy
from sbc.policy.model import PolicySet
from sbc.policy.past import Finding, Past, Report, backtest
from sbc.policy.world import World
from sbc.state.cdr import CdrRecord
from sbc.state.database import StoreUnusable
from sbc.state.file import read_since

_MOST_RECORDS = 1_000_000
_MOST_SHOWN = 50
_SQLITE = b"SQLite format 3\0"
_COLUMNS = ("began", "account", "called", "talked", "cost", "saved", "done", "rule", "why")


class Unusable(Exception):
    """What is needed cannot be read; the text says why."""


def add_backtest(kinds: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the command to those of ``sbc policy``."""
    what = "judge the calls of before by the rules against toll fraud"
    one = kinds.add_parser("backtest", help=what, description=f"{what.capitalize()}.")
    one.set_defaults(command=run)
    one.add_argument(
        "--policy", type=Path, action="append", default=[], metavar="FILE",
        help="a policy file in place of those of the configuration; may be given again",
    )  # fmt: skip
    one.add_argument(
        "--since", type=duration, default=30 * 86_400.0, metavar="TIME",
        help="how far back: 12h, 30d (30d)",
    )  # fmt: skip
    one.add_argument(
        "--cdr", type=Path, metavar="FILE",
        help="a call record file, or what `sbc cdr --json` wrote, also one record in a line",
    )  # fmt: skip
    one.add_argument("--json", action="store_true", help="for scripts")
    one.add_argument("-c", "--config", type=Path, metavar="FILE", help="the configuration")
    one.set_defaults(socket=None)


def run(arguments: Namespace) -> int:
    """``sbc policy backtest``: 1 when something cannot be read; what is found is no failure."""
    try:
        policy, trusted = _policy(arguments)
        since = time() - arguments.since
        calls = sorted(_calls(arguments, since, trusted), key=lambda past: past.began)
    except (Unusable, StoreUnusable) as error:
        print(f"sbc: {error}", file=sys.stderr)
        return PROBLEM
    report = backtest(policy, World(numbers=WorldKinds()), calls)
    if arguments.json:
        show_json(_data(report))
    else:
        print(_text(report, policy), end="")
    return OK


def _policy(arguments: Namespace) -> tuple[PolicySet, frozenset[str]]:
    """The rules to judge by, and the networks that are trusted."""
    file = arguments.config or find_configuration()
    if file is None and not arguments.policy:
        raise Unusable("name a policy file by --policy, or a configuration by --config")
    result = None if file is None else load_file(file)
    if result is not None:
        configuration = result.configuration
        if configuration is not None:
            networks = configuration.settings.networks
            trusted = frozenset(network.name for network in networks if network.trusted)
            if not arguments.policy:
                return configuration.policies, trusted
            return _named(arguments.policy), trusted
        if not arguments.policy:
            _complain(result.problems)
            raise Unusable(f"{file} cannot be used")
    return _named(arguments.policy), frozenset()


def _named(files: list[Path]) -> PolicySet:
    loaded = []
    library = Library(read=read_text)
    for file in files:
        try:
            text = read_text(file)
        except (OSError, ValueError) as error:
            raise Unusable(f"{file}: cannot be read: {error}") from None
        policy = load_policy(text, str(file), library=library)
        _complain(policy.problems)
        if policy.broken:
            raise Unusable(f"{file} cannot be used")
        loaded.append(policy)
    return combine(loaded)


def _complain(problems: tuple[Problem, ...]) -> None:
    for problem in problems:
        print(problem, file=sys.stderr)


def _calls(arguments: Namespace, since: float, trusted: frozenset[str]) -> Iterator[Past]:
    for record in _records(arguments, since):
        past = past_of(record, trusted)
        if past is not None and past.began >= since:
            yield past


def _records(arguments: Namespace, since: float) -> Iterator[CdrRecord]:
    file: Path = arguments.cdr or records_file(arguments)
    try:
        with file.open("rb") as opened:
            is_store = opened.read(len(_SQLITE)) == _SQLITE
        if is_store:
            yield from read_since(file, since, _MOST_RECORDS)
            return
        text = read_exported(file)
    except (OSError, ValueError) as error:
        raise Unusable(f"{file}: cannot be read: {error}") from None
    yield from _exported(text, file)


def read_exported(file: Path) -> str:
    """A file of exported records; they may be long.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not UTF-8.
    """
    return file.read_text(encoding="utf-8-sig")


def _exported(text: str, file: Path) -> Iterator[CdrRecord]:
    """The records of `sbc cdr --json`, as one list, or one in each line."""
    if text.lstrip().startswith("["):
        try:
            listed = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise Unusable(f"{file}: no list of call records: {error}") from None
        numbered = enumerate(listed, start=1)
    else:
        numbered = enumerate(text.splitlines(), start=1)
    for number, item in numbered:
        if item == "":
            continue
        try:
            yield record_from_data(json.loads(item) if isinstance(item, str) else item)
        except (ValueError, RecursionError) as error:
            raise Unusable(f"{file}: record {number}: {error}") from None


def _data(report: Report) -> dict[str, object]:
    return {
        "calls": report.calls,
        "cost": round(report.cost, 4),
        "saved": round(report.saved, 4),
        "done": report.counts,
        "rules": {
            name: {"calls": number, "saved": round(saved, 4)}
            for name, (number, saved) in report.by_rule.items()
        },
        "found": [
            {
                "call": one.past.call,
                "began": one.past.began,
                "account": one.past.account,
                "called": one.past.number,
                "cost": round(one.cost, 4),
                "saved": round(one.saved, 4),
                "done": str(one.step.action),
                "rule": one.step.rule,
                "where": one.step.where,
                "why": one.step.explanation,
            }
            for one in report.found
        ],
    }


def _text(report: Report, policy: PolicySet) -> str:
    amount = policy.tariffs.amount
    said = ", ".join(f"{count} {verb}" for verb, count in report.counts.items()) or "none"
    lines = [
        f"calls    {report.calls}, which cost {amount(report.cost)}",
        f"found    {said}",
        f"saved    {amount(report.saved)}",
        "",
    ]
    for name, (number, saved) in report.by_rule.items():
        lines.append(f"{number:7} by rule {ascii_only(repr(name))}, {amount(saved)} saved")
    table = [_cells(one, policy) for one in report.found[:_MOST_SHOWN]]
    if table:
        lines += ["", draw_table(_COLUMNS, table).rstrip("\n")]
    more = sum(report.counts.values()) - len(table)
    if more:
        lines.append(f"... and {more} more; --json has up to {len(report.found)}")
    return "\n".join(lines).rstrip("\n") + "\n"


def _cells(one: Finding, policy: PolicySet) -> list[object]:
    past = one.past
    talked_s = 0.0 if past.answered is None else past.ended - past.answered
    tested = ", ".join(f"{test.fact} {test.value}" for test in one.step.tested)
    return [
        clock_time(past.began),
        past.account,
        past.number,
        span(talked_s),
        policy.tariffs.amount(one.cost),
        policy.tariffs.amount(one.saved),
        one.step.action.verb,
        f"{one.step.rule} ({one.step.where})",
        tested,
    ]
