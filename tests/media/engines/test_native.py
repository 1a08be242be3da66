"""What the native engine does beyond the contract."""

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from media import relay as relay_module
from media.errors import MediaRefused
from media.events import EngineFailed
from media.plan import CloseStream, MediaSide, MediaStream, OpenStream
from media.relay import Relay
from media.types import DropReason, Endpoint, SideName, SrtpSuite
from tests.engine.kit import (
    LIBSRTP_SUITES,
    PHONE_A,
    PHONE_B,
    RELAY_A,
    RELAY_B,
    STREAM,
    A,
    Phone,
    free_pair,
    keys,
    opening,
    protecting,
    rtp,
)
from tests.kit.engines import native_module, need_tier
from tests.kit.forbidden import IO_URING_SETUP, run_without
from tests.kit.patience import PATIENCE_S

native = native_module()
TIERS = ["io_uring", "epoll"]


@pytest.fixture(params=TIERS)
def tier(request: pytest.FixtureRequest) -> str:
    need_tier(request.param)
    return str(request.param)


def descriptors() -> dict[str, str]:
    """Every open descriptor and what it is."""
    links = {}
    for link in Path("/proc/self/fd").iterdir():
        try:
            links[link.name] = str(link.readlink())
        except FileNotFoundError:
            continue  # The listing's own.
    return links


def a_stream(a: Phone | None = None, b: Phone | None = None, **of_a: object) -> MediaStream:
    sides = []
    for host, phone, facts in ((RELAY_A, a, of_a), (RELAY_B, b, {})):
        remote = None if phone is None else phone.endpoint
        sides.append(MediaSide("net", *free_pair(host), remote=remote, **facts))  # type: ignore[arg-type]
    return MediaStream(0, "audio", 8000, *sides)


def opens(stream: MediaStream, call: str = STREAM[0]) -> OpenStream:
    return OpenStream((call, 0), stream, None, pinholes=False)


def test_the_tier_that_is_demanded_is_used_and_said(tier: str) -> None:
    engine = native.NativeEngine(3, tier)
    assert engine.reason.startswith(f"3 workers on {tier}")
    engine.close()


def test_without_demand_the_engine_says_what_it_chose() -> None:
    engine = native.NativeEngine()
    workers = len(os.sched_getaffinity(0))
    assert engine.reason.startswith(f"{workers} worker")
    assert any(tier in engine.reason for tier in TIERS)
    engine.close()


FORBIDDEN = """
from media.engines.native import NativeEngine
engine = NativeEngine(1)
print(engine.reason)
engine.close()
try:
    NativeEngine(1, "io_uring")
except OSError as error:
    print(error)
"""


def test_where_io_uring_is_forbidden_epoll_does_it_and_says_so() -> None:
    reason, refused = run_without({IO_URING_SETUP: errno.EPERM}, FORBIDDEN)
    assert reason.startswith("1 worker on epoll; io_uring is forbidden here")
    assert refused == "Operation not permitted"


def test_closing_leaves_no_thread_and_no_descriptor(tier: str) -> None:
    before, threads = descriptors(), len(list(Path("/proc/self/task").iterdir()))
    engine = native.NativeEngine(2, tier)
    engine.apply([opens(a_stream())])
    engine.close()
    engine.close()
    del engine
    assert len(list(Path("/proc/self/task").iterdir())) == threads
    assert len(descriptors()) == len(before)


def test_as_many_streams_as_may_be_and_no_more(tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "MAX_STREAMS", 2)
    engine = native.NativeEngine(1, tier)
    engine.apply([opens(a_stream(), "one"), opens(a_stream(), "two")])
    before = len(descriptors())
    with pytest.raises(MediaRefused, match="2 streams are open"):
        engine.apply([CloseStream(("one", 0)), opens(a_stream(), "three")])
    assert len(descriptors()) == before
    engine.apply([CloseStream(("one", 0))])
    engine.apply([opens(a_stream(), "three")])
    assert engine.streams() == [("two", 0), ("three", 0)]
    engine.close()


async def test_a_worker_that_dies_is_told_and_its_calls_are_gone(tier: str) -> None:
    before = descriptors()
    relay = Relay(native=False)
    relay.close()
    engine = native.NativeEngine(1, tier)
    relay._engine = engine
    engine.apply([opens(a_stream())])
    kind = {"io_uring": "io_uring", "epoll": "eventpoll"}[tier]
    made = {name: link for name, link in descriptors().items() if before.get(name) != link}
    (ring,) = [int(name) for name, link in made.items() if kind in link]
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, ring)  # What the worker waits for is no more, as it sees at its next turn.
    os.close(nothing)
    with trio.fail_after(PATIENCE_S):
        await relay.run()
    (failed,) = relay.take_events()
    assert isinstance(failed, EngineFailed)
    assert failed.reason.startswith("the system refuses to go on: ")
    assert relay.streams() == []
    with pytest.raises(MediaRefused, match="has stopped"):
        relay.apply([opens(a_stream())])


