"""What connections failed at, told to an operator no more often than somebody can read.

Sans-IO.
"""

from collections.abc import Callable

from sbc.sip.flow import Flow

LINES = 10
"""How many failures are told in each window."""

WINDOW_S = 10.0


class Troubles:
    """Rations the lines of each network, and of each peer that we connect to."""

    __slots__ = ("_report", "_windows")

    def __init__(self, report: Callable[[Flow, str, int], None]) -> None:
        """`report` gets the flow, why it failed, and how many before it were not told."""
        self._report = report
        self._windows: dict[tuple[str, str], _Window] = {}

    def add(self, flow: Flow, why: str, now: float) -> None:
        """Tell of one, or count it as not told."""
        window = self._windows.setdefault((flow.network, flow.peer), _Window(now))
        if now - window.since >= WINDOW_S:
            window.since = now
            window.told = 0
        if window.told >= LINES:
            window.untold += 1
            return
        window.told += 1
        untold, window.untold = window.untold, 0
        self._report(flow, why, untold)


class _Window:
    __slots__ = ("since", "told", "untold")

    def __init__(self, since: float) -> None:
        self.since = since
        self.told = 0
        self.untold = 0
