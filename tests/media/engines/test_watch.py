"""What the engine in Python looks at once a second, on a clock that jumps."""

from collections.abc import Iterator

import pytest

from media.engines.watch import KEEPALIVE_S
from media.events import KeyErrors, MediaEvent, MediaResumed, MediaTimeout
from media.types import Component, DropReason, SideName
from tests.engine.kit import STREAM, keys, rtcp, rtp
from tests.engine.stepped import Bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def silent(events: list[MediaEvent], side: SideName) -> list[float]:
    return [
        event.silent_s for event in events if isinstance(event, MediaTimeout) and event.side is side
    ]


def test_silence_counts_from_the_last_packet(bench: Bench) -> None:
    bench.open(60.0)
    bench.after(30.0)
    bench.say(rtp(1))
    assert silent(bench.after(59.0), SideName.A) == []
    assert silent(bench.after(1.0), SideName.A) == [60.0]
    assert silent(bench.after(600.0), SideName.A) == []


def test_rtcp_is_a_sign_of_life_so_a_pause_in_speech_is_none_of_death(bench: Bench) -> None:
    bench.open(60.0)
    for _ in range(10):
        assert silent(bench.after(30.0), SideName.A) == []
        bench.say(rtcp())


def test_packets_that_were_dropped_are_no_sign_of_life(bench: Bench) -> None:
    bench.open(60.0, receive_keys=keys())
    bench.after(59.0)
    bench.say(rtp(1))
    assert silent(bench.after(1.0), SideName.A) == [60.0]


def test_silence_counts_from_the_moment_it_matters(bench: Bench) -> None:
    bench.open(None)
    assert bench.after(500.0) == []
    bench.update(60.0)
    assert bench.after(59.0) == []
    assert silent(bench.after(1.0), SideName.A) == [60.0]


def test_a_side_on_hold_may_be_silent(bench: Bench) -> None:
    bench.open(60.0, sending=False)
    assert silent(bench.after(500.0), SideName.A) == []


def test_sound_after_silence_is_reported(bench: Bench) -> None:
    bench.open(60.0)
    bench.after(60.0)
    bench.now += 1
    bench.say(rtp(1))
    assert MediaResumed(STREAM, SideName.A) in bench.after(1.0)
    assert silent(bench.after(60.0), SideName.A) == [61.0]


def test_key_errors_are_reported_at_a_bounded_rate_and_none_is_forgotten(bench: Bench) -> None:
    bench.open(None, receive_keys=keys())
    reported = []
    for _ in range(40):
        bench.say(rtp(1, ssrc=9))
        reported += bench.after(1.0)
    reported += bench.after(10.0)
    assert reported == [KeyErrors(STREAM, SideName.A, count) for count in (1, 10, 10, 10, 9)]
    counters = bench.engine.counters(STREAM)[SideName.A]
    assert counters.drops == {DropReason.SRTP_AUTHENTICATION: 40}


def test_a_quiet_pinhole_is_kept_open(bench: Bench) -> None:
    bench.open(None, pinholes=True)
    assert bench.a.recv(100) == bench.b.recv(100) == b""
    bench.after(KEEPALIVE_S - 1)
    bench.say(rtp(1))
    bench.after(1.0)
    assert bench.b.recv(100) == rtp(1)
    assert bench.a.recv(100) == b""
    bench.after(KEEPALIVE_S - 1)
    bench.say(rtp(2))
    assert bench.b.recv(100) == rtp(2)


def test_the_latch_stands_while_nothing_is_heard(bench: Bench) -> None:
    bench.open(60.0)
    bench.say(rtp(1))
    before = bench.engine.latches(STREAM)[SideName.A, Component.RTP]
    bench.after(3600.0)
    assert bench.engine.latches(STREAM)[SideName.A, Component.RTP] == before
