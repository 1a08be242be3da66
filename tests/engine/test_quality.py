"""Calls that sound bad by chance: both engines measure the same of them.

Everything comes from where the SDP says, so that nothing but the measuring is tried.
"""

from random import Random

import pytest

from media.plan import MediaSide, MediaStream, OpenStream
from media.types import Component, Endpoint, SideName, StreamId

pytest.importorskip("media.engines.native", exc_type=ImportError)

from tests.engine.kit import receiver_report, report_block, rtp, sender_report
from tests.engine.twins import Twins

CALL: StreamId = ("call", 0)
PHONES = {SideName.A: Endpoint("192.0.2.10", 4000), SideName.B: Endpoint("198.51.100.10", 5000)}
SECOND = 1_000_000_000


class BadCall:
    """Two phones whose packets are lost, late, doubled and reported as a seed has it."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.twins = Twins()
        sides = [
            MediaSide(
                "net",
                Endpoint("127.0.0.1", 10000 + place),
                Endpoint("127.0.0.1", 10001 + place),
                remote=PHONES[name],
                rtcp_mux=True,
            )
            for name, place in ((SideName.A, 0), (SideName.B, 100))
        ]
        kind, clock_hz = self.chance.choice([("audio", 8000)] * 4 + [("video", 90_000)])
        stream = MediaStream(0, kind, clock_hz, *sides)
        self.twins.apply(OpenStream(CALL, stream, None, pinholes=False))
        self.sequence = self.chance.choice([1, 64_000])
        self.ssrc = {side: self.chance.randrange(1 << 32) for side in SideName}
        self.reported: dict[SideName, list[tuple[int, int]]] = {side: [] for side in SideName}
        """The stamps of each one's sender reports, and when they were sent."""
        self.losing = dict.fromkeys(SideName, 0.01)
        """How likely a packet is lost, as things are."""
        self.payload_type = self.chance.choice([0, 8, 18, 4, 3, 111])

    def play(self, seconds: int) -> None:
        """Twenty packets a second each way, and now and then a report."""
        for _ in range(seconds):
            for _ in range(20):
                self.sequence = (self.sequence + 1) & 0xFFFF
                for side in SideName:
                    self._speak(side)
                self.twins.now += SECOND // 20
            for side in SideName:
                self._report(side)
            self.twins.tick()
            self.twins.compare()

    def _speak(self, side: SideName) -> None:
        chance = self.chance
        if chance.random() < 0.05:
            self.losing[side] = chance.choice([0.0, 0.01, 0.01, 0.5, 1.0])
        if chance.random() < self.losing[side]:
            return
        late = chance.choice([0] * 20 + [1, 2, 5])
        if chance.random() < 0.002:
            self.ssrc[side] += 1
        for sequence in [self.sequence - late] * chance.choice([1] * 20 + [2]):
            timestamp = (sequence * 400 + (1 << 31)) & 0xFFFFFFFF
            if chance.random() < 0.002:
                timestamp ^= 1 << 30
            payload_type = 101 if chance.random() < 0.05 else self.payload_type
            packet = rtp(
                sequence, ssrc=self.ssrc[side], timestamp=timestamp, payload_type=payload_type
            )
            self.twins.now += chance.randrange(SECOND // 500)
            self.twins.receive(CALL, side, Component.RTP, PHONES[side], packet)

    def _report(self, side: SideName) -> None:
        chance, other = self.chance, SideName.B if side is SideName.A else SideName.A
        if chance.random() < 0.6:
            return
        stamp, at = chance.choice(self.reported[other][-3:] or [(0, self.twins.now)])
        away = self.twins.now - at
        block = report_block(
            self.ssrc[other],
            fraction_lost=chance.randrange(256),
            lost=chance.randrange(-9, 99),
            jitter_ticks=chance.randrange(9999),
            last_report=stamp,
            delay=int(away * chance.random() * 1.05 * 65536 / SECOND) & 0xFFFFFFFF,
        )
        if chance.random() < 0.5:
            packet = receiver_report(block)
        else:
            self.reported[side].append((chance.randrange(1 << 32), self.twins.now))
            packet = sender_report(self.reported[side][-1][0], block)
        self.twins.receive(CALL, side, Component.RTP, PHONES[side], packet)


@pytest.mark.parametrize("first", range(0, 100, 20))
def test_both_engines_measure_the_same_of_a_call(first: int) -> None:
    for seed in range(first, first + 20):
        call = BadCall(seed)
        try:
            call.play(40)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def test_the_calls_have_everything_that_is_measured() -> None:
    seen = dict.fromkeys(("speech", "windows", "peer", "round_trip_ms"), 0)
    for seed in range(20):
        call = BadCall(seed)
        call.play(40)
        for name in seen:
            seen[name] += call.twins.measured[name]
    assert min(seen.values()) > 100


def test_a_call_that_moves_to_another_process_is_measured_on() -> None:
    for seed in range(20):
        call = BadCall(seed)
        call.play(15)
        call.twins.move()
        call.play(15)
