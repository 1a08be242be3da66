"""The engine whose packets never touch Python: worker threads in Rust behind `media._native`.

Commands are done by the thread that gives them, in the pauses of the workers; events come through
one queue and one descriptor. Importing this module fails where the extension was not built, or from
other sources.
"""

import os
import secrets
from collections.abc import Callable, Sequence
from itertools import count
from typing import Literal

import trio

from media import _native
from media._native import INTERFACE
from media.engines.base import LatchReport
from media.engines.extension import check_interface
from media.errors import MediaRefused, UnknownStream
from media.events import (
    EngineFailed,
    HandshakeDatagram,
    KeyErrors,
    Latched,
    MediaEvent,
    MediaResumed,
    MediaTimeout,
    RelatchRefused,
)
from media.plan import CloseStream, OpenStream, RelayCommand, SendDatagram, StreamCommand
from media.quality import codec_name
from media.types import (
    BurstLoss,
    Component,
    DropReason,
    Endpoint,
    FlowCounters,
    IntervalLoss,
    LatchRank,
    PeerView,
    Refusal,
    SideName,
    SpeechQuality,
    SrtpAbilities,
    SrtpSuite,
    StreamId,
)

check_interface(INTERFACE)

MAX_STREAMS = 65_536
"""More than the ports of one address; what really bounds calls is the networks' media ports."""

_PORTS = [(side, component) for side in SideName for component in Component]

Tier = Literal["io_uring", "epoll"]


