"""Both engines' brains side by side, on one clock and without sockets, fed the same."""

import socket
from collections import Counter
from dataclasses import astuple
from itertools import count
from math import isclose

from media import _native
from media.engines import change
from media.engines.native import _counters, _event
from media.engines.port import Port
from media.engines.reference import ReferenceEngine
from media.engines.side import Side
from media.events import HandshakeDatagram, Latched, MediaEvent, MediaTimeout
from media.plan import CloseStream, MediaStream, OpenStream, RelayCommand, UpdateStream
from media.types import Component, DropReason, Endpoint, LatchRank, SideName, StreamId

SEED = 1
Sent = tuple[Endpoint, Endpoint, bytes]
"""From which port of ours, where to, what."""


class FakeSocket:
    """A socket that notes what it is told to send, and never receives by itself."""

    _numbers = count(1000)

    def __init__(self, local: Endpoint, sent: list[Sent]) -> None:
        self._local = local
        self._sent = sent
        self._number = next(self._numbers)

    def fileno(self) -> int:
        return self._number

    def getsockname(self) -> tuple[str, int]:
        return tuple(self._local)

    def recvfrom(self, size: int) -> tuple[bytes, tuple[str, int]]:
        raise BlockingIOError

    def sendto(self, data: bytes, to: tuple[str, int]) -> int:
        self._sent.append((self._local, Endpoint(to[0], to[1]), data))
        return len(data)

    def setsockopt(self, *option: object) -> None:
        pass

    def getsockopt(self, level: int, name: int, size: int) -> bytes:
        return bytes(size)

    def close(self) -> None:
        pass


class _FakeEpoll:
    def register(self, opened: object, events: int) -> None:
        pass

    def close(self) -> None:
        pass


class Oracle:
    """The engine in Python, without the system."""

    def __init__(self, twins: "Twins") -> None:
        self.sent: list[Sent] = []
        self.engine = ReferenceEngine(lambda: twins.now / 1e9)
        self.forget_handshakes()
        self.engine._epoll.close()
        self.engine._epoll = _FakeEpoll()  # type: ignore[assignment]  # all that apply needs

    def apply(self, command: RelayCommand) -> None:
        def opened(local: Endpoint, dscp: int) -> socket.socket:
            return FakeSocket(local, self.sent)  # type: ignore[return-value]  # a stand-in

        before, change.open_socket = change.open_socket, opened
        try:
            self.engine.apply([command])
        finally:
            change.open_socket = before

    def forget_handshakes(self) -> None:
        """Counts the handshakes of every source anew, by the seed that the twin has."""
        self.engine._handshakes._seed = SEED.to_bytes(8, "big")
        self.engine._handshakes._counts.clear()

    def receive(self, at: Endpoint, source: Endpoint, data: bytes) -> Sent | int | None:
        side, port = self._port(at)
        before = Counter(side.counters.drops)
        self.sent.clear()
        address = (*source, 0, 0) if ":" in source.host else tuple(source)
        side.receive_untrusted(port, data, address, self.engine._clock())
        dropped = Counter(side.counters.drops) - before
        drops = (int(reason) for reason in dropped.elements())
        events = self.engine._events
        handed_up = [None for event in events if isinstance(event, HandshakeDatagram)]
        (result,) = [*self.sent, *drops, *handed_up]
        self.sent.clear()
        return result

    def take_openers(self) -> list[Sent]:
        openers = sorted(self.sent)
        self.sent.clear()
        return openers

    def take_events(self) -> list[MediaEvent]:
        events: list[MediaEvent] = []
        self.engine._hand_over(events.extend)
        return events

    def _port(self, at: Endpoint) -> tuple[Side, Port]:
        return self.engine._own[at]


