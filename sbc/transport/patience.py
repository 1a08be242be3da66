"""How long one connection may keep us waiting.

Sans-IO. One deadline covers every timer; it is looked at again when it passes, so that traffic
need not move it.
"""

from sbc.transport.endings import End
from sbc.transport.limits import TransportLimits, TransportStatistics


class Patience:
    """The clocks of one connection."""

    __slots__ = (
        "_limits",
        "_opened_at",
        "_partial_at",
        "_ping_at",
        "_pinged_at",
        "_statistics",
        "active_at",
        "heard",
        "heard_at",
    )

    def __init__(
        self, limits: TransportLimits, statistics: TransportStatistics, now: float, *, ours: bool
    ) -> None:
        """A connection that begins now; one of `ours` need not speak first."""
        self._limits = limits
        self._statistics = statistics
        self._opened_at = now
        self._partial_at: float | None = None
        self._ping_at: float | None = None
        self._pinged_at = now
        self.active_at = now
        """When anything was last carried, either way."""
        self.heard_at = now
        """When anything last came."""
        self.heard = ours
        """Whether a whole message came, or none need come."""

    def shaken(self, now: float) -> None:
        """The TLS handshake is done: the time for the first message begins."""
        self._opened_at = now

    def received(self, now: float) -> None:
        """Something came."""
        self.active_at = self.heard_at = now

    def progressed(self, *, partial: bool, complete: bool, now: float) -> None:
        """Start or stop the clock of a message of which only the beginning is there."""
        if not partial:
            self._partial_at = None
        elif complete or self._partial_at is None:
            self._partial_at = now

    def ping_from(self, now: float) -> None:
        """Pings are wanted from now on."""
        if self._ping_at is None:
            self._ping_at = now + self._limits.websocket_ping_s

    def deadline(self, *, proven: bool) -> float:
        """When `overdue` or `ping_due` has something to say next."""
        limits = self._limits
        deadline = self.active_at + limits.idle_s
        if not self.heard:
            deadline = min(deadline, self._opened_at + limits.first_message_s)
        if not proven:
            deadline = min(deadline, self._opened_at + limits.first_message_s + limits.unproven_s)
        if self._partial_at is not None:
            deadline = min(deadline, self._partial_at + limits.message_s)
        if self._ping_at is not None:
            deadline = min(deadline, self._ping_at)
        return deadline

    def overdue(self, now: float, *, proven: bool) -> End | None:
        """Why the connection has used up its time, if it has; counts it."""
        if now < self.deadline(proven=proven):
            return None
        limits, statistics = self._limits, self._statistics
        if now >= self.active_at + limits.idle_s:
            statistics.closed_idle += 1
            return End.IDLE
        if not proven and now >= self._opened_at + limits.first_message_s + limits.unproven_s:
            statistics.closed_unproven += 1
            return End.UNPROVEN
        if self._ping_at is not None and now >= self._ping_at:
            if self.heard_at >= self._pinged_at:
                return None
            statistics.closed_silent += 1
            return End.SILENT
        statistics.closed_slow_message += 1
        return End.SLOW

    def ping_due(self, now: float) -> bool:
        """Whether a ping should leave now; the next one is due an interval later."""
        if self._ping_at is None or now < self._ping_at:
            return False
        self._ping_at = now + self._limits.websocket_ping_s
        self._pinged_at = now
        return True
