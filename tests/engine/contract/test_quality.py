"""What every engine measures of a call."""

import pytest

from media.types import IntervalLoss, PeerView, SideName
from tests.engine.kit import (
    PHONE_A,
    PHONE_B,
    RELAY_A,
    RELAY_B,
    A,
    B,
    Call,
    Rig,
    a_call,
    receiver_report,
    report_block,
    rtp,
    sender_report,
)

MUXED: dict[str, object] = {"rtcp_mux": True, "remote_rtcp": None}
SSRC = 0x5EED


async def says_all(call: Call, sequences: list[int]) -> None:
    for sequence in sequences:
        assert await call.a_says(rtp(sequence)) == rtp(sequence)


async def test_loss_is_told_by_the_run_and_by_the_second(rig: Rig) -> None:
    call = await a_call(rig)
    # So many that the second in which they are missed has enough packets to be one that counts.
    await says_all(call, [*range(20), *range(35, 50)])
    assert (rig.counters(A).bursts.runs, rig.counters(A).bursts.longest) == (1, 15)
    await rig.until(lambda: rig.counters(A).interval.worst_permille)
    assert 300 <= rig.counters(A).interval.worst_permille < 1000
    await rig.until(lambda: rig.counters(A).interval.expected == 0)
    assert rig.counters(B).interval == IntervalLoss()


async def test_speech_is_rated_when_there_was_enough_of_it(rig: Rig) -> None:
    call = await a_call(rig)
    await says_all(call, list(range(99)))
    assert rig.counters(A).speech is None
    await says_all(call, [99])
    speech = rig.counters(A).speech
    assert speech is not None
    assert (speech.windows, speech.codec) == (1, "G.711")
    # How good it is depends on the gaps that a busy machine makes.
    assert 1.0 <= speech.last == speech.mean == speech.worst < 4.42
    assert rig.counters(B).speech is None


async def test_video_has_no_score_of_speech(rig: Rig) -> None:
    a, b = await rig.phone(PHONE_A), await rig.phone(PHONE_B)
    sides = rig.side(RELAY_A, a.endpoint), rig.side(RELAY_B, b.endpoint)
    stream = rig.open(*sides, kind="video")
    for sequence in range(120):
        await a.send(rtp(sequence), stream.a.local)
        assert (await b.hears())[0] == rtp(sequence)
    assert (rig.counters(A).packets, rig.counters(A).speech) == (120, None)


@pytest.mark.parametrize(("speaker", "listener"), [(A, B), (B, A)])
async def test_reports_tell_the_peers_view_and_how_far_away_it_is(
    rig: Rig, speaker: SideName, listener: SideName
) -> None:
    call = await a_call(rig, a=MUXED, b=MUXED)
    say, answer = call.a_says, call.b_says
    if speaker is B:
        say, answer = answer, say
    await say(rtp(1))
    await say(sender_report(0x1234_5678))
    block = report_block(
        SSRC, fraction_lost=26, lost=300, jitter_ticks=80, last_report=0x1234_5678, delay=0
    )
    assert await answer(receiver_report(block)) == receiver_report(block)
    heard, told = rig.counters(speaker), rig.counters(listener)
    assert told.peer == PeerView(SSRC, 26, 300, 80)
    assert told.round_trip_ms is not None
    assert 0 < told.round_trip_ms < 60_000
    assert (heard.peer, heard.round_trip_ms) == (None, None)
