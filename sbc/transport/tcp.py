"""SIP over TCP: accepting, opening, and one connection.

Spec: RFC 3261 §18.3 (framing), RFC 5626 §3.5.1 (CRLF keep-alive).
"""

import errno
import os
import secrets
import socket
from collections.abc import Callable
from enum import Enum
from typing import Protocol

import trio

from sbc.sip.errors import ParseError
from sbc.sip.flow import Address, Flow
from sbc.sip.framing import Keepalive, StreamFramer
from sbc.sip.message import make_response, serialize
from sbc.sip.parser import Limits
from sbc.transport.addresses import canonical_socket_address
from sbc.transport.keepalive import PING, PONG
from sbc.transport.limits import TransportLimits, TransportStatistics

READ_BYTES = 16_384
"""How much one connection may bring before the other tasks have their turn."""

ACCEPTS_PER_TURN = 16

_WRITE_BYTES = 65_536
_LINGER_S = 1.0
_LINGER_READS = 64
_ACCEPT_PAUSE_S = 0.2


class End(Enum):
    """Why a connection ended, in words for the log."""

    PEER = "closed by the peer"
    RESET = "reset by the peer"
    CONNECT = "cannot be opened"
    SLOW = "no whole message in time"
    IDLE = "idle"
    STALL = "the peer takes no data"
    OVERFLOW = "too much data waits for the peer"
    MALFORMED = "what came is not SIP"


class ConnectionEvents(Protocol):
    """Whom a connection tells."""

    def messages_arrived(self, batch: list[tuple[Flow, bytes]]) -> None:
        """Whole messages, in order."""

    def connection_ended(self, connection: "Connection", why: str) -> None:
        """The connection is gone, and with it what was queued on it."""


class Connection:
    """One stream, accepted or to be opened: `run` lives as long as it does.

    `send` writes at once what the system takes and leaves the rest to a task that exists only
    while something waits. One deadline covers every timer; it is looked at again when it passes,
    so that traffic need not move it.
    """

    __slots__ = (
        "_active_at",
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
        "_scope",
        "_socket",
        "_statistics",
        "_write_scope",
        "flow",
        "opened_by_us",
        "used_unnumbered",
    )

    def __init__(
        self,
        flow: Flow,
        sock: socket.socket,
        *,
        opened_by_us: bool,
        limits: TransportLimits,
        message_limits: Limits,
        statistics: TransportStatistics,
        events: ConnectionEvents,
        nursery: trio.Nursery,
    ) -> None:
        """Take over `sock`, which does not block; one of ours is not connected yet."""
        self.flow = flow
        self.opened_by_us = opened_by_us
        self.used_unnumbered = False
        """Whether something was sent here by a flow without number, which then must hear of
        the end too."""
        self._socket = sock
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
        self._queue(data)

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
            if self._end is End.MALFORMED:
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
            await trio.lowlevel.wait_readable(self._socket)
            try:
                data = self._socket.recv(READ_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                self._statistics.closed_by_peer += 1
                self.close(End.RESET, error.strerror or "")
                return
            if not data:
                self._statistics.closed_by_peer += 1
                self.close(End.PEER)
                return
            self._received(data)
            scope = self._scope
            if scope is not None and (deadline := self._deadline()) < scope.deadline:
                scope.deadline = deadline

    def _received(self, data: bytes) -> None:
        now = trio.current_time()
        self._active_at = now
        framer = self._framer
        try:
            items = framer.feed(data)
        except ParseError as error:
            self._refuse(error)
            return
        if items or not framer.pending:
            self._partial_at = now if framer.pending else None
        elif self._partial_at is None:
            self._partial_at = now
        flow = self.flow
        batch = [(flow, item) for item in items if isinstance(item, bytes)]
        if len(batch) != len(items):
            self._statistics.keepalives_in += len(items) - len(batch)
            pings = items.count(Keepalive.PING)
            if pings:
                self._queue(PONG * pings)
        if batch:
            self._heard = True
            self._statistics.messages_in += len(batch)
            self._events.messages_arrived(batch)
        if framer.failure is not None:
            self._refuse(framer.failure)

    def _refuse(self, error: ParseError) -> None:
        self._statistics.closed_malformed += 1
        if error.answerable is not None:
            response = make_response(
                error.answerable, error.status, error.reason, to_tag=secrets.token_hex(8)
            )
            self.send(serialize(response))
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
        if self._partial_at is not None:
            deadline = min(deadline, self._partial_at + limits.message_s)
        return deadline

    def _expired(self, now: float) -> bool:
        if now < self._deadline():
            return False
        if now >= self._active_at + self._limits.idle_s:
            self._statistics.closed_idle += 1
            self.close(End.IDLE)
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


class TcpListener:
    """One listening socket."""

    __slots__ = ("_accepted", "_may_accept", "_socket", "_statistics", "local", "network")

    def __init__(
        self,
        network: str,
        sock: socket.socket,
        *,
        statistics: TransportStatistics,
        may_accept: Callable[[str], bool],
        accepted: Callable[["TcpListener", socket.socket, Address], None],
    ) -> None:
        """Take over `sock`, which listens and does not block.

        Args:
            may_accept: Whether a connection from this host is within the caps.
            accepted: Takes over each new socket.
        """
        self.network = network
        self.local: Address = canonical_socket_address(sock.getsockname())
        self._socket = sock
        self._statistics = statistics
        self._may_accept = may_accept
        self._accepted = accepted

    async def run(self) -> None:
        """Accept for ever."""
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            if not self._accept_some():
                # Out of files or memory: trying again at once would spin.
                await trio.sleep(_ACCEPT_PAUSE_S)

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def _accept_some(self) -> bool:
        """Accept what waits, within a budget; False if the system has no room for more."""
        for _ in range(ACCEPTS_PER_TURN):
            try:
                sock, address = self._socket.accept()
            except BlockingIOError:
                return True
            except OSError as error:
                self._statistics.accept_errors += 1
                if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}:
                    return False
                continue  # that one connection was gone before we took it
            remote = canonical_socket_address(address)
            if not self._may_accept(remote[0]):
                sock.close()
                continue
            self._statistics.accepted += 1
            self._accepted(self, sock, remote)
        return True
