"""How the process ends: calls get a while to end by themselves, then they are hung up.

Last of all our registrations with trunks are withdrawn.

Whoever asks again can only bring the end nearer: a stop during a drain hangs up at once, and a
stop while calls are being hung up waits no longer for the answers to their BYEs.
"""

from collections.abc import Callable

import trio

from sbc.b2bua.causes import NORMAL_CLEARING, TEMPORARY_FAILURE, Ending
from sbc.b2bua.events import GaveUp
from sbc.driver.switchboard import Switchboard
from sbc.management.log import Log
from sbc.state.cdr import EndedBy

HANG_UP_S = 2.0
"""How long the answers to BYEs are waited for, counted from the last BYE, and those to the
withdrawals."""

CALLS_AT_ONCE = 50
"""Calls that are hung up between two turns of the loop: about 10 ms of work."""

_POLL_S = 0.1
_BY_OPERATOR = Ending(
    503, NORMAL_CLEARING, EndedBy.OPERATOR, "this border was stopped by its operator"
)


class Stopping:
    """Waits for a stop and carries it out."""

    def __init__(self, switchboard: Switchboard, *, rearm: Callable[[], None], log: Log) -> None:
        """Nothing is stopped yet.

        Args:
            rearm: Told when calls were given new deadlines.
        """
        self.failure = ""
        """Why the process had to end by itself; empty while it need not."""
        self._switchboard = switchboard
        self._rearm = rearm
        self._log = log
        self._asked = False
        self._deadline = float("inf")
        self._hanging_up = False
        self._hurried = False
        self._changed = trio.Event()

    def stop(self, drain_s: float = 0.0) -> None:
        """Begin to stop, or stop sooner: no new calls from here on.

        Args:
            drain_s: How long calls may go on, if nobody asked for less before.
        """
        calls = self._switchboard.calls
        self._log.info("stopping", drain_s=drain_s, calls=len(calls))
        self._switchboard.reception.draining = True
        self._deadline = min(self._deadline, trio.current_time() + drain_s)
        self._hurried = self._hanging_up
        self._asked = True
        self._changed.set()

    def fail(self, why: str) -> None:
        """End the process because it can do its work no longer."""
        self.failure = self.failure or why
        self.stop()

    async def run(self) -> None:
        """Return when somebody asked for a stop and no call is left."""
        calls = self._switchboard.calls
        while not self._asked:
            await self._changed.wait()
        while len(calls) and trio.current_time() < self._deadline:
            await self._moment()
        self._hanging_up = True
        ending = self._ending()
        await self._hang_up(ending)
        answered_by = trio.current_time() + HANG_UP_S
        while len(calls) and not self._hurried and trio.current_time() < answered_by:
            await self._moment()
        calls.drop_all(ending, trio.current_time())
        await self._leave_trunks()

    async def _leave_trunks(self) -> None:
        """Withdraw what we registered; nobody waits long for answers to that."""
        registrations = self._switchboard.carriers.registrations
        if not registrations:
            return
        self._switchboard.leave(trio.current_time())
        self._rearm()
        answered_by = trio.current_time() + HANG_UP_S
        while len(registrations) and not self._hurried and trio.current_time() < answered_by:
            await self._moment()

    async def _hang_up(self, ending: Ending) -> None:
        """Say BYE to everybody, and let others have their turn now and then."""
        calls = self._switchboard.calls
        for number, call in enumerate(calls, start=1):
            calls.tell(call, GaveUp(ending), trio.current_time())
            if number % CALLS_AT_ONCE == 0:
                self._rearm()
                await trio.lowlevel.checkpoint()
        self._rearm()

    def _ending(self) -> Ending:
        if not self.failure:
            return _BY_OPERATOR
        return Ending(503, TEMPORARY_FAILURE, EndedBy.INTERNAL, self.failure)

    async def _moment(self) -> None:
        """Wait until it is worth to look again; that a call ended nobody tells."""
        self._changed = trio.Event()
        with trio.move_on_after(_POLL_S):
            await self._changed.wait()
