"""The loop: what trio's edges bring goes into the switchboard with the time; one timer wakes it.

No task, channel or sleep belongs to a call: a batch of messages is handled in the task that read
it, and the earliest of all deadlines is the only one anybody sleeps for.
"""

from collections.abc import Sequence

import trio

from media.events import MediaEvent
from sbc.driver.switchboard import Switchboard
from sbc.sip.flow import Flow


class Loop:
    """Feeds one switchboard."""

    def __init__(self, switchboard: Switchboard) -> None:
        self._switchboard = switchboard
        self._earlier = trio.Event()
        self._armed: float = 0.0

    def messages(self, batch: Sequence[tuple[Flow, bytes]]) -> None:
        """Take what one connection brought in one turn."""
        now = trio.current_time()
        receive = self._switchboard.receive
        for flow, data in batch:
            receive(flow, data, now)
        self._rearm()

    def datagrams(self, batch: Sequence[tuple[Flow, bytes]]) -> None:
        """Take what one socket brought in one turn and the doorkeeper let in."""
        now = trio.current_time()
        take = self._switchboard.take_datagram
        for flow, data in batch:
            take(flow, data, now)
        self._rearm()

    def flow_failed(self, flow: Flow, why: str) -> None:
        """Something could not be sent."""
        self._switchboard.flow_failed(flow, why, trio.current_time())
        self._rearm()

    def flow_closed(self, flow: Flow, why: str) -> None:
        """A connection is gone."""
        self._switchboard.flow_closed(flow, why, trio.current_time())
        self._rearm()

    def media_event(self, event: MediaEvent) -> None:
        """The relay reports something."""
        self._switchboard.media_event(event, trio.current_time())
        self._rearm()

    def changed(self) -> None:
        """An operator's command may have set an earlier deadline."""
        self._rearm()

    async def run(self) -> None:
        """Let deadlines happen, for ever."""
        while True:
            due = self._switchboard.next_timeout()
            self._armed = float("inf") if due is None else due
            self._earlier = trio.Event()
            with trio.move_on_at(self._armed):
                await self._earlier.wait()
            self._switchboard.handle_timeout(trio.current_time())

    def _rearm(self) -> None:
        due = self._switchboard.next_timeout()
        if due is not None and due < self._armed:
            self._earlier.set()
