"""The control command that registers with a trunk at once."""

from collections.abc import Callable

import trio

from sbc.driver.switchboard import Switchboard
from sbc.management.control import Arguments, Command, CommandRefused, text_argument
from sbc.management.listing import trunks_listing


def registering(switchboard: Switchboard, rearm: Callable[[], None]) -> Command:
    """The command; its answer is the list of all trunks.

    Args:
        rearm: Told that a registration has a new deadline.
    """

    def register(arguments: Arguments) -> object:
        name, now = text_argument(arguments, "trunk"), trio.current_time()
        if not switchboard.carriers.hurry(name, now):
            raise CommandRefused(
                f"no registration waits with trunk {name!r}: it has none, or asks right now; "
                "`sbc trunks` lists them all"
            )
        rearm()
        return trunks_listing(switchboard.carriers.registrations, now)

    return register