class Twins:
    """Does everything twice and complains of the first difference."""

    def __init__(self) -> None:
        self.now = 1_000_000_000_000
        self.oracle = Oracle(self)
        self.native = _native.Stepped(SEED)
        self.streams: dict[StreamId, tuple[int, OpenStream | UpdateStream]] = {}
        self._free = count()
        self._moved = False
        self.verdicts: Counter[str] = Counter()
        self.learned: Counter[LatchRank] = Counter()
        self.measured: Counter[str] = Counter()
        """How often a comparison met what is measured rarely."""

    def apply(self, command: RelayCommand) -> None:
        self.oracle.apply(command)
        known = self.streams.get(command.stream_id)
        if isinstance(command, CloseStream):
            if known is not None:
                self.native.close(known[0])
                del self.streams[command.stream_id]
            self._report()
            return
        number = next(self._free) if known is None else known[0]
        self.streams[command.stream_id] = (number, command)
        act = self.native.open if known is None else self.native.update
        act(number, command.stream, command.inactivity_s, command.pinholes, self.now)
        self._report()

    def receive(
        self,
        stream_id: StreamId,
        side: SideName,
        component: Component,
        source: Endpoint,
        data: bytes,
    ) -> Sent | int | None:
        """What becomes of a datagram; both say the same."""
        number, command = self.streams[stream_id]
        expected = self.oracle.receive(_local(command.stream, side, component), source, data)
        places = [list(SideName).index(side), list(Component).index(component)]
        got = self.native.receive(number, places[0], places[1], tuple(source), data, self.now)
        if isinstance(got, tuple):
            out_side, out_component, destination, packet = got
            local = _local(command.stream, SideName(out_side), Component(out_component))
            got = (local, Endpoint(*destination), packet)
        if got != expected:
            _same(f"{stream_id} {side} {component} {source}", _name(got), _name(expected))
        self.verdicts[_name(expected).split()[0]] += 1
        self._report()
        return expected

    def tick(self) -> None:
        self.oracle.engine.look(self._looked.extend)
        self.native.tick(self.now)
        self._report()

    def move(self) -> None:
        """Another process goes on where the native one was."""
        states = {
            number: self.native.export_state(number, self.now)
            for number, _ in self.streams.values()
        }
        self.native = _native.Stepped(SEED)
        self.oracle.forget_handshakes()
        for number, command in self.streams.values():
            self.native.restore(
                number,
                command.stream,
                command.inactivity_s,
                command.pinholes,
                states[number],
                self.now,
            )
        # What is moved opens its pinholes anew and counts the time to the next from there.
        self._moved = True

    def compare(self) -> None:
        """What is counted and learned."""
        for stream_id, (number, _) in self.streams.items():
            expected = self.oracle.engine.counters(stream_id)
            for side, got in zip(SideName, self.native.counters(number), strict=True):
                counted, measured = _counters(*got), expected[side]
                if not _alike(astuple(counted), astuple(measured)):
                    _same(f"{stream_id} {side}", counted, measured)
                for name in ("speech", "peer", "round_trip_ms"):
                    self.measured[name] += getattr(measured, name) is not None
                self.measured["windows"] += bool(measured.speech and measured.speech.windows > 1)
            reports = self.oracle.engine.latches(stream_id).values()
            for (source, rank, to), report in zip(
                self.native.latches(number), reports, strict=True
            ):
                _same(f"latches of {stream_id}", (source, rank, to), tuple(report))

    @property
    def _looked(self) -> list[MediaEvent]:
        return self.oracle.engine._events

    def _report(self) -> None:
        """Events and openers since the step before."""
        names = {number: name for name, (number, _) in self.streams.items()}
        got = [_event(one, names[one[1]]) for one in self.native.take_events()]
        expected = self.oracle.take_events()
        self.learned.update(one.rank for one in expected if isinstance(one, Latched))
        _same("events", [_exact(one) for one in got], [_exact(one) for one in expected])
        openers = []
        for number, side, component, to in self.native.take_openers():
            stream = self.streams[names[number]][1].stream
            local = _local(stream, SideName(side), Component(component))
            openers.append((local, Endpoint(*to), b""))
        expected_openers = self.oracle.take_openers()
        if not self._moved:
            _same("openers", sorted(openers), expected_openers)


def _same(what: str, got: object, expected: object) -> None:
    assert got == expected, f"{what}: the native one has {got} and not {expected}"


def _local(stream: MediaStream, side: SideName, component: Component) -> Endpoint:
    plan = stream.side(side)
    return plan.local if component is Component.RTP else plan.local_rtcp


def _name(result: Sent | int | None) -> str:
    if isinstance(result, tuple):
        return f"relayed {result}"
    return "handshake" if result is None else DropReason(result).name


def _alike(got: object, expected: object) -> bool:
    """Whether two values are equal, but for the last digits of what is no whole number."""
    if isinstance(got, tuple) and isinstance(expected, tuple):
        return len(got) == len(expected) and all(map(_alike, got, expected))
    if isinstance(got, float) and isinstance(expected, float):
        return isclose(got, expected, rel_tol=1e-9, abs_tol=1e-5)
    return got == expected


def _exact(event: MediaEvent) -> MediaEvent:
    if isinstance(event, MediaTimeout):
        return MediaTimeout(event.stream_id, event.side, round(event.silent_s, 3))
    return event
