"""SIP over TCP: one connection, accepted or opened.

Spec: RFC 3261 §18.3 (framing), RFC 5626 §3.5.1 (CRLF keep-alive).
"""

import errno
import os
import socket
from enum import Enum
from typing import Protocol

import trio

from sbc.sip.errors import ParseError
from sbc.sip.flow import Flow
from sbc.sip.framing import Keepalive, StreamFramer
from sbc.sip.parser import Limits
from sbc.transport.keepalive import PING, PONG
from sbc.transport.limits import TransportLimits, TransportStatistics
from sbc.transport.proof import shows_acceptance
from sbc.transport.sources import BYTES_PER_UNIT, MALFORMED_UNITS, Budget, Source

MESSAGES_PER_TURN = 8
"""How many messages one connection may bring before the other tasks have their turn."""

READ_BYTES = 16_384
"""How much a proven connection is read at once."""

UNPROVEN_READ_BYTES = 4096

_WRITE_BYTES = 65_536
_LINGER_S = 1.0
_LINGER_READS = 16
_PING_WINDOW_S = 1.0


class End(Enum):
    """Why a connection ended, in words for the log."""

    PEER = "closed by the peer"
    RESET = "reset by the peer"
    CONNECT = "cannot be opened"
    SLOW = "no whole message in time"
    IDLE = "idle"
    UNPROVEN = "nothing that came was accepted in time"
    DISPLACED = "a newer connection has its place"
    PINGS = "too many keep-alives"
    RATE = "too much came too fast"
    STALL = "the peer takes no data"
    OVERFLOW = "too much data waits for the peer"
    MALFORMED = "what came is not SIP"


class ConnectionEvents(Protocol):
    """Whom a connection tells."""

    def messages_arrived(self, batch: list[tuple[Flow, bytes]]) -> None:
        """Whole messages, in order."""

    def connection_ended(self, connection: "Connection", why: str) -> None:
        """The connection is gone, and with it what was queued on it."""

    def connection_proved(self, connection: "Connection") -> None:
        """What came over the connection was accepted, which had to be shown."""

    def refusal(self, flow: Flow, error: ParseError) -> bytes | None:
        """The last answer on a stream that lost its frames, if there is one to give."""


