"""One engine of ours as a process of its own, told what to do on standard input.

    python -m tests.bench.media.our_relay io_uring|epoll|python WORKERS FIRST_PORT

Each line is a JSON list, a word and its arguments, and is answered by a line with a number. The
process ends with its input.
"""

import json
import sys
import time

import trio

from media.engines.base import Engine
from media.engines.reference import ReferenceEngine
from media.plan import CloseStream, MediaSide, MediaStream, OpenStream, RelayCommand, UpdateStream
from media.types import Endpoint, SrtpKeys, SrtpSuite, StreamId
from tests.bench.media.modes import (
    MODES,
    PEERS,
    RELAYS,
    Mode,
    RelayedCall,
    made_key,
    peer_key,
    peer_port,
)

PORTS_PER_CALL = 2
"""On each side: RTP and RTCP."""
SETTLE_S = 0.3
"""How long a relay may take to finish what it put off when calls were closed."""
_INACTIVITY_S = 60.0


def our_calls(mode: Mode, first_port: int, count: int) -> list[RelayedCall]:
    """The calls that an engine opens when it is told to: it chooses nothing itself."""
    return [
        RelayedCall(
            ports=(first_port + PORTS_PER_CALL * number,) * 2,
            keys=(
                made_key(mode.suites[0], f"relay {number} a"),
                made_key(mode.suites[1], f"relay {number} b"),
            ),
        )
        for number in range(count)
    ]


def opens(mode: Mode, first_port: int, count: int) -> list[RelayCommand]:
    """The commands that open so many answered calls."""
    return [
        OpenStream(_name(number), _stream(mode, number, call, answered=True), _INACTIVITY_S, True)
        for number, call in enumerate(our_calls(mode, first_port, count))
    ]


def control(engine: Engine, mode: Mode, first_port: int, count: int) -> float:
    """CPU-seconds for opening so many calls, answering and closing them, each by itself."""
    calls = list(enumerate(our_calls(mode, first_port, count)))
    commands: list[RelayCommand] = [
        *(
            OpenStream(_name(number), _stream(mode, number, call, answered=False), None, True)
            for number, call in calls
        ),
        *(
            UpdateStream(
                _name(number), _stream(mode, number, call, answered=True), _INACTIVITY_S, True
            )
            for number, call in calls
        ),
        *(CloseStream(_name(number)) for number, _ in calls),
    ]
    before = time.process_time()
    for command in commands:
        engine.apply([command])
    time.sleep(SETTLE_S)
    return time.process_time() - before


def _name(number: int) -> StreamId:
    return (f"call {number}", 0)


def _stream(mode: Mode, number: int, call: RelayedCall, *, answered: bool) -> MediaStream:
    caller = _side(mode, 0, number, call, answered=True)
    return MediaStream(0, "audio", 8000, caller, _side(mode, 1, number, call, answered=answered))


def _side(mode: Mode, side: int, number: int, call: RelayedCall, *, answered: bool) -> MediaSide:
    port = call.ports[side]
    known = MediaSide("bench", Endpoint(RELAYS[side], port), Endpoint(RELAYS[side], port + 1))
    if not answered:
        return known
    return MediaSide(
        known.network,
        known.local,
        known.local_rtcp,
        remote=Endpoint(PEERS[side], peer_port(number)),
        remote_rtcp=Endpoint(PEERS[side], peer_port(number) + 1),
        receive_keys=_keys(mode.suites[side], peer_key(mode, side)),
        send_keys=_keys(mode.suites[side], call.keys[side]),
    )


def _keys(suite: str | None, key: bytes | None) -> SrtpKeys | None:
    return None if suite is None or key is None else SrtpKeys(SrtpSuite(suite), key)


def _engine(name: str, workers: int) -> Engine:
    if name == "python":
        return ReferenceEngine()
    from media.engines.native import NativeEngine

    return NativeEngine(workers, "epoll" if name == "epoll" else "io_uring")


class _Servant:
    """Does what each line asks."""

    def __init__(self, engine: Engine, first_port: int) -> None:
        self._engine = engine
        self._first_port = first_port
        self._prepared: list[RelayCommand] = []

    def answer(self, line: str) -> float:
        match json.loads(line):
            case ["prepare", str(mode), int(count)]:
                self._prepared = opens(MODES[mode], self._first_port, count)
                return len(self._prepared)
            case ["open"]:
                self._engine.apply(self._prepared)
                return len(self._prepared)
            case ["control", str(mode), int(count)]:
                return control(self._engine, MODES[mode], self._first_port, count)
            case other:
                raise ValueError(f"nobody asks for {other}")


async def _serve(name: str, workers: int, first_port: int) -> None:
    async with trio.open_nursery() as nursery:
        engine = _engine(name, workers)
        servant = _Servant(engine, first_port)
        await nursery.start(engine.run, lambda events: None)
        while line := await trio.to_thread.run_sync(sys.stdin.readline):
            print(servant.answer(line), flush=True)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(_serve, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
