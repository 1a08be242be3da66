"""The engine in Python: the oracle of tests, and what runs where no faster one does.

One epoll object holds every port. One trio task waits for it and drains what is ready, a bounded
number of datagrams per turn, so that signalling in the same thread is never kept waiting long. A
stream costs four sockets and no task.
"""

import secrets
import select
import socket
from collections.abc import Callable, Sequence
from typing import NamedTuple

import trio

from media.engines.base import LatchReport
from media.engines.change import SideChange, adopt_change, new_side, prepare_change
from media.engines.handshakes import HandshakeLimit
from media.engines.port import Port
from media.engines.side import MAX_DATAGRAM_BYTES, Side
from media.engines.sockets import canonical_host, is_unicast
from media.engines.srtp import ABILITIES
from media.engines.watch import Watch
from media.errors import MediaRefused, UnknownStream
from media.events import EngineFailed, MediaEvent
from media.plan import (
    CloseStream,
    OpenStream,
    RelayCommand,
    SendDatagram,
    StreamCommand,
    UpdateStream,
)
from media.types import Component, Endpoint, FlowCounters, SideName, SrtpAbilities, StreamId

BATCH_PACKETS = 64
"""How many ready ports one system call asks for; each gives one datagram before the next call."""
TURN_PACKETS = 128
"""How many datagrams are relayed before other tasks run: about a millisecond."""
WATCH_S = 1.0
"""How often silence, keep-alives, key errors and quality are looked at."""

Deliver = Callable[[Sequence[MediaEvent]], None]


class _Stream(NamedTuple):
    a: Side
    b: Side
    watch: Watch


class _Staged(NamedTuple):
    command: OpenStream | UpdateStream
    a: SideChange
    b: SideChange