class Connection:
    """One stream, accepted or to be opened: `run` lives as long as it does.

    `send` writes at once what the system takes and leaves the rest to a task that exists only
    while something waits. One deadline covers every timer; it is looked at again when it passes,
    so that traffic need not move it.
    """

    __slots__ = (
        "_active_at",
        "_answered",
        "_connected",
        "_detail",
        "_end",
        "_events",
        "_framer",
        "_heard",
        "_limits",
        "_nursery",
        "_opened_at",
        "_out",
        "_partial_at",
        "_ping_window",
        "_pings",
        "_scope",
        "_socket",
        "_source",
        "_statistics",
        "_write_scope",
        "flow",
        "opened_by_us",
        "proven",
        "used_unnumbered",
    )

    def __init__(
        self,
        flow: Flow,
        sock: socket.socket,
        *,
        opened_by_us: bool,
        source: Source | None,
        limits: TransportLimits,
        message_limits: Limits,
        statistics: TransportStatistics,
        events: ConnectionEvents,
        nursery: trio.Nursery,
    ) -> None:
        """Take over `sock`, which does not block; one of ours is not connected yet.

        Args:
            source: Whose budgets it draws from; None is for networks that need neither budget
                nor proof.
        """
        self.flow = flow
        self.opened_by_us = opened_by_us
        self.proven = opened_by_us or source is None
        """Whether what came over it was accepted, or that need not be shown."""
        self.used_unnumbered = False
        """Whether something was sent here by a flow without number, which then must hear of
        the end too."""
        self._socket = sock
        self._source = source
        self._limits = limits
        self._statistics = statistics
        self._events = events
        self._nursery = nursery
        self._framer = StreamFramer(message_limits)
        self._out = bytearray()
        self._connected = not opened_by_us
        self._heard = opened_by_us
        now = trio.current_time()
        self._opened_at = now
        self._active_at = now
        self._partial_at: float | None = None
        self._ping_window = now
        self._pings = 0
        self._answered = False
        self._scope: trio.CancelScope | None = None
        self._write_scope: trio.CancelScope | None = None
        self._end: End | None = None
        self._detail = ""

    def send(self, data: bytes) -> None:
        """Queue a message, or a CRLF ping, behind what waits, and write what the system takes."""
        if data == PING:
            self._framer.ping_sent()
        else:
            self._statistics.messages_out += 1
            if not self.proven and shows_acceptance(data):
                self.prove()
        self._queue(data)

    def prove(self) -> None:
        """Let it live on: what came over it was accepted."""
        if not self.proven:
            self.proven = True
            self._events.connection_proved(self)

    def displace(self) -> None:
        """End, since another connection takes the place."""
        self.close(End.DISPLACED)

    def close(self, end: End, detail: str = "") -> None:
        """End the connection; `run` then closes the socket and tells."""
        if self._end is None:
            self._end = end
            self._detail = detail
            if self._scope is not None:
                self._scope.cancel()

    async def run(self) -> None:
        """Connect if needed, read until the end, close, tell."""
        try:
            if not self._connected:
                await self._connect()
            while self._end is None:
                if not self._expired(trio.current_time()):
                    with trio.CancelScope(deadline=self._deadline()) as self._scope:
                        await self._read()
            if self._answered:
                await self._linger()
        finally:
            self._close_socket()
        why = f"{self._end.value}: {self._detail}" if self._detail else self._end.value
        self._events.connection_ended(self, why)

    async def _connect(self) -> None:
        error = self._socket.connect_ex(self.flow.remote)
        if error == errno.EINPROGRESS:
            error = errno.ETIMEDOUT
            with trio.move_on_after(self._limits.connect_s) as self._scope:
                await trio.lowlevel.wait_writable(self._socket)
                error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if self._end is not None:
            return
        if error:
            self._statistics.connect_failures += 1
            self.close(End.CONNECT, os.strerror(error))
            return
        self._connected = True
        self._statistics.opened += 1
        self._flush()
        self._write_rest()

    async def _read(self) -> None:
        while self._end is None:
            if self._framer.unfinished:
                await trio.lowlevel.checkpoint()
            else:
                await trio.lowlevel.wait_readable(self._socket)
            budget = self._budget()
            if budget is not None and trio.current_time() < budget.paused_until:
                await self._sit_out(budget)
                continue
            data = b"" if self._framer.unfinished else self._receive()
            if data is not None:
                self._received(data, budget)
            scope = self._scope
            if scope is not None and (deadline := self._deadline()) < scope.deadline:
                scope.deadline = deadline

    def _receive(self) -> bytes | None:
        """Read what is there; None if that is nothing, or was the end."""
        try:
            data = self._socket.recv(READ_BYTES if self.proven else UNPROVEN_READ_BYTES)
        except BlockingIOError:
            return None
        except OSError as error:
            self._statistics.closed_by_peer += 1
            self.close(End.RESET, error.strerror or "")
            return None
        if not data:
            self._statistics.closed_by_peer += 1
            self.close(End.PEER)
            return None
        return data

    def _budget(self) -> Budget | None:
        source = self._source
        if source is None:
            return None
        return source.proven if self.proven else source.stranger

    async def _sit_out(self, budget: Budget) -> None:
        """Read nothing, so that the system holds the peer back, or end what never stops."""
        if budget.overdrafts > self._limits.overdrafts:
            self._statistics.closed_rate += 1
            self.close(End.RATE)
        else:
            await trio.sleep_until(budget.paused_until)

    def _received(self, data: bytes, budget: Budget | None) -> None:
        now = trio.current_time()
        self._active_at = now
        framer = self._framer
        fault: ParseError | None = None
        items: list[bytes | Keepalive] = []
        try:
            items = framer.feed(data, MESSAGES_PER_TURN)
        except ParseError as error:
            fault = error
        if budget is not None:
            # Too many keep-alives end this connection alone, at no charge to its neighbours.
            units = min(len(items), MESSAGES_PER_TURN) + len(data) / BYTES_PER_UNIT
            if framer.failure is not None:
                units += MALFORMED_UNITS
            if not budget.spend(units, now):
                self._statistics.reading_paused += 1
        if fault is not None:
            self._refuse(fault, now)
            return
        self._note_progress(bool(items), now)
        flow = self.flow
        batch = [(flow, item) for item in items if isinstance(item, bytes)]
        if len(batch) != len(items):
            self._kept_alive(len(items) - len(batch), items.count(Keepalive.PING), now)
        if batch:
            self._heard = True
            self._statistics.messages_in += len(batch)
            self._events.messages_arrived(batch)
        if framer.failure is not None:
            self._refuse(framer.failure, now)

    def _note_progress(self, complete: bool, now: float) -> None:
        """Start or stop the clock of a message of which only the beginning is there."""
        framer = self._framer
        if not framer.pending or framer.unfinished:
            self._partial_at = None
        elif complete or self._partial_at is None:
            self._partial_at = now

    def _kept_alive(self, count: int, pings: int, now: float) -> None:
        self._statistics.keepalives_in += count
        if not pings:
            return
        if now - self._ping_window >= _PING_WINDOW_S:
            self._ping_window = now
            self._pings = 0
        self._pings += pings
        if self._pings > self._limits.pings_per_second:
            self._statistics.closed_pings += 1
            self.close(End.PINGS)
            return
        self._queue(PONG * pings)

    def _refuse(self, error: ParseError, now: float) -> None:
        if self._end is not None:
            return
        self._statistics.closed_malformed += 1
        if error.answerable is not None:
            if self._source is None or self._source.may_answer(now):
                answer = self._events.refusal(self.flow, error)
                if answer is not None:
                    self._answered = True
                    self.send(answer)
            else:
                self._statistics.malformed_unanswered += 1
        self.close(End.MALFORMED, error.reason)

    def _queue(self, data: bytes) -> None:
        if self._end is not None:
            return
        if len(self._out) + len(data) > self._limits.write_buffer_bytes:
            self._statistics.closed_write_overflow += 1
            self.close(End.OVERFLOW)
            return
        self._active_at = trio.current_time()
        self._out += data
        if self._connected and self._write_scope is None:
            self._flush()
            self._write_rest()

    def _deadline(self) -> float:
        limits = self._limits
        deadline = self._active_at + limits.idle_s
        if not self._heard:
            deadline = min(deadline, self._opened_at + limits.first_message_s)
        if not self.proven:
            deadline = min(deadline, self._opened_at + limits.first_message_s + limits.unproven_s)
        if self._partial_at is not None:
            deadline = min(deadline, self._partial_at + limits.message_s)
        return deadline

    def _expired(self, now: float) -> bool:
        if now < self._deadline():
            return False
        limits = self._limits
        if now >= self._active_at + limits.idle_s:
            self._statistics.closed_idle += 1
            self.close(End.IDLE)
        elif not self.proven and (
            now >= self._opened_at + limits.first_message_s + limits.unproven_s
        ):
            self._statistics.closed_unproven += 1
            self.close(End.UNPROVEN)
        else:
            self._statistics.closed_slow_message += 1
            self.close(End.SLOW)
        return True

    def _flush(self) -> None:
        """Write until all is written or the system takes no more."""
        while self._out:
            try:
                with memoryview(self._out) as waiting:
                    written = self._socket.send(waiting[:_WRITE_BYTES])
            except BlockingIOError:
                return
            except OSError as error:
                self._statistics.closed_by_peer += 1
                self.close(End.RESET, error.strerror or "")
                return
            del self._out[:written]

    def _write_rest(self) -> None:
        if self._out and self._end is None:
            self._write_scope = trio.CancelScope()
            self._nursery.start_soon(self._write, self._write_scope)

    async def _write(self, scope: trio.CancelScope) -> None:
        with scope:
            while self._out and self._end is None:
                before = len(self._out)
                with trio.move_on_after(self._limits.write_stall_s) as stall:
                    await trio.lowlevel.wait_writable(self._socket)
                if stall.cancelled_caught and len(self._out) >= before:
                    self._statistics.closed_write_stall += 1
                    self.close(End.STALL)
                self._flush()
        self._write_scope = None

    async def _linger(self) -> None:
        """Let the answer arrive: closing with unread bytes would reset it away."""
        with trio.move_on_after(_LINGER_S):
            self._shutdown()
            for _ in range(_LINGER_READS):
                await trio.lowlevel.wait_readable(self._socket)
                try:
                    if not self._socket.recv(READ_BYTES):
                        return
                except BlockingIOError:
                    continue
                except OSError:
                    return

    def _shutdown(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return  # the peer has gone already

    def _close_socket(self) -> None:
        if self._write_scope is not None:
            self._write_scope.cancel()
        trio.lowlevel.notify_closing(self._socket)
        self._socket.close()
