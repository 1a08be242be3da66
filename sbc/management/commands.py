"""The commands of the control socket: which there are, and what each does."""

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from sbc.driver.switchboard import Switchboard
from sbc.management.control import Arguments, Command, CommandRefused, text_argument
from sbc.management.reloading import Reloading
from sbc.management.stopping import Stopping
from sbc.management.trunks import registering
from sbc.management.views import Views

C = TypeVar("C")


def commands_of(
    views: Views,
    switchboard: Switchboard,
    reloading: Reloading[C],
    stopping: Stopping,
    *,
    rearm: Callable[[], None],
    flush: Callable[[], Awaitable[None]],
) -> Mapping[str, Command]:
    """Every command by its name, as `ControlServer` wants them.

    Args:
        rearm: Told when something got a new deadline.
        flush: Writes what records and registrations still wait for the disk.
    """
    return {
        "calls": lambda _: views.calls(),
        "call": lambda arguments: _call(views, arguments),
        "registrations": lambda _: views.registrations(),
        "trunks": lambda _: views.trunks(),
        "register": registering(switchboard, rearm),
        "peers": lambda _: views.peers(),
        "status": lambda _: views.status(),
        "reload": lambda _: reloading.reload(),
        "stop": lambda arguments: _stop(stopping, switchboard, arguments),
        "flush": lambda _: flush(),
    }


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
        drain_s = math.inf if timeout is None else _seconds(timeout)
    stopping.stop(drain_s)
    return {"calls": len(switchboard.calls)}


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise CommandRefused("'timeout_s' is a number of seconds")
    return float(value)
