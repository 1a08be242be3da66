"""Where TLS handshakes are worked on: in threads of their own, and not more than we can bear.

A handshake costs milliseconds of arithmetic, which the loop must not wait for. Strangers share
their threads and a bounded number of places; the connections that we open, and those of trusted
networks, have threads of their own, so that no flood of handshakes keeps us from our peers.

Spec: RFC 5853 §3.1.1 (denial of service).
"""

import os
from typing import Protocol

import trio

from sbc.transport.endings import End, StreamFault
from sbc.transport.limits import TransportLimits, TransportStatistics
from sbc.transport.reading import Inflow
from sbc.transport.tls_pipe import TlsPipe
from sbc.transport.writing import Outflow

HANDSHAKE_UNITS = 2.0
"""What a step of a handshake costs its source, in the units of `sources`."""

_OUR_THREADS = 2


class Shaking(Protocol):
    """A connection, as far as its handshake goes."""

    @property
    def opened_by_us(self) -> bool:
        """Whether we are the client."""

    @property
    def is_strangers(self) -> bool:
        """Whether others began it from where anybody may."""

    @property
    def is_ending(self) -> bool:
        """Whether there is nothing to go on with."""

    def displace(self) -> None:
        """End, since another one takes the place."""


class Handshakes:
    """All handshakes under way."""

    __slots__ = ("_halfway", "_limits", "_ours", "_statistics", "_strangers", "_working")

    def __init__(self, limits: TransportLimits, statistics: TransportStatistics) -> None:
        """Half of the cores work on what strangers want, so that the loop has one of its own."""
        self._limits = limits
        self._statistics = statistics
        self._halfway: dict[Shaking, None] = {}
        """Those that wait for their peer, the one that waits longest first."""
        self._working = 0
        self._strangers = trio.CapacityLimiter(max(1, len(os.sched_getaffinity(0)) // 2))
        self._ours = trio.CapacityLimiter(_OUR_THREADS)

    @property
    def under_way(self) -> int:
        """How many handshakes of strangers have begun and are not done."""
        return self._working + len(self._halfway)

    async def shake(
        self, connection: Shaking, pipe: TlsPipe, inflow: Inflow, outflow: Outflow
    ) -> bool:
        """Shake hands; whether it is done, and not ended by one side.

        Raises:
            StreamFault: it failed; the peer has been told, as far as TLS tells it.
        """
        # A client speaks first.
        data: bytes | None = b"" if connection.opened_by_us else None
        try:
            while not connection.is_ending:
                if data is not None and pipe.begin(data):
                    inflow.spend(HANDSHAKE_UNITS, trio.current_time())
                    done = await self._step(connection, pipe)
                    outflow.put(pipe.outgoing())
                    if done:
                        return True
                data = await inflow.readable()
        except StreamFault:
            outflow.put(pipe.outgoing())
            raise
        finally:
            self._halfway.pop(connection, None)
        return False

    async def _step(self, connection: Shaking, pipe: TlsPipe) -> bool:
        """Go on with one handshake; whether it is done.

        Raises:
            StreamFault: it failed, or there is no room for it.
        """
        if not connection.is_strangers:
            return await trio.to_thread.run_sync(pipe.step, limiter=self._ours)
        if connection in self._halfway:
            del self._halfway[connection]
        else:
            self._make_room()
        self._working += 1
        try:
            done = await trio.to_thread.run_sync(pipe.step, limiter=self._strangers)
        finally:
            self._working -= 1
        if not done:
            self._halfway[connection] = None
        return done

    def _make_room(self) -> None:
        if self.under_way < self._limits.handshakes:
            return
        oldest = next(iter(self._halfway), None)
        if oldest is None:
            self._statistics.refused_handshakes += 1
            raise StreamFault(End.HANDSHAKE, "too many others wait for theirs")
        del self._halfway[oldest]
        self._statistics.displaced_handshakes += 1
        oldest.displace()
