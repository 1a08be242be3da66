"""What waits to be written on one connection."""

import socket
from collections.abc import Callable

import trio

from sbc.transport.endings import End
from sbc.transport.limits import TransportLimits, TransportStatistics

_WRITE_BYTES = 65_536


class Outflow:
    """Writes at once what the system takes, and leaves the rest to a task that exists only while
    something waits."""

    __slots__ = (
        "_failed",
        "_limits",
        "_nursery",
        "_open",
        "_scope",
        "_socket",
        "_statistics",
        "_stopped",
        "_waiting",
    )

    def __init__(
        self,
        sock: socket.socket,
        *,
        limits: TransportLimits,
        statistics: TransportStatistics,
        nursery: trio.Nursery,
        failed: Callable[[End, str], None],
    ) -> None:
        """Nothing is written before `open`.

        Args:
            failed: Is told, once at most, why nothing more can be written.
        """
        self._socket = sock
        self._limits = limits
        self._statistics = statistics
        self._nursery = nursery
        self._failed = failed
        self._waiting = bytearray()
        self._open = False
        self._stopped = False
        self._scope: trio.CancelScope | None = None

    def open(self) -> None:
        """The socket is connected: write what waits."""
        self._open = True
        self._flush()
        self._write_rest()

    def put(self, data: bytes) -> None:
        """Queue bytes behind what waits."""
        if self._stopped or not data:
            return
        if len(self._waiting) + len(data) > self._limits.write_buffer_bytes:
            self._statistics.closed_write_overflow += 1
            self._fail(End.OVERFLOW, "")
            return
        self._waiting += data
        if self._open and self._scope is None:
            self._flush()
            self._write_rest()

    def stop(self) -> None:
        """Write nothing more."""
        self._stopped = True
        if self._scope is not None:
            self._scope.cancel()

    def _fail(self, end: End, detail: str) -> None:
        self._stopped = True
        self._failed(end, detail)

    def _flush(self) -> None:
        """Write until all is written or the system takes no more."""
        while self._waiting and not self._stopped:
            try:
                with memoryview(self._waiting) as waiting:
                    written = self._socket.send(waiting[:_WRITE_BYTES])
            except BlockingIOError:
                return
            except OSError as error:
                self._statistics.closed_by_peer += 1
                self._fail(End.RESET, error.strerror or "")
                return
            del self._waiting[:written]

    def _write_rest(self) -> None:
        if self._waiting and not self._stopped:
            self._scope = trio.CancelScope()
            self._nursery.start_soon(self._write, self._scope)

    async def _write(self, scope: trio.CancelScope) -> None:
        with scope:
            while self._waiting and not self._stopped:
                before = len(self._waiting)
                with trio.move_on_after(self._limits.write_stall_s) as stall:
                    await trio.lowlevel.wait_writable(self._socket)
                if stall.cancelled_caught and len(self._waiting) >= before:
                    self._statistics.closed_write_stall += 1
                    self._fail(End.STALL, "")
                self._flush()
        self._scope = None
