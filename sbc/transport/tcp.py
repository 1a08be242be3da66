"""SIP over one stream: TCP, TLS or WebSocket, accepted or opened.

Spec: RFC 3261 §18.3 (framing), RFC 5626 §3.5.1 (CRLF keep-alive), RFC 7118 (WebSocket).
"""

import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import ParamSpec, Protocol

import trio

from sbc.routing.websocket import WebSocketRules
from sbc.sip.errors import TOO_LARGE, ParseError
from sbc.sip.flow import Flow, Transport
from sbc.sip.framing import Keepalive
from sbc.sip.parser import Limits
from sbc.transport.endings import End, StreamFault
from sbc.transport.handshakes import Handshakes
from sbc.transport.keepalive import PING
from sbc.transport.limits import TransportLimits, TransportStatistics
from sbc.transport.patience import Patience
from sbc.transport.proof import shows_acceptance
from sbc.transport.reading import READ_BYTES, Inflow
from sbc.transport.sources import BYTES_PER_UNIT, MALFORMED_UNITS, Source
from sbc.transport.stack import Stack
from sbc.transport.tls.contexts import TlsContexts
from sbc.transport.tls_pipe import TlsPipe
from sbc.transport.writing import Outflow

MESSAGES_PER_TURN = 8
"""How many messages one connection may bring before the other tasks have their turn."""

P = ParamSpec("P")

_LINGER_S = 1.0
_LINGER_READS = 16
_PING_WINDOW_S = 1.0


class ConnectionEvents(Protocol):
    """Whom a connection tells."""

    def messages_arrived(self, batch: list[tuple[Flow, bytes]]) -> None:
        """Whole messages, in order."""

    def connection_ended(self, connection: "Connection", why: str) -> None:
        """The connection is gone, and with it what was queued on it."""

    def connection_proved(self, connection: "Connection") -> None:
        """What came over the connection was accepted, which had to be shown."""

    def connection_named(self, connection: "Connection", before: Flow) -> None:
        """Its first bytes told which transport it is; its flow was another one before."""

    def refusal(self, flow: Flow, error: ParseError) -> bytes | None:
        """The last answer on a stream that lost its frames, if there is one to give."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all connections of a process share."""

    limits: TransportLimits
    message_limits: Limits
    statistics: TransportStatistics
    events: ConnectionEvents
    handshakes: Handshakes
    contexts: TlsContexts


