"""``sbc policy``: what policies do with messages, captures and calls, and unit tests of them."""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sbc.cli.backtest import add_backtest
from sbc.cli.ladder import ascii_only
from sbc.cli.operate import OK, PROBLEM, show_json
from sbc.cli.policy_explain import explain
from sbc.cli.simulated import Unusable, compared, force_without_names
from sbc.simulation.moments import moment
from sbc.simulation.testing import Findings, Result, run_cases
from sbc.simulation.traffic import Comparison

_MOST_SHOWN = 50


def add_policy(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command with what it can do."""
    what = "ask policies about messages and traffic, and test them"
    policy = commands.add_parser("policy", help=what, description=f"{what.capitalize()}.")
    kinds = policy.add_subparsers(title="what to do", metavar="WHAT", required=True)
    _add_explain(kinds)
    _add_test(kinds)
    _add_diff(kinds)
    add_backtest(kinds)


def _add_explain(kinds: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    one = _add(kinds, "explain", explain, "say what becomes of a message, and why")
    one.add_argument("what", metavar="WHAT", help="a SIP message, a pcap, or a call's id")
    one.add_argument("-c", "--config", dest="file", type=Path, metavar="FILE",
                     help="sbc.yaml, or a policy file")  # fmt: skip
    one.add_argument("--from", dest="source", metavar="HOST[:PORT]", help="where it comes from")
    one.add_argument("--network", metavar="NAME", help="the network it comes on")
    one.add_argument("--transport", choices=("udp", "tcp", "tls", "ws", "wss"), default="udp")
    one.add_argument("--registered", action="store_true", help="its phone is registered")
    one.add_argument("--user", default="", metavar="NAME", help="who logs in, if asked")
    one.add_argument("--time", type=_moment, metavar="TIME", help="when: 2026-03-02 22:30")
    one.add_argument("--call", metavar="CALL-ID", help="of a capture only what has this Call-ID")
    _add_ours(one)


def _add_test(kinds: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    one = _add(kinds, "test", test, "run unit tests of policies; 1 when one fails")
    one.add_argument("files", nargs="+", type=Path, metavar="FILE")
    one.add_argument("-v", "--verbose", action="store_true", help="explain those that hold, too")
    one.add_argument("--json", action="store_true", help="for scripts")


def _add_diff(kinds: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    one = _add(kinds, "diff", diff, "say which requests two configurations treat differently")
    one.add_argument("old", type=Path, metavar="OLD", help="sbc.yaml, or a policy file")
    one.add_argument("new", type=Path, metavar="NEW")
    one.add_argument("--traffic", type=Path, required=True, metavar="PCAP", help="what to ask")
    one.add_argument("--network", default="", metavar="NAME", help="the network it all came on")
    _add_ours(one)


def _add_ours(one: argparse.ArgumentParser) -> None:
    one.add_argument("--ours", action="append", default=[], metavar="HOST",
                     help="an address that was ours in the capture")  # fmt: skip
    one.add_argument("--json", action="store_true", help="for scripts")


def _add(
    kinds: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    command: Callable[[argparse.Namespace], int],
    what: str,
) -> argparse.ArgumentParser:
    one = kinds.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
    one.set_defaults(command=command)
    return one


def _moment(text: str) -> float:
    try:
        return moment(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def test(arguments: argparse.Namespace) -> int:
    """``sbc policy test``: 1 when a case fails, or a file cannot be used."""
    tested = [(file, run_cases(file, force_without_names)) for file in arguments.files]
    if arguments.json:
        show_json([_tested_data(file, one) for file, one in tested])
    else:
        for _, one in tested:
            _show_tested(one, verbose=arguments.verbose)
        ran = sum(len(one.results) for _, one in tested)
        failed = sum(len(one.failed) for _, one in tested)
        broken = sum(one.broken for _, one in tested)
        unusable = f", files that cannot be used: {broken}" if broken else ""
        print(f"{ran} cases, {failed} failed{unusable}")
    return PROBLEM if any(one.broken or one.failed for _, one in tested) else OK


def _show_tested(tested: Findings, *, verbose: bool) -> None:
    for problem in tested.problems:
        print(problem, file=sys.stderr)
    for result in tested.results:
        if result.failures or verbose:
            print(f"{result.where}: {'FAILED' if result.failures else 'holds'}: {result.name}")
            print("".join(f"    {failure}\n" for failure in result.failures), end="")
            print("".join(f"    | {line}\n" for line in _explained(result)), end="")


def _explained(result: Result) -> list[str]:
    return [
        ascii_only(f"{line.step}: {line.text}" + (f"  [{line.where}]" if line.where else ""))
        for line in result.outcome.lines
    ]


def _tested_data(file: Path, tested: Findings) -> dict[str, object]:
    return {
        "file": str(file),
        "problems": [str(problem) for problem in tested.problems],
        "cases": [
            {
                "name": one.name,
                "where": one.where,
                "holds": not one.failures,
                "failures": list(one.failures),
                "outcome": one.outcome.to_data(),
            }
            for one in tested.results
        ],
    }


def diff(arguments: argparse.Namespace) -> int:
    """``sbc policy diff``: 0 whether or not anything differs; 1 where that cannot be told."""
    began = time.monotonic()
    try:
        found, fault = compared(
            arguments.old, arguments.new, arguments.traffic, arguments.ours, arguments.network
        )
    except Unusable as error:
        print(f"sbc: {error}", file=sys.stderr)
        return PROBLEM
    took_s = time.monotonic() - began
    if arguments.json:
        show_json({**found.to_data(), "seconds": round(took_s, 3), "fault": fault})
    else:
        print(_difference(found), end="")
    if fault:
        print(f"sbc: {arguments.traffic}: {fault}", file=sys.stderr)
    return PROBLEM if fault else OK


def _difference(found: Comparison) -> str:
    share = f"{found.different} of {found.requests} requests"
    lines = [f"{share} would be treated differently ({found.messages} messages)"]
    for group in found.differences[:_MOST_SHOWN]:
        lines.append(f"{group.count} x {ascii_only(group.before)}  ->  {ascii_only(group.after)}")
        old, new = group.rules
        lines.append(f"    by {ascii_only(old) or 'no rule'}  ->  {ascii_only(new) or 'no rule'}")
        lines += [
            ascii_only(f"    for example {before.title}, Call-ID {before.call_id}")
            for before, _ in group.examples[:1]
        ]
    hidden = len(found.differences) - _MOST_SHOWN
    if hidden > 0 or found.ungrouped:
        lines.append(f"and {max(0, hidden)} groups more, {found.ungrouped} requests beside them")
    return "\n".join(lines) + "\n"