class NativeEngine:
    """Obeys `media.engines.base.Engine` with threads that hold no lock of Python's."""

    def __init__(self, workers: int | None = None, tier: Tier | None = None) -> None:
        """Starts the threads, without a stream.

        Args:
            workers: How many; None for one per core that this process may use.
            tier: How to read and write packets; None for the fastest that works here.

        Raises:
            OSError: The system refuses threads, or the tier that is demanded.
        """
        if workers is None:
            workers = len(os.sched_getaffinity(0))
        self._native = _native.Engine(workers, MAX_STREAMS, secrets.randbits(64), tier)
        self._fresh = count(1)
        self._numbers: dict[StreamId, int] = {}
        self._names: dict[int, StreamId] = {}
        self._lost_events = 0
        self._stopped = False
        self._running: trio.CancelScope | None = None

    @property
    def name(self) -> str:
        """Which engine this is."""
        return "native"

    @property
    def srtp(self) -> SrtpAbilities:
        """What it can do of SRTP."""
        return SrtpAbilities(frozenset(SrtpSuite), mki=True)

    @property
    def reason(self) -> str:
        """How many workers it has and how they read and write, as one line."""
        return self._native.reason

    @property
    def lost_events(self) -> int:
        """How many events were lost, the oldest of more than may wait."""
        return self._lost_events

    def apply(self, commands: Sequence[RelayCommand]) -> None:
        """Does all of the commands, or none."""
        if self._stopped:
            raise MediaRefused("the media engine has stopped")
        changes = [command for command in commands if not isinstance(command, SendDatagram)]
        if len({command.stream_id for command in changes}) != len(changes):
            raise MediaRefused("one list of commands changes a stream twice")
        numbers = [self._number(command) for command in changes]
        self._native.apply(
            [
                (number, None, False, None, False)
                if isinstance(command, CloseStream)
                else (
                    number,
                    command.stream,
                    isinstance(command, OpenStream),
                    command.inactivity_s,
                    command.pinholes,
                )
                for number, command in zip(numbers, changes, strict=True)
            ]
        )
        for number, command in zip(numbers, changes, strict=True):
            if isinstance(command, OpenStream):
                self._remember(command.stream_id, number)
            elif isinstance(command, CloseStream):
                self._numbers.pop(command.stream_id, None)
                self._names.pop(number, None)
        for datagram in commands:
            if isinstance(datagram, SendDatagram):
                self._send(datagram)

    def export_state(self, stream_id: StreamId) -> str:
        """What a stream has learned and counted beyond its plan, as JSON.

        Close the stream before another engine continues it: two would use one key stream twice.

        Raises:
            UnknownStream: It is not open.
        """
        return self._native.export_state(self._known(stream_id))

    def restore(self, command: OpenStream, state: str) -> None:
        """Opens a stream as `apply` does and continues it where `export_state` left off.

        Raises:
            MediaRefused: As `apply`; also that the state was exported under another plan.
            ValueError: The state is none.
        """
        if self._stopped:
            raise MediaRefused("the media engine has stopped")
        number = self._number(command)
        self._native.restore(number, command.stream, command.inactivity_s, command.pinholes, state)
        self._remember(command.stream_id, number)

    def counters(self, stream_id: StreamId) -> dict[SideName, FlowCounters]:
        """A copy of what was counted on both sides."""
        a, b = self._native.counters(self._known(stream_id))
        return {SideName.A: _counters(*a), SideName.B: _counters(*b)}

    def latches(self, stream_id: StreamId) -> dict[tuple[SideName, Component], LatchReport]:
        """What is learned on each of the stream's ports."""
        reports = self._native.latches(self._known(stream_id))
        return {
            port: LatchReport(_endpoint(source), LatchRank(rank), _endpoint(destination))
            for port, (source, rank, destination) in zip(_PORTS, reports, strict=True)
        }

    def streams(self) -> list[StreamId]:
        """The streams that are open."""
        return list(self._numbers)

    async def run(
        self,
        deliver: Callable[[Sequence[MediaEvent]], None],
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Hands over events until cancelled, or until a worker cannot go on."""
        try:
            with trio.CancelScope() as self._running:
                task_status.started()
                while not self._stopped:
                    await trio.lowlevel.wait_readable(self._native.event_descriptor)
                    self._hand_over(deliver)
        finally:
            self._running = None
            self.close()

    def close(self) -> None:
        """Closes every stream, stops the threads and ends `run`."""
        self._stopped = True
        self._numbers.clear()
        self._names.clear()
        self._native.close()
        if self._running is not None:
            self._running.cancel()

    def _hand_over(self, deliver: Callable[[Sequence[MediaEvent]], None]) -> None:
        waiting, lost, failure = self._native.take_events()
        self._lost_events += lost
        names = self._names
        events = [_event(one, names[one[1]]) for one in waiting if one[1] in names]
        if failure is not None:
            self.close()
            events.append(EngineFailed(failure))
        if events:
            deliver(events)

    def _send(self, command: SendDatagram) -> None:
        number = self._numbers.get(command.stream_id)
        if number is not None:
            port = (command.side.value, command.component.value)
            self._native.send(number, port, command.destination, command.data)

    def _number(self, command: StreamCommand) -> int:
        """The number of a command's stream, a new one for a new stream."""
        number = self._numbers.get(command.stream_id)
        if isinstance(command, OpenStream):
            if number is not None:
                raise MediaRefused(f"stream {command.stream_id} is open already")
        elif number is not None or isinstance(command, CloseStream):
            return number or 0
        else:
            raise MediaRefused(f"stream {command.stream_id} is not open")
        return next(self._fresh)

    def _remember(self, stream_id: StreamId, number: int) -> None:
        self._numbers[stream_id] = number
        self._names[number] = stream_id

    def _known(self, stream_id: StreamId) -> int:
        number = self._numbers.get(stream_id)
        if number is None:
            raise UnknownStream(f"stream {stream_id} is not open")
        return number


def _endpoint(endpoint: tuple[str, int] | None) -> Endpoint | None:
    return None if endpoint is None else Endpoint(*endpoint)


def _counters(
    packets: int,
    octets: int,
    rtcp_packets: int,
    sent_packets: int,
    lost: int,
    jitter_ticks: float,
    drops: dict[int, int],
    interval: tuple[int, int, int],
    bursts: tuple[int, int, float],
    speech: tuple[float, float, float, int, int | None] | None,
    peer: tuple[int, int, int, int] | None,
    round_trip_ms: float | None,
) -> FlowCounters:
    return FlowCounters(
        packets,
        octets,
        rtcp_packets,
        sent_packets,
        lost,
        jitter_ticks,
        {DropReason(reason): dropped for reason, dropped in drops.items()},
        IntervalLoss(*interval),
        BurstLoss(*bursts),
        None if speech is None else SpeechQuality(*speech[:4], codec_name(speech[4])),
        None if peer is None else PeerView(*peer),
        round_trip_ms,
    )


def _event(event: "_native.Event", stream_id: StreamId) -> MediaEvent:
    """An event as `media.events` has it."""
    side = SideName(event[2])
    match event:
        case ("latched", _, _, component, source, rank, previous):
            return Latched(
                stream_id,
                side,
                Endpoint(*source),
                LatchRank(rank),
                _endpoint(previous),
                Component(component),
            )
        case ("refused", _, _, component, source, reason):
            refusal = Refusal[reason]
            return RelatchRefused(stream_id, side, Endpoint(*source), refusal, Component(component))
        case ("timeout", _, _, silent_s):
            return MediaTimeout(stream_id, side, silent_s)
        case ("resumed", _, _):
            return MediaResumed(stream_id, side)
        case ("key errors", _, _, failures):
            return KeyErrors(stream_id, side, failures)
        case ("handshake", _, _, component, source, data):
            place = Component(component)
            return HandshakeDatagram(stream_id, side, place, Endpoint(*source), data)
