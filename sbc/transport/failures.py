"""Failed flows, told outside the call that sent."""

from collections.abc import Callable

import trio

from sbc.sip.flow import Flow


class Failures:
    """Collects failed flows and reports each once per turn of the loop.

    `Transports.send` is called from the middle of executing a core's outputs; telling the driver
    of a failure right there would re-enter the core. So failures are told from a task of their own.
    """

    __slots__ = ("_report", "_waiting", "_wake")

    def __init__(self, report: Callable[[Flow, str], None]) -> None:
        """`report` gets the flow and one line of why."""
        self._report = report
        self._waiting: dict[Flow, str] = {}
        self._wake = trio.Event()

    def add(self, flow: Flow, why: str) -> None:
        """Report `flow` soon; a second failure of it before that says nothing new."""
        self._waiting.setdefault(flow, why)
        self._wake.set()

    async def run(self) -> None:
        """Report for ever."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            waiting, self._waiting = self._waiting, {}
            for flow, why in waiting.items():
                self._report(flow, why)
            await trio.lowlevel.checkpoint()
