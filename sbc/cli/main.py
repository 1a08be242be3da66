"""The command line: what there is, and where it goes.

Exit codes: 0 done, 1 refused or something is wrong, 2 misused, 3 nobody answers.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from sbc.cli import bans, files, limits, names, operate, peers, route, serve, versions
from sbc.cli.alarms import alarms
from sbc.cli.explain import explain
from sbc.cli.policy import add_policy
from sbc.cli.trunks import trunks
from sbc.management.control import CommandRefused, ControlFailed, NotRunning

Command = Callable[[argparse.Namespace], int]

_CANDIDATE = "what is to stand for sbc.yaml; without it sbc.yaml as it is on disk"

_EPILOG = """\
exit codes: 0 done, 1 refused or something is wrong, 2 misused, 3 no SBC answers

Without --config or FILE the configuration is the one that SBC_CONFIG names, or the first of
sbc.yaml, deploy/sbc.yaml and /etc/sbc/sbc.yaml.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit code."""
    arguments = parser().parse_args(argv)
    command: Command = arguments.command
    try:
        return command(arguments)
    except NotRunning as error:
        print(f"sbc: not running: {error}", file=sys.stderr)
        return operate.NOT_RUNNING
    except (CommandRefused, ControlFailed) as error:
        print(f"sbc: {error}", file=sys.stderr)
        return operate.PROBLEM
    except BrokenPipeError:
        # Whoever read our output, perhaps `head`, has seen enough.
        sys.stderr.close()
        return operate.OK
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """All commands with their arguments."""
    top = argparse.ArgumentParser(
        prog="sbc",
        description="A session border controller: the safe edge between a PBX and the Internet.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument(
        "--version", action=_Version, nargs=0, help="print the version and the media engine"
    )
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_serving(commands)
    _add_files(commands)
    _add_operating(commands)
    _add_versions(commands)
    add_policy(commands)
    return top


class _Version(argparse.Action):
    """What ``sbc version`` prints, found only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Prints and exits, as argparse's own action does."""
        files.version(argparse.Namespace(json=False))
        parser.exit()


