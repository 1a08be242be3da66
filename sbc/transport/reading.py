"""Reading one connection, no faster than its source's budget lets us."""

import socket
from collections.abc import Callable

import trio

from sbc.transport.endings import End
from sbc.transport.limits import TransportLimits, TransportStatistics
from sbc.transport.sources import OWN_UNITS, Budget, Source

READ_BYTES = 16_384
"""How much a proven connection is read at once."""

UNPROVEN_READ_BYTES = 4096


class Inflow:
    """What comes in on one socket."""

    __slots__ = ("_ended", "_limits", "_own", "_socket", "_source", "_statistics", "proven")

    def __init__(
        self,
        sock: socket.socket,
        *,
        source: Source | None,
        proven: bool,
        limits: TransportLimits,
        statistics: TransportStatistics,
        ended: Callable[[End, str], None],
    ) -> None:
        """Nothing is read yet.

        Args:
            source: Whose budgets are drawn from; None for a network that has none.
            proven: Whether what came was accepted, or that need not be shown.
            ended: Is told why nothing more comes.
        """
        self._socket = sock
        self._source = source
        self._limits = limits
        self._statistics = statistics
        self._ended = ended
        self._own = OWN_UNITS
        self.proven = proven

    async def readable(self) -> bytes | None:
        """Wait for bytes, and read them if the budget lets us; None if there are none now."""
        await trio.lowlevel.wait_readable(self._socket)
        return None if await self.sat_out() else self._receive()

    async def sat_out(self) -> bool:
        """Read nothing while the budget is overdrawn, so that the system holds the peer back, or
        end what never stops; whether that was so."""
        budget = self._budget()
        if budget is None or self._own >= 1 or trio.current_time() >= budget.paused_until:
            return False
        if budget.overdrafts > self._limits.overdrafts:
            self._statistics.closed_rate += 1
            self._ended(End.RATE, "")
        else:
            await trio.sleep_until(budget.paused_until)
        return True

    def spend(self, units: float, now: float) -> None:
        """Draw from what is its own, and then from the budget; one that is overdrawn is not read
        for a while."""
        if units <= self._own:
            self._own -= units
            return
        self._own = 0.0
        budget = self._budget()
        if budget is not None and not budget.spend(units, now):
            self._statistics.reading_paused += 1

    def _budget(self) -> Budget | None:
        source = self._source
        if source is None:
            return None
        return source.proven if self.proven else source.stranger

    def _receive(self) -> bytes | None:
        """Read what is there; None if that is nothing, or was the end."""
        try:
            data = self._socket.recv(READ_BYTES if self.proven else UNPROVEN_READ_BYTES)
        except BlockingIOError:
            return None
        except OSError as error:
            self._statistics.closed_by_peer += 1
            self._ended(End.RESET, error.strerror or "")
            return None
        if not data:
            self._statistics.closed_by_peer += 1
            self._ended(End.PEER, "")
            return None
        return data
