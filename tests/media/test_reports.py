"""What RTCP tells, and what it cannot make us believe."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.reports import PeerReports
from media.types import PeerView
from tests.engine.kit import receiver_report, report_block, rtcp, sender_report

SSRC = 0xCAFE
BLOCK = report_block(
    SSRC, fraction_lost=64, lost=-2, jitter_ticks=77, last_report=7, delay=0x0001_0000
)
VIEW = PeerView(SSRC, 64, -2, 77)


def answered(answer: bytes, *, stamp: int = 7, after_s: float = 1.5) -> PeerReports:
    """A report with this stamp went to the leg, and a while later it answers."""
    reports = PeerReports()
    reports.note_sent_untrusted(sender_report(stamp), 100.0)
    reports.read_untrusted(answer, SSRC, 100.0 + after_s)
    return reports


def test_reports_tell_the_peers_view_and_the_round_trip() -> None:
    reports = answered(receiver_report(BLOCK))
    assert (reports.view, reports.round_trip_ms) == (VIEW, 500.0)


def test_the_round_trip_of_figure_2_of_rfc_3550_is_6_125_seconds() -> None:
    # Sent at b705:2000 and heard again at b710:8000, after the leg had held it for 5:4000.
    block = report_block(SSRC, last_report=0xB7052000, delay=0x0005_4000)
    away_s = (0xB7108000 - 0xB7052000) / 65536
    reports = answered(receiver_report(block), stamp=0xB7052000, after_s=away_s)
    assert reports.round_trip_ms == pytest.approx(6125.0)


@pytest.mark.parametrize(
    ("stamp", "delay", "after_s"),
    [
        (0, 0, 1.0),  # no report received yet
        (8, 0, 1.0),  # one that never went out
        (7, 0x0002_0000, 1.0),  # held for longer than it has been away
        (7, 0xFFFF_FFFF, 1.0),
        (7, 0, 61.0),
    ],
)
def test_a_report_about_nothing_that_was_sent_has_no_round_trip(
    stamp: int, delay: int, after_s: float
) -> None:
    block = report_block(SSRC, last_report=stamp, delay=delay)
    reports = answered(receiver_report(block), after_s=after_s)
    assert (reports.view, reports.round_trip_ms) == (PeerView(SSRC, 0, 0, 0), None)


def test_a_clock_that_runs_a_little_fast_is_no_mistake() -> None:
    assert answered(receiver_report(BLOCK), after_s=0.995).round_trip_ms == 0.0


def test_a_mistake_leaves_the_round_trip_before_it_alone() -> None:
    reports = answered(receiver_report(BLOCK))
    absurd = report_block(SSRC, last_report=7, delay=0x00FF_0000)
    reports.read_untrusted(receiver_report(absurd), SSRC, 102.0)
    assert reports.round_trip_ms == 500.0


def test_an_answer_may_be_about_the_last_report_but_one() -> None:
    reports = PeerReports()
    for stamp in (5, 6, 7):
        reports.note_sent_untrusted(sender_report(stamp) + rtcp(), float(stamp))
    for stamp, round_trip_ms in ((5, None), (6, 4000.0), (7, 3000.0)):
        block = report_block(SSRC, last_report=stamp)
        reports.read_untrusted(receiver_report(block), SSRC, 10.0)
        assert reports.round_trip_ms == round_trip_ms


@pytest.mark.parametrize("heard", [0xBAD, -1])
def test_a_report_about_another_source_is_no_view_of_ours(heard: int) -> None:
    reports = PeerReports()
    reports.read_untrusted(receiver_report(BLOCK), heard, 1.0)
    assert reports.view is None


WITH_BLOCK = sender_report(9, BLOCK)
HALF = receiver_report(BLOCK)[:20]


@pytest.mark.parametrize(
    ("data", "view"),
    [
        (WITH_BLOCK, VIEW),
        (rtcp() + WITH_BLOCK, VIEW),
        (b"\x9f" + WITH_BLOCK[1:], VIEW),  # says 31 blocks
        (b"\x80" + WITH_BLOCK[1:], None),  # says none
        (HALF[:3] + b"\x04" + HALF[4:], None),  # ends within its block
        (HALF, None),  # its length points beyond its end
        (b"\x81\xcc" + receiver_report(BLOCK)[2:], None),  # of another type
        (b"", None),
    ],
)
def test_blocks_count_that_are_there_and_are_announced(data: bytes, view: PeerView | None) -> None:
    assert answered(data).view == view


def test_a_sender_report_that_is_cut_short_is_none() -> None:
    cut = sender_report(7)[:16]
    reports = PeerReports()
    reports.note_sent_untrusted(cut[:3] + b"\x03" + cut[4:], 100.0)
    reports.read_untrusted(receiver_report(BLOCK), SSRC, 101.5)
    assert reports.round_trip_ms is None


packets = st.binary(max_size=80) | st.builds(
    lambda head, words, tail: bytes([head[0], head[1], 0, words]) + tail,
    st.tuples(st.integers(0x80, 0xBF), st.sampled_from([200, 201, 203])),
    st.integers(0, 20),
    st.binary(max_size=80),
)


@given(st.lists(st.tuples(st.booleans(), packets, st.floats(0, 1e6)), max_size=20))
def test_whatever_is_said_is_read(told: list[tuple[bool, bytes, float]]) -> None:
    reports = PeerReports()
    for sent, data, now in told:
        if sent:
            reports.note_sent_untrusted(data, now)
        else:
            reports.read_untrusted(data, SSRC, now)
        assert reports.round_trip_ms is None or 0 <= reports.round_trip_ms <= 60_000
        assert reports.view is None or reports.view.ssrc == SSRC