class Connection:
    """One stream, accepted or to be opened: `run` lives as long as it does.

    What comes passes TLS if there is any, and then the framing, which knows SIP or WebSocket; what
    is sent passes both the other way.
    """

    __slots__ = (
        "_around", "_detail", "_early", "_end", "_in", "_limits", "_out", "_patience",
        "_ping_window", "_pings", "_said", "_scope", "_shaken", "_socket", "_source", "_stack",
        "_statistics", "_tls", "flow", "names", "opened_by_us", "tls_version", "troubled",
        "used_unnumbered",
    )  # fmt: skip

    def __init__(
        self,
        flow: Flow,
        sock: socket.socket,
        *,
        opened_by_us: bool,
        source: Source | None,
        tls: TlsPipe | None,
        speaks: frozenset[Transport],
        websocket_rules: WebSocketRules | None,
        around: Surroundings,
        nursery: trio.Nursery,
    ) -> None:
        """Take over `sock`, which does not block; one of ours is not connected yet.

        Args:
            source: Whose budgets it draws from; None is for networks that need neither budget
                nor proof.
            tls: What deciphers it, if it is TLS.
            speaks: The transports it may turn out to be: if both SIP and WebSocket are among them
                its first bytes decide.
            websocket_rules: Of its network, wanted if it may be a WebSocket.
        """
        self.flow = flow
        self.opened_by_us = opened_by_us
        self.used_unnumbered = False
        """Whether something was sent here by a flow without number, which then must hear of
        the end too."""
        self.names: tuple[str, ...] = ()
        self.tls_version = 0.0
        """What the peer's certificate proves, if we accepted it and it showed one."""
        self.troubled = False
        """Whether it ended by something that an operator may have to mend."""
        self._around = around
        self._limits = limits = around.limits
        self._statistics = statistics = around.statistics
        self._socket = sock
        self._source = source
        self._tls = tls
        self._shaken = tls is None
        self._early = bytearray()
        now = trio.current_time()
        self._patience = Patience(limits, statistics, now, ours=opened_by_us)
        self._in = Inflow(
            sock,
            source=source,
            proven=opened_by_us or source is None,
            limits=limits,
            statistics=statistics,
            ended=self.close,
        )
        self._out = Outflow(
            sock, limits=limits, statistics=statistics, nursery=nursery, failed=self.close
        )
        self._stack = Stack(
            tls,
            speaks,
            websocket_rules,
            limits=limits,
            message_limits=around.message_limits,
            statistics=statistics,
            became_websocket=self._became_websocket,
        )
        self._ping_window = now
        self._pings = 0
        self._said = False
        self._scope: trio.CancelScope | None = None
        self._end: End | None = None
        self._detail = ""

    @property
    def proven(self) -> bool:
        """Whether what came over it was accepted, or that need not be shown."""
        return self._in.proven

    @property
    def engaged(self) -> bool:
        """Whether it brought what takes some effort: a TLS handshake, or a message."""
        return self._patience.heard if self._tls is None else self._shaken

    @property
    def is_strangers(self) -> bool:
        """Whether others began it from where anybody may."""
        return not self.opened_by_us and self._source is not None

    @property
    def is_ending(self) -> bool:
        """Whether it was closed, which `run` has yet to carry out."""
        return self._end is not None

    def send(self, data: bytes) -> None:
        """Queue a message, or a CRLF ping, behind what waits, and write what the system takes."""
        if data == PING:
            self._stack.ping_sent()
        else:
            self._statistics.messages_out += 1
            if not self._in.proven and shows_acceptance(data):
                self.prove()
        if self._shaken:
            self._put(self._stack.message, data)
        else:
            self._keep_early(data)

    def prove(self) -> None:
        """Let it live on: what came over it was accepted."""
        if not self._in.proven:
            self._in.proven = True
            self._around.events.connection_proved(self)

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
        """Connect if needed, shake hands, read until the end, close, tell."""
        try:
            if self.opened_by_us:
                await self._connect()
            else:
                self._out.open()
            if self._tls is not None and self._end is None:
                await self._shake(self._tls)
            await self._serve()
            self._part()
            if self._said:
                await self._linger()
        finally:
            self._out.stop()
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()
        self._around.events.connection_ended(self, self._why())

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
        self._statistics.opened += 1
        self._out.open()

    async def _shake(self, pipe: TlsPipe) -> None:
        """Shake hands, within the time for that; what was to be sent then leaves."""
        statistics, limit_s = self._statistics, self._limits.handshake_s
        try:
            with trio.move_on_after(limit_s) as self._scope:
                shake = self._around.handshakes.shake
                self._shaken = await shake(self, pipe, self._in, self._out)
            if self._shaken:
                self._check_certificate(pipe)
        except StreamFault as fault:
            self._said = self.troubled = True
            self.close(fault.end, fault.reason)
        # Whatever it is, a peer of ours that shakes no hands is somebody's to mend.
        self.troubled |= self.opened_by_us and not self._shaken
        if self._end is None and not self._shaken:
            statistics.closed_slow_handshake += 1
            self.close(End.HANDSHAKE, f"not done within {limit_s:g} s")
        elif self._end is not None:
            statistics.handshakes_failed += 1
        else:
            statistics.handshakes_done += 1
            self._patience.shaken(trio.current_time())
            self._put(self._stack.message, bytes(self._early))
            self._received(b"")  # what came with the end of the handshake
        self._early.clear()

    def _check_certificate(self, pipe: TlsPipe) -> None:
        contexts = self._around.contexts
        self.tls_version = pipe.version
        if not self.opened_by_us:
            self.names = contexts.names(pipe.tls)
            return
        why = contexts.refusal(self.flow.peer, pipe.tls)
        if why is not None:
            self._statistics.certificates_refused += 1
            raise StreamFault(End.CERTIFICATE, why)

    # -- reading ----------------------------------------------------------------------------

    async def _serve(self) -> None:
        patience, stack = self._patience, self._stack
        while self._end is None:
            now = trio.current_time()
            overdue = patience.overdue(now, proven=self.proven)
            if overdue is not None:
                self.close(overdue)
                return
            if patience.ping_due(now):
                self._put(stack.ping)
            with trio.CancelScope(deadline=self._deadline()) as self._scope:
                await self._read()

    async def _read(self) -> None:
        stack = self._stack
        while self._end is None:
            data: bytes | None = b""
            if not stack.unfinished:
                data = await self._in.readable()
            else:
                await trio.lowlevel.checkpoint()
                if await self._in.sat_out():
                    continue
            if data is not None and self._end is None:
                self._received(data)
            scope = self._scope
            if scope is not None and (deadline := self._deadline()) < scope.deadline:
                scope.deadline = deadline

    def _received(self, data: bytes) -> None:
        now = trio.current_time()
        stack = self._stack
        self._patience.received(now)
        items: list[bytes | Keepalive] = []
        try:
            items = stack.receive(data, MESSAGES_PER_TURN)
            fault = stack.failure
        except ParseError as error:
            fault = error
        # Too many keep-alives end this connection alone, at no charge to its neighbours.
        units = min(len(items), MESSAGES_PER_TURN) + len(data) / BYTES_PER_UNIT
        self._in.spend(units if fault is None else units + MALFORMED_UNITS, now)
        self._deliver(items, now)
        if stack.websocket is not None:
            self._put(stack.outgoing)
            if stack.websocket.upgraded:
                self._patience.ping_from(now)
        if fault is not None:
            self._refuse(fault, now)
        elif stack.ended:
            self._said = True
            self._statistics.closed_by_peer += 1
            self.close(End.PEER)

    def _deliver(self, items: list[bytes | Keepalive], now: float) -> None:
        flow = self.flow
        batch = [(flow, item) for item in items if isinstance(item, bytes)]
        self._patience.progressed(partial=self._stack.partial, complete=bool(batch), now=now)
        if len(batch) != len(items):
            self._kept_alive(len(items) - len(batch), items.count(Keepalive.PING), now)
        if batch:
            self._patience.heard = True
            self._statistics.messages_in += len(batch)
            self._around.events.messages_arrived(batch)

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
        else:
            self._put(self._stack.pongs, pings)

    def _refuse(self, error: ParseError, now: float) -> None:
        if self._end is not None:
            return
        if isinstance(error, StreamFault) and error.end is End.RESET:
            self._statistics.closed_by_peer += 1
        else:
            self._statistics.closed_malformed += 1
            self._statistics.closed_oversize += error.status == TOO_LARGE
        if isinstance(error, StreamFault):
            # A WebSocket has said already why, in its own words.
            self._said = self._stack.websocket is not None
            self.troubled = True
            self.close(error.end, error.reason)
            return
        if error.answerable is not None:
            if self._source is None or self._source.may_answer(now):
                answer = self._around.events.refusal(self.flow, error)
                if answer is not None:
                    self._said = True
                    self.send(answer)
            else:
                self._statistics.malformed_unanswered += 1
        self.close(End.MALFORMED, error.reason)

    def _became_websocket(self) -> None:
        before = self.flow
        self.flow = before._replace(transport="wss" if before.transport == "tls" else "ws")
        self._around.events.connection_named(self, before)

    # -- writing and the end ----------------------------------------------------------------

    def _put(self, encode: Callable[P, bytes], *args: P.args, **kwargs: P.kwargs) -> None:
        """Send what a layer makes of something."""
        if self._end is not None:
            return
        try:
            data = encode(*args, **kwargs)
        except StreamFault as fault:
            self.close(fault.end, fault.reason)
            return
        if data:
            self._patience.active_at = trio.current_time()
            self._out.put(data)

    def _keep_early(self, data: bytes) -> None:
        """Keep what is sent before the handshake is done."""
        if len(self._early) + len(data) > self._limits.write_buffer_bytes:
            self._statistics.closed_write_overflow += 1
            self.close(End.OVERFLOW)
        elif self._end is None:
            self._early += data

    def _deadline(self) -> float:
        return self._patience.deadline(proven=self._in.proven)

    def _why(self) -> str:
        assert self._end is not None, "it ended"
        why = f"{self._end.value}: {self._detail}" if self._detail else self._end.value
        if self._shaken or self._end not in {End.PEER, End.RESET}:
            return why
        return f"{why} during the TLS handshake"

    def _part(self) -> None:
        """Say good-bye, as far as the system takes it now."""
        assert self._end is not None, "it ended"
        if self._shaken and self._end not in {End.RESET, End.CONNECT}:
            with suppress(StreamFault):
                self._out.put(self._stack.part(self._end))

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