@pytest.mark.parametrize("suite", LIBSRTP_SUITES)
async def test_a_call_moves_to_another_engine_without_a_gap(tier: str, suite: SrtpSuite) -> None:
    a, b = await Phone(PHONE_A).bind(), await Phone(PHONE_B).bind()
    mine, yours = keys(suite, 1), keys(suite, 2)
    seal, unseal = protecting(mine), opening(yours)
    command = opens(a_stream(a, b, receive_keys=mine, send_keys=yours))
    at_a, at_b = command.stream.a.local, command.stream.b.local

    async def talk(*sequences: int) -> None:
        for sequence in sequences:
            await a.send(seal.protect(rtp(sequence)), at_a)
            assert (await b.hears())[0] == rtp(sequence)
            await b.send(rtp(sequence), at_b)
            assert unseal.unprotect((await a.hears())[0]) == rtp(sequence)

    first, second = native.NativeEngine(1, tier), native.NativeEngine(1, tier)
    first.apply([command])
    await talk(65000, 65535)
    old = seal.protect(rtp(3))
    await a.send(old, at_a)
    assert (await b.hears())[0] == rtp(3)
    state = first.export_state(STREAM)
    first.apply([CloseStream(STREAM)])
    second.restore(command, state)
    await a.send(old, at_a)
    await talk(4)
    counters = second.counters(STREAM)[A]
    assert counters.packets == 4
    assert counters.drops == {DropReason.SRTP_REPLAY: 1}
    assert second.latches(STREAM)[SideName.A, native.Component.RTP].source == a.endpoint
    first.close()
    second.close()
    for phone in (a, b):
        phone.socket.close()


def test_a_state_of_other_keys_is_refused_with_nothing_open(tier: str) -> None:
    engine = native.NativeEngine(1, tier)
    engine.apply([opens(a_stream(receive_keys=keys(seed=1)))])
    state = engine.export_state(STREAM)
    engine.apply([CloseStream(STREAM)])
    before = len(descriptors())
    with pytest.raises(MediaRefused):
        engine.restore(opens(a_stream(receive_keys=keys(seed=2))), state)
    with pytest.raises(ValueError, match="no state of a stream"):
        engine.restore(opens(a_stream()), "{}")
    assert engine.streams() == []
    assert len(descriptors()) == before
    engine.close()


async def test_streams_are_spread_over_the_workers(tier: str) -> None:
    engine = native.NativeEngine(2, tier)
    phones = [await Phone(PHONE_A).bind() for _ in range(8)]
    streams = [a_stream(phone) for phone in phones]
    for number, stream in enumerate(streams):
        engine.apply([opens(stream, str(number))])
    for phone, stream in zip(phones, streams, strict=True):
        await phone.send(rtp(1), stream.a.local)
    with trio.fail_after(PATIENCE_S):
        for number in range(8):
            while not engine.counters((str(number), 0))[A].packets:
                await trio.lowlevel.checkpoint()
    engine.close()
    for phone in phones:
        phone.socket.close()


async def test_commands_and_packets_do_not_wait_for_each_other(tier: str) -> None:
    """A thread floods one call while others are opened and closed, hundreds of times."""
    engine = native.NativeEngine(1, tier)
    a, b = await Phone(PHONE_A).bind(), await Phone(PHONE_B).bind()
    stream = a_stream(a, b)
    engine.apply([opens(stream)])
    over = threading.Event()
    raw = a.socket

    async def flood() -> None:
        sequence = 0
        while not over.is_set():
            for _ in range(20):
                await raw.sendto(rtp(sequence), tuple(stream.a.local))
                sequence += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(flood)
        for _ in range(100):
            engine.apply([opens(a_stream(), "other"), opens(a_stream(), "third")])
            await trio.lowlevel.checkpoint()
            engine.apply([CloseStream(("other", 0)), CloseStream(("third", 0))])
        over.set()
    counters = engine.counters(STREAM)
    assert counters[A].packets > 0
    assert engine.streams() == [STREAM]
    engine.close()
    for phone in (a, b):
        phone.socket.close()


@pytest.fixture
def without_extension(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(relay_module, "_WITHOUT_NATIVE", "the extension is not there")
    return


@pytest.mark.usefixtures("without_extension")
def test_without_the_extension_python_relays_and_says_why() -> None:
    relay = Relay()
    assert relay.engine_name == "python"
    assert relay.engine_reason == "the engine in Python: the extension is not there"
    relay.close()


def test_an_engine_that_cannot_start_leaves_it_to_python(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(workers: int | None) -> None:
        raise OSError("no more threads")

    monkeypatch.setattr(relay_module, "NativeEngine", refuse)
    relay = Relay(workers=1)
    assert relay.engine_name == "python"
    assert relay.engine_reason.endswith("the native one cannot start (no more threads)")
    relay.close()


def test_where_there_is_the_extension_it_relays() -> None:
    relay = Relay(workers=1)
    assert relay.engine_name == "native"
    assert relay.engine_reason.startswith("1 worker on ")
    relay.apply([opens(MediaStream(0, "audio", 8000, *_sides()))])
    relay.close()
    assert relay.streams() == []


def _sides() -> tuple[MediaSide, MediaSide]:
    return tuple(  # type: ignore[return-value]  # two hosts, two sides
        MediaSide("net", *free_pair(host), remote=Endpoint(PHONE_A, 4000))
        for host in (RELAY_A, RELAY_B)
    )
