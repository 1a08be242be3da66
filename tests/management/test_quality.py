"""What was measured of a call, as its record has it."""

import pytest

from media.types import BurstLoss, FlowCounters, IntervalLoss, PeerView, SpeechQuality
from sbc.management.quality import all_streams, rtp_totals
from sbc.state.cdr import RtpTotals

HEARD = FlowCounters(
    packets=500,
    octets=86_000,
    sent_packets=480,
    lost=3,
    jitter_ticks=16.0,
    interval=IntervalLoss(50, 0, 45),
    bursts=BurstLoss(2, 2, 1.5),
    speech=SpeechQuality(4.4, 4.256, 3.504, 6, "G.711"),
    peer=PeerView(0xCAFE, 3, 40, 80),
    round_trip_ms=41.26,
)
TOTALS = RtpTotals(
    *(500, 86_000, 3, 2.0),
    longest_burst=2,
    worst_loss_percent=4.5,
    mos=4.26,
    worst_mos=3.5,
    mos_codec="G.711",
    round_trip_ms=41.3,
    reported_lost=40,
    reported_jitter_ms=10.0,
    lost_behind_us=25,
)


def test_figures_are_in_the_units_of_the_record() -> None:
    # Of the 40 packets that it lost, 5 never came here and 10 of 490 were not sent on.
    assert rtp_totals(HEARD, FlowCounters(packets=490, lost=5), 8000) == TOTALS


def test_what_was_not_measured_is_none() -> None:
    totals = rtp_totals(FlowCounters(), FlowCounters(), 8000)
    assert totals == RtpTotals(longest_burst=0, worst_loss_percent=0.0)


@pytest.mark.parametrize(
    ("reported", "lost", "packets", "sent", "behind"),
    [
        (30, 0, 500, 500, 30),
        (30, 30, 470, 470, 0),  # it never came here
        (30, 0, 500, 470, 0),  # it was not sent on, as to a leg on hold
        (30, 10, 490, 480, 10),
        (5, 10, 490, 490, 0),  # it began to listen later
        (-3, 0, 500, 500, 0),  # some came twice
    ],
)
def test_only_what_had_left_here_is_lost_behind_us(
    reported: int, lost: int, packets: int, sent: int, behind: int
) -> None:
    listener = FlowCounters(sent_packets=sent, peer=PeerView(1, 0, reported, 0))
    speaker = FlowCounters(packets=packets, lost=lost)
    assert rtp_totals(listener, speaker, 8000).lost_behind_us == behind


def test_of_several_streams_counts_are_added_and_the_worst_of_the_rest_is_kept() -> None:
    video = RtpTotals(*(9000, 9_000_000, 20, 1.0), longest_burst=7, worst_loss_percent=1.0)
    assert all_streams([TOTALS, video]) == RtpTotals(
        *(9500, 9_086_000, 23, 2.0),
        longest_burst=7,
        worst_loss_percent=4.5,
        mos=4.26,
        worst_mos=3.5,
        mos_codec="G.711",
        round_trip_ms=41.3,
        reported_lost=40,
        reported_jitter_ms=10.0,
        lost_behind_us=25,
    )


def test_of_two_that_speak_the_worse_is_kept_whole() -> None:
    better = RtpTotals(mos=4.4, worst_mos=4.0, mos_codec="G.711")
    worse = RtpTotals(mos=4.5, worst_mos=3.0, mos_codec="G.729A")
    assert all_streams([better, worse]).mos_codec == "G.729A"
    assert all_streams([better, worse]).mos == 4.5


def test_a_call_without_streams_has_nothing_measured() -> None:
    assert all_streams([]) == RtpTotals()
