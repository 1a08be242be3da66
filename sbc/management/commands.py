"""The commands of the control socket: which there are, and what each does."""

import math
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

from sbc.driver.switchboard import Switchboard
from sbc.management.control import (
    Arguments,
    Command,
    CommandRefused,
    text_argument,
    who_commands,
)
from sbc.management.explaining import explained
from sbc.management.guarding import Guarding
from sbc.management.planning import CALLS, MOST_CALLS, Sources, plan
from sbc.management.stopping import Stopping
from sbc.management.trunks import registering
from sbc.management.versions import Versions
from sbc.management.views import Views
from sbc.policy.takeover import ACCEPTED_S

C = TypeVar("C")

SHORTEST_CONFIRM_S = 1.0
LONGEST_CONFIRM_S = 604_800.0
MOST_WHY = 500


def commands_of(
    views: Views,
    switchboard: Switchboard,
    versions: Versions[C],
    stopping: Stopping,
    sources: Sources[C],
    guarding: Guarding,
    *,
    rearm: Callable[[], None],
    flush: Callable[[], Awaitable[None]],
) -> Mapping[str, Command]:
    """Every command by its name, as `ControlServer` wants them.

    Args:
        sources: What a plan is made of.
        rearm: Told when something got a new deadline.
        flush: Writes what records and registrations still wait for the disk.
    """
    return {
        "calls": lambda _: views.calls(),
        "call": lambda arguments: _call(views, arguments),
        "explain": lambda arguments: explained(switchboard, text_argument(arguments, "id")),
        "registrations": lambda _: views.registrations(),
        "accept": lambda arguments: _accept(switchboard, arguments),
        "alarms": lambda _: views.alarms(),
        "trunks": lambda _: views.trunks(),
        "register": registering(switchboard, rearm),
        "peers": lambda _: views.peers(),
        "limits": lambda _: views.limits(),
        "status": lambda _: {
            **views.status(),
            "bans": guarding.standing(),
            "configuration": versions.standing(),
        },
        **guarding.commands(),
        "reload": lambda _: versions.reload(who_commands()),
        "apply": lambda arguments: versions.apply(
            who_commands(),
            file=_path(arguments),
            why=_why(arguments),
            confirm_s=_confirm_s(arguments),
        ),
        "plan": lambda arguments: _plan(sources, versions, arguments, flush),
        "confirm": lambda _: versions.confirm(who_commands()),
        "rollback": lambda arguments: versions.rollback(
            _number(arguments),
            who_commands(),
            why=_why(arguments),
            confirm_s=_confirm_s(arguments),
        ),
        "versions": lambda _: versions.listing(),
        "stop": lambda arguments: _stop(stopping, switchboard, arguments),
        "flush": lambda _: flush(),
    }


async def _plan(
    sources: Sources[C],
    versions: Versions[C],
    arguments: Arguments,
    flush: Callable[[], Awaitable[None]],
) -> object:
    file, calls = _path(arguments), _calls(arguments)
    await flush()
    if arguments.get("version") is None:
        return await plan(sources, file, calls)
    if file is not None:
        raise CommandRefused("either 'file' or 'version': they are two candidates")
    return await plan(sources, await versions.outlook(_number(arguments)), calls)


def _accept(switchboard: Switchboard, arguments: Arguments) -> object:
    """Let a new device of a user register that the guard of registrations holds back."""
    text = text_argument(arguments, "aor")
    aor = text if ":" in text else f"sip:{text}"
    if not switchboard.reception.takeovers.accept(aor):
        raise CommandRefused(f"{aor} never registered here; `sbc registrations` lists who did")
    return {"aor": aor, "accepted_s": ACCEPTED_S}


def _call(views: Views, arguments: Arguments) -> object:
    name = text_argument(arguments, "call")
    found = views.call(name)
    if found is None:
        raise CommandRefused(
            f"no call {name!r} is live or among the recent ones; "
            "`sbc calls` lists those that are live, `sbc cdr` those that were"
        )
    return found


def _stop(stopping: Stopping, switchboard: Switchboard, arguments: Arguments) -> object:
    drain, timeout = arguments.get("drain", False), arguments.get("timeout_s")
    drain_s = 0.0
    if drain:
        drain_s = math.inf if timeout is None else _seconds("timeout_s", timeout)
    stopping.stop(drain_s)
    return {"calls": len(switchboard.calls)}


def _path(arguments: Arguments) -> Path | None:
    if arguments.get("file") is None:
        return None
    path = Path(text_argument(arguments, "file"))
    if not path.is_absolute():
        raise CommandRefused("'file' is an absolute path: where the process stands is not yours")
    return path


def _why(arguments: Arguments) -> str:
    why = arguments.get("why")
    if why is None:
        return ""
    if not isinstance(why, str) or len(why) > MOST_WHY or not why.isprintable():
        raise CommandRefused(f"'why' is at most {MOST_WHY} characters on one line")
    return why


def _confirm_s(arguments: Arguments) -> float | None:
    given = arguments.get("confirm_s")
    if given is None:
        return None
    seconds = _seconds("confirm_s", given)
    if not SHORTEST_CONFIRM_S <= seconds <= LONGEST_CONFIRM_S:
        raise CommandRefused(
            f"'confirm_s' is from {SHORTEST_CONFIRM_S:g} to {LONGEST_CONFIRM_S:g} seconds"
        )
    return seconds


def _number(arguments: Arguments) -> int:
    number = arguments.get("version")
    if isinstance(number, bool) or not isinstance(number, int):
        raise CommandRefused("'version' is the number of one; `sbc versions` lists them")
    return number


def _calls(arguments: Arguments) -> int:
    calls = arguments.get("calls", CALLS)
    if isinstance(calls, bool) or not isinstance(calls, int) or not 0 <= calls <= MOST_CALLS:
        raise CommandRefused(f"'calls' is a number from 0 to {MOST_CALLS}")
    return calls


def _seconds(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise CommandRefused(f"{name!r} is a number of seconds")
    return float(value)
