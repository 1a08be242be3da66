"""Loss, jitter and the bit-rate limit as arithmetic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.statistics import BitRateLimit, Reception, burst_ratio
from media.types import BurstLoss, IntervalLoss


def received(sequences: list[int], ssrc: int = 1) -> Reception:
    reception = Reception()
    for number, sequence in enumerate(sequences):
        reception.receive(sequence % 65536, number * 160, ssrc, number * 160.0)
    return reception


@pytest.mark.parametrize(
    ("sequences", "lost"),
    [
        ([], 0),
        ([5], 0),
        ([1, 2, 3], 0),
        ([1, 2, 5], 2),
        ([1, 3, 2], 0),
        ([1, 1, 1, 1], 0),
        ([1, 1, 1, 1, 9], 4),
        ([65534, 65535, 65537], 1),
        ([65535, 65538, 65537], 1),
        ([1, 2, 40000], 0),
        ([1, 2, 40000, 40001, 40003], 1),
        ([1, 4, 40000, 40001, 40003], 3),
    ],
)
def test_loss_is_what_is_missing_in_the_sequence(sequences: list[int], lost: int) -> None:
    assert received(sequences).lost == lost


def test_loss_is_kept_over_a_change_of_ssrc() -> None:
    reception = received([1, 4])
    for sequence in (900, 902):
        reception.receive(sequence, 0, 2, 0.0)
    assert reception.lost == 3


@given(st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 3)), max_size=60))
def test_loss_is_never_negative_and_never_falls_on_a_new_source(
    packets: list[tuple[int, int]],
) -> None:
    reception = Reception()
    before_change, ssrc_before = 0, None
    for sequence, ssrc in packets:
        if ssrc != ssrc_before:
            before_change, ssrc_before = reception.lost, ssrc
        reception.receive(sequence, 0, ssrc, 0.0)
        assert reception.lost >= before_change >= 0


def test_even_arrivals_have_no_jitter() -> None:
    assert received(list(range(50))).jitter_ticks == 0.0


def test_jitter_is_smoothed_by_sixteen() -> None:
    reception = Reception()
    reception.receive(1, 0, 1, 0.0)
    reception.receive(2, 160, 1, 160.0 + 80)
    assert reception.jitter_ticks == 80 / 16
    reception.receive(3, 320, 1, 320.0 + 80)
    assert reception.jitter_ticks == 5 - 5 / 16


def test_jitter_settles_at_the_mean_difference() -> None:
    reception = Reception()
    for number in range(400):
        reception.receive(number, number * 160, 1, number * 160.0 + (number % 2) * 40)
    assert reception.jitter_ticks == pytest.approx(40, abs=0.1)


def test_a_timestamp_wrap_is_no_jitter() -> None:
    reception = Reception()
    for number in range(20):
        timestamp = (0xFFFFFFFF - 800 + number * 160) & 0xFFFFFFFF
        reception.receive(number, timestamp, 1, 5e9 + number * 160.0)
    assert reception.jitter_ticks == pytest.approx(0, abs=1e-3)


def test_a_sender_that_begins_its_clock_anew_is_no_jitter() -> None:
    reception = Reception()
    for number in range(10):
        timestamp = number * 160 + number // 5 * 3_000_000_000
        reception.receive(number, timestamp, 1, number * 160.0)
    assert reception.jitter_ticks == 0.0


@pytest.mark.parametrize(
    ("sequences", "runs", "longest", "ratio"),
    [
        ([1, 2, 3], 0, 0, 1.0),
        ([1, 3, 5], 2, 1, 0.6),  # 1 / (2/3 + 2/2)
        ([1, 2, 8, 9], 1, 5, 20 / 9),  # 1 / (1/4 + 1/5)
        ([1, 2, 5, 4, 3, 6], 0, 0, 1.0),
        ([1, 2, 5, 4, 6], 1, 1, 5 / 6),
        ([65535, 65538], 1, 2, 1.0),  # over the end of the sequence numbers
        ([1, 3, 40000, 40001, 40004], 2, 2, 6 / 7),  # and a jump, which is no loss
    ],
)
def test_lost_packets_are_counted_by_the_run(
    sequences: list[int], runs: int, longest: int, ratio: float
) -> None:
    bursts = received(sequences).bursts
    assert (bursts.runs, bursts.longest) == (runs, longest)
    assert bursts.ratio == pytest.approx(ratio)


def test_loss_by_chance_has_the_burst_ratio_one() -> None:
    # 1 of 10 lost by chance: 100 of 1000, in runs of 1 / 0.9 packets, so 90 runs.
    assert burst_ratio(90, 100, 900) == pytest.approx(1.0)
    assert burst_ratio(20, 100, 900) == pytest.approx(4.5)
    assert burst_ratio(0, 0, 900) == 1.0


def test_asking_for_bursts_closes_none() -> None:
    reception = received([1, 2, 5])
    assert reception.bursts.runs == 1
    reception.receive(3, 0, 1, 0.0)
    reception.receive(4, 0, 1, 0.0)
    assert reception.bursts == BurstLoss(0, 0, 1.0)


def test_an_interval_has_the_loss_since_the_one_before() -> None:
    reception = Reception()
    seen = []
    for sequences in (range(50), [n for n in range(50, 100) if n % 5], range(100, 150), []):
        for sequence in sequences:
            reception.receive(sequence, 0, 1, 0.0)
        reception.end_interval()
        seen.append(reception.interval)
    assert seen == [
        IntervalLoss(50, 0, 0),
        IntervalLoss(50, 10, 200),
        IntervalLoss(50, 0, 200),
        IntervalLoss(0, 0, 200),
    ]


def test_a_late_packet_makes_up_for_the_interval_before() -> None:
    reception = Reception()
    for sequences in ([0, *range(2, 20)], [1, 20]):
        for sequence in sequences:
            reception.receive(sequence, 0, 1, 0.0)
        reception.end_interval()
    assert reception.interval == IntervalLoss(1, 0, 50)


def test_a_pause_in_speech_is_no_bad_second() -> None:
    reception = received([1, 3])
    reception.end_interval()
    assert reception.interval == IntervalLoss(3, 1, 0)


def test_intervals_go_on_over_a_change_of_ssrc() -> None:
    reception = received([1, 4])
    reception.receive(900, 0, 2, 0.0)
    reception.end_interval()
    assert (reception.expected, reception.received) == (5, 3)
    assert reception.interval == IntervalLoss(5, 2, 0)


def test_newer_means_ahead_of_everything() -> None:
    reception = received([65530, 65535])
    assert [reception.is_newer(n, 1) for n in (65534, 65535, 0, 20000)] == [
        False,
        False,
        True,
        True,
    ]
    assert reception.is_newer(1, 2)


def test_a_limit_lets_its_rate_through_and_a_burst() -> None:
    limit = BitRateLimit(80, 0.0)  # 10 000 bytes per second
    assert limit.admits(6000, 0.0)
    assert not limit.admits(1, 0.0)
    assert limit.admits(1000, 0.1)
    assert not limit.admits(1001, 0.2)
    assert limit.admits(6000, 100.0)
    assert not limit.admits(1, 100.0)


@given(st.lists(st.tuples(st.integers(1, 1500), st.floats(0, 0.05)), max_size=200))
def test_a_limit_is_never_exceeded_by_more_than_its_burst(
    packets: list[tuple[int, float]],
) -> None:
    limit, now, passed = BitRateLimit(64, 0.0), 0.0, 0
    for octets, pause in packets:
        now += pause
        if limit.admits(octets, now):
            passed += octets
        assert passed <= 6000 + 8000 * now + 1e-6