class ReferenceEngine:
    """Obeys `media.engines.base.Engine` with sockets of Python and `pylibsrtp`."""

    def __init__(self, clock: Callable[[], float] = trio.current_time) -> None:
        """Starts with no stream.

        Args:
            clock: Monotonic seconds.
        """
        self._clock = clock
        self._epoll = select.epoll()
        self._streams: dict[StreamId, _Stream] = {}
        self._receivers: dict[int, tuple[Side, Port]] = {}
        self._own: dict[Endpoint, tuple[Side, Port]] = {}
        self._handshakes = HandshakeLimit(secrets.randbits(64))
        self._events: list[MediaEvent] = []
        self._stopped = False
        self._running: trio.CancelScope | None = None

    @property
    def name(self) -> str:
        """Which engine this is."""
        return "python"

    @property
    def srtp(self) -> SrtpAbilities:
        """What it can do of SRTP."""
        return ABILITIES

    @property
    def lost_events(self) -> int:
        """None: events are delivered in the turn in which they happen."""
        return 0

    def apply(self, commands: Sequence[RelayCommand]) -> None:
        """Does all of the commands, or none."""
        if self._stopped:
            raise MediaRefused("the media engine has stopped")
        changes = [command for command in commands if not isinstance(command, SendDatagram)]
        if len({command.stream_id for command in changes}) != len(changes):
            raise MediaRefused("one list of commands changes a stream twice")
        staged = self._stage_all(changes)
        now = self._clock()
        for step in staged:
            if isinstance(step, CloseStream):
                self._close(step.stream_id)
            else:
                self._commit(step, now)
        for datagram in commands:
            if isinstance(datagram, SendDatagram):
                self._send(datagram)

    def counters(self, stream_id: StreamId) -> dict[SideName, FlowCounters]:
        """A copy of what was counted on both sides."""
        stream = self._known(stream_id)
        return {side.name: side.counted() for side in (stream.a, stream.b)}

    def latches(self, stream_id: StreamId) -> dict[tuple[SideName, Component], LatchReport]:
        """What is learned on each of the stream's ports."""
        stream = self._known(stream_id)
        return {
            (side.name, component): _latched(port)
            for side in (stream.a, stream.b)
            for component, port in ((Component.RTP, side.rtp), (Component.RTCP, side.rtcp))
        }

    def streams(self) -> list[StreamId]:
        """The streams that are open."""
        return list(self._streams)

    async def run(
        self,
        deliver: Deliver,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Relays until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                self._running = nursery.cancel_scope
                nursery.start_soon(self._watch_regularly, deliver)
                task_status.started()
                await self._relay_always(deliver)
        finally:
            self._running = None
            self.close()

    def close(self) -> None:
        """Closes every stream, and ends `run`."""
        self._stopped = True
        for stream_id in list(self._streams):
            self._close(stream_id)
        if self._running is None:
            self._epoll.close()
        else:
            self._running.cancel()  # `run` still waits for the epoll object, and closes it.

    def look(self, deliver: Deliver) -> None:
        """Reports what is due, keeps pinholes open and ends a second of what is measured."""
        now = self._clock()
        for stream in self._streams.values():
            stream.watch.look(now, self._events)
        self._hand_over(deliver)

    def relay_ready(self) -> None:
        """Relays what has arrived, up to a turn's worth."""
        poll = self._epoll.poll
        receivers = self._receivers
        budget = TURN_PACKETS
        while budget > 0:
            ready = poll(0, BATCH_PACKETS)
            if not ready:
                return
            budget -= len(ready)
            now = self._clock()
            for fd, _ in ready:
                side, port = receivers[fd]
                try:
                    data, source = port.receive(MAX_DATAGRAM_BYTES + 1)
                except OSError:
                    # A wake-up without a datagram, for example after a wrong UDP checksum.
                    continue
                side.receive_untrusted(port, data, source, now)

    async def _watch_regularly(self, deliver: Deliver) -> None:
        while True:
            await trio.sleep(WATCH_S)
            self.look(deliver)

    async def _relay_always(self, deliver: Deliver) -> None:
        """Relays until the system refuses to go on."""
        while True:
            try:
                # A whole pass of trio's loop: everybody else gets a turn.
                await trio.lowlevel.wait_readable(self._epoll.fileno())
                self.relay_ready()
            except OSError as error:
                self._events.append(EngineFailed(f"the system refuses to go on: {error}"))
                self.close()
                self._hand_over(deliver)
                return
            self._hand_over(deliver)

    def _hand_over(self, deliver: Deliver) -> None:
        if self._events:
            # The sides hold the list itself, so it is emptied and not replaced.
            events = self._events[:]
            self._events.clear()
            deliver(events)

    def _send(self, command: SendDatagram) -> None:
        """Sends what can be sent; the rest is lost, as any datagram may be."""
        stream = self._streams.get(command.stream_id)
        if stream is None:
            return
        side = stream.a if command.side is SideName.A else stream.b
        port = side.rtp if command.component is Component.RTP else side.rtcp
        try:
            host = canonical_host(command.destination.host, port.local.host)
            if is_unicast(host):
                port.send(command.data, (host, command.destination.port))
        except (MediaRefused, OSError, OverflowError):
            return

    def _stage_all(self, commands: Sequence[StreamCommand]) -> list[_Staged | CloseStream]:
        staged: list[_Staged | CloseStream] = []
        try:
            for command in commands:
                step = self._stage(command)
                staged.append(step)
        except MediaRefused:
            for done in staged:
                if isinstance(done, _Staged):
                    _close_all([*done.a.sockets(), *done.b.sockets()])
            raise
        return staged

    def _stage(self, command: StreamCommand) -> _Staged | CloseStream:
        if isinstance(command, CloseStream):
            return command
        before = self._streams.get(command.stream_id)
        if isinstance(command, OpenStream):
            if before is not None:
                raise MediaRefused(f"stream {command.stream_id} is open already")
        elif before is None:
            raise MediaRefused(f"stream {command.stream_id} is not open")
        a = prepare_change(command.stream.a, None if before is None else before.a)
        try:
            b = prepare_change(command.stream.b, None if before is None else before.b)
        except MediaRefused:
            _close_all(a.sockets())
            raise
        try:
            for opened in (*a.sockets(), *b.sockets()):
                self._epoll.register(opened, select.EPOLLIN)
        except OSError as error:
            _close_all([*a.sockets(), *b.sockets()])
            raise MediaRefused(f"cannot watch one more port: {error.strerror}") from error
        return _Staged(command, a, b)

    def _commit(self, staged: _Staged, now: float) -> None:
        command = staged.command
        stream = self._streams.get(command.stream_id)
        if stream is None:
            stream = self._open(command.stream_id, staged)
        else:
            self._replace_sockets(stream.a, staged.a)
            self._replace_sockets(stream.b, staged.b)
        adopt_change(stream.a, staged.a, command.stream, now)
        adopt_change(stream.b, staged.b, command.stream, now)
        for side in (stream.a, stream.b):
            for port in (side.rtp, side.rtcp):
                port.loops = port.remote in self._own and _comes_round(port, self._own)
        stream.watch.expect(command.inactivity_s, command.pinholes, now)

    def _open(self, stream_id: StreamId, staged: _Staged) -> _Stream:
        a, b = (
            new_side(
                stream_id,
                name,
                change,
                own=self._own,
                handshakes=self._handshakes,
                events=self._events,
            )
            for name, change in ((SideName.A, staged.a), (SideName.B, staged.b))
        )
        a.other, b.other = b, a
        for side in (a, b):
            self._attach(side, side.rtp)
            self._attach(side, side.rtcp)
        stream = self._streams[stream_id] = _Stream(a, b, Watch(a, b))
        return stream

    def _replace_sockets(self, side: Side, change: SideChange) -> None:
        side.count_queue_drops()
        for port, opened in ((side.rtp, change.rtp), (side.rtcp, change.rtcp)):
            if opened is not None:
                self._detach(port)
                port.attach(opened)
                self._attach(side, port)

    def _attach(self, side: Side, port: Port) -> None:
        self._receivers[port.fd] = self._own[port.local] = (side, port)

    def _detach(self, port: Port) -> None:
        del self._receivers[port.fd]
        del self._own[port.local]
        port.socket.close()

    def _close(self, stream_id: StreamId) -> None:
        stream = self._streams.pop(stream_id, None)
        if stream is None:
            return
        for side in (stream.a, stream.b):
            self._detach(side.rtp)
            self._detach(side.rtcp)
        # Two sides that know each other would wait for the garbage collector, which stops
        # everything while it looks at all calls.
        del stream.a.other, stream.b.other

    def _known(self, stream_id: StreamId) -> _Stream:
        stream = self._streams.get(stream_id)
        if stream is None:
            raise UnknownStream(f"stream {stream_id} is not open")
        return stream


def _comes_round(start: Port, own: dict[Endpoint, tuple[Side, Port]]) -> bool:
    """Whether a packet sent from `start` would, by what is announced, be sent from it again.

    Calls joined through this relay announce its own ports to it, in chains. A ring of them would
    carry one packet round for ever.
    """
    for rtcp in (False, True):
        at = start
        for _ in range(len(own)):
            if at.remote is None or at.remote not in own:
                break
            leaving = own[at.remote][0].other
            at = leaving.rtcp_port() if rtcp else leaving.rtp
            if at is start:
                return True
    return False


def _latched(port: Port) -> LatchReport:
    destination = port.destination
    return LatchReport(
        port.latch.source,
        port.latch.rank,
        None if destination is None else Endpoint(destination[0], destination[1]),
    )


def _close_all(opened: Sequence[socket.socket]) -> None:
    for one in opened:
        one.close()