def _add_serving(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    run = _add(commands, "run", serve.run, "serve until stopped")
    run.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the configuration")
    run.add_argument("--log-json", action="store_true", help="one JSON object per log line")
    run.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    demo = _add(commands, "demo", serve.demo, "show a call with a built-in PBX and phone")
    demo.add_argument("--once", action="store_true", help="one call, then exit with its verdict")
    demo.add_argument(
        "--engine", choices=("native", "python"), default="native", help="what relays the media"
    )


def _add_files(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    check = _add(commands, "check", files.check, "say what is wrong with a configuration")
    check.add_argument("file", nargs="?", type=Path, metavar="FILE")
    check.add_argument("--json", action="store_true", help="for scripts")
    schema = _add(commands, "schema", files.schema, "print a JSON Schema, for editors")
    schema.add_argument(
        "what", nargs="?", choices=("configuration", "policy"), default="configuration"
    )
    routed = _add(commands, "route", route.route, "say where a call would go by the file, and why")
    routed.add_argument(
        "called", metavar="NUMBER", help="a number, a SIP or tel URI, or urn:service:sos"
    )
    routed.add_argument(
        "--from",
        dest="caller",
        required=True,
        metavar="NAME",
        help="the peer that calls, or the network of a stranger",
    )
    routed.add_argument("-c", "--config", dest="file", type=Path, metavar="FILE")
    routed.add_argument("--json", action="store_true", help="for scripts")
    cdr = _add(commands, "cdr", files.cdr, "show call records")
    cdr.add_argument("--last", type=_positive, default=20, metavar="N", help="how many (20)")
    cdr.add_argument("--call", metavar="ID", help="those whose id begins so")
    cdr.add_argument("--ladder", action="store_true", help="draw what was kept of their story")
    cdr.add_argument("--file", type=Path, help="the call record file itself")
    _add_whom(cdr)
    resolve = _add(commands, "resolve", names.resolve, "show where a name leads by DNS, and why")
    resolve.add_argument("target", metavar="NAME", help="as an address of a peer is written")
    resolve.add_argument("--network", metavar="NAME", help="as far as this network can reach")
    resolve.add_argument("-c", "--config", type=Path, metavar="FILE", help="whose servers to ask")
    resolve.add_argument("--json", action="store_true", help="for scripts")
    version = _add(commands, "version", files.version, "print the version and the media engine")
    version.add_argument("--json", action="store_true", help="for scripts")


def _add_operating(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    _add_whom(_add(commands, "status", operate.status, "how the running SBC is doing"))
    calls = _add(commands, "calls", operate.calls, "list calls in progress")
    calls.add_argument(
        "--ladder", metavar="CALL", help="draw all messages and decisions of one, live or ended"
    )
    _add_whom(calls)
    phones = _add(commands, "registrations", operate.registrations, "list registered phones")
    phones.add_argument(
        "--accept", metavar="AOR", help="let a new device of a user register that is held back"
    )
    _add_whom(phones)
    _add_whom(_add(commands, "alarms", alarms, "show what the log warned of lately"))
    explained = _add(commands, "explain", explain, "say why a call or request went as it did")
    explained.add_argument("name", metavar="CALL-ID", help="of either leg, or an id of ours")
    _add_whom(explained)
    listed = _add(commands, "trunks", trunks, "list our registrations with trunks")
    listed.add_argument(
        "--register", metavar="TRUNK", help="register with one now, not when its wait is over"
    )
    _add_whom(listed)
    _add_whom(
        _add(commands, "limits", limits.limits, "show what is used of each rate limit, and dropped")
    )
    banned = _add(commands, "bans", bans.bans, "list who is shut out and why, lift and add bans")
    bans.add_arguments(banned)
    _add_whom(banned)
    _add_whom(_add(commands, "peers", peers.peers, "list peers, their targets and their health"))
    stop = _add(commands, "stop", operate.stop, "end all calls and stop")
    stop.add_argument("--drain", action="store_true", help="let calls end by themselves first")
    stop.add_argument(
        "--timeout", type=_positive, metavar="S", help="with --drain: hang up what is left then"
    )
    _add_whom(stop)


def _add_versions(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    _add_whom(_add(commands, "reload", versions.reload, "read the configuration again"))
    plan = _add(commands, "plan", versions.plan, "say what the configuration would change")
    candidate = plan.add_mutually_exclusive_group()
    candidate.add_argument("file", nargs="?", type=Path, metavar="FILE", help=_CANDIDATE)
    candidate.add_argument(
        "--rollback",
        type=_positive,
        metavar="N",
        help="what going back to this version would change, and which files it would write",
    )
    plan.add_argument(
        "--calls", type=int, default=200, metavar="N", help="recent calls to ask again (200)"
    )
    apply = _add(commands, "apply", versions.apply, "put the configuration in force")
    apply.add_argument("file", nargs="?", type=Path, metavar="FILE", help=_CANDIDATE)
    _add_reason(apply)
    _add_whom(_add(commands, "confirm", versions.confirm, "let what was applied stay"))
    back = _add(commands, "rollback", versions.rollback, "put an earlier version in force again")
    back.add_argument("version", type=_positive, metavar="N", help="as `sbc versions` lists it")
    _add_reason(back)
    listed = _add(commands, "versions", versions.versions, "list what was in force, when and why")
    for command in (plan, apply, back, listed):
        _add_whom(command)


def _add_reason(command: argparse.ArgumentParser) -> None:
    command.add_argument("--why", metavar="TEXT", help="kept with the version")
    command.add_argument(
        "--confirm",
        type=versions.duration,
        metavar="TIME",
        help="go back after this (90s, 5m, 1h) unless `sbc confirm` comes",
    )


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    command: Command,
    what: str,
) -> argparse.ArgumentParser:
    one = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
    one.set_defaults(command=command)
    return one


def _add_whom(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="for scripts")
    whom = command.add_mutually_exclusive_group()
    whom.add_argument(
        "-c", "--config", type=Path, metavar="FILE", help="the configuration of the SBC meant"
    )
    whom.add_argument("--socket", type=Path, metavar="PATH", help="its control socket")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
