"""Ranked latching as equations: who is heard, and after what."""

from dataclasses import replace

import pytest

from media.latch import (
    CONFIRM_PACKETS,
    PAUSE_S,
    RTCP_SILENT_S,
    SETTLE_S,
    SILENT_S,
    TABLE,
    UNANNOUNCED_PACKETS,
    UNANNOUNCED_STREAM_S,
    UNANNOUNCED_WINDOW_S,
    Announced,
    Claim,
    Evidence,
    Latch,
    LatchState,
    LatchVerdict,
)
from media.types import Endpoint, LatchRank, Refusal

EXACT = Endpoint("192.0.2.10", 4000)
SDP_HOST = Endpoint("192.0.2.10", 4444)
SIGNALLING = Endpoint("198.51.100.1", 5000)
SIGNALLING_2 = Endpoint("198.51.100.1", 6000)
OTHER = Endpoint("203.0.113.1", 7000)
OTHER_2 = Endpoint("203.0.113.2", 7000)

PUBLIC = Announced(EXACT, EXACT.host, SIGNALLING.host)
NATED = replace(PUBLIC, learn_any=True)
SECURE = replace(PUBLIC, secure=True)

ACCEPT, LEARN, WATCH, REFUSE = LatchVerdict
PACKET_S = 0.02
LEARNED = [WATCH] * (CONFIRM_PACKETS - 1) + [LEARN]
LEARNED_UNANNOUNCED = [WATCH] * (UNANNOUNCED_PACKETS - 1) + [LEARN]
REFUSED = [REFUSE] * UNANNOUNCED_PACKETS


def packet(sequence: int, *, newest: bool = True, ssrc: int = 1, silent_s: float = 0.0) -> Evidence:
    return Evidence(newest, sequence, ssrc, silent_s=silent_s)


def rtcp(companion: Endpoint | None = None, silent_s: float = 0.0) -> Evidence:
    return Evidence(companion=None if companion is None else companion.host, silent_s=silent_s)


def show(
    latch: Latch, source: Endpoint, now: float = 0.0, silent_s: float = 0.0
) -> list[LatchVerdict]:
    """The verdicts on a whole stream of packets, as many as an unlearned source must show."""
    verdicts = []
    for number in range(UNANNOUNCED_PACKETS):
        evidence = packet(number, silent_s=silent_s)
        verdicts.append(latch.observe(source, evidence, now + number * PACKET_S))
        if verdicts[-1] is LEARN:
            break
    return verdicts


def learned(announced: Announced, source: Endpoint) -> Latch:
    """A latch that has learned a source before the time 0."""
    latch = Latch(announced, -1.0)
    assert show(latch, source, -1.0)[-1] is LEARN
    return latch


def test_the_announced_address_is_learned_with_its_first_packet() -> None:
    latch = Latch(PUBLIC, 0.0)
    assert latch.observe(EXACT, packet(1), 0.0) is LEARN
    assert (latch.state, latch.source, latch.rank) == (
        LatchState.LATCHED,
        EXACT,
        LatchRank.SDP_EXACT,
    )
    assert latch.observe(EXACT, packet(2), 0.02) is ACCEPT


@pytest.mark.parametrize(
    ("source", "rank", "verdicts"),
    [
        (SDP_HOST, LatchRank.SDP_HOST, LEARNED),
        (SIGNALLING, LatchRank.SIGNALLING_HOST, LEARNED),
        (OTHER, LatchRank.OTHER, LEARNED_UNANNOUNCED),
    ],
)
def test_any_other_source_must_show_a_stream(
    source: Endpoint, rank: LatchRank, verdicts: list[LatchVerdict]
) -> None:
    latch = Latch(NATED, 0.0)
    assert show(latch, source) == verdicts
    assert (latch.state, latch.source, latch.rank) == (LatchState.LATCHED, source, rank)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (OTHER, SIGNALLING),
        (OTHER, SDP_HOST),
        (OTHER, EXACT),
        (SIGNALLING, SDP_HOST),
        (SIGNALLING, EXACT),
        (SDP_HOST, EXACT),
    ],
)
def test_better_rank_always_wins_back_and_worse_never_does(
    first: Endpoint, second: Endpoint
) -> None:
    latch = learned(NATED, first)
    assert show(latch, second, 100.0) == ([LEARN] if second is EXACT else LEARNED)
    assert latch.source == second
    assert show(latch, first, 100.0, 100.0) == REFUSED
    assert latch.refusal is Refusal.NO_BETTER_PROOF
    assert latch.source == second


@pytest.mark.parametrize("announced", [PUBLIC, replace(PUBLIC, signalling_host=None)])
def test_a_stranger_is_refused_where_the_address_is_public(announced: Announced) -> None:
    latch = Latch(announced, 0.0)
    assert show(latch, OTHER) == REFUSED
    assert latch.refusal is Refusal.NOT_ANNOUNCED
    assert latch.state is LatchState.EMPTY


def test_nobody_is_heard_before_the_sdp() -> None:
    latch = Latch(Announced(signalling_host=SIGNALLING.host, learn_any=True), 0.0)
    assert show(latch, SIGNALLING) == show(latch, OTHER) == REFUSED


def test_one_stray_packet_does_not_cost_the_right_phone_its_call() -> None:
    latch = Latch(NATED, 0.0)
    assert latch.observe(SIGNALLING_2, packet(7), 0.0) is WATCH
    assert show(latch, SIGNALLING) == LEARNED
    assert latch.source == SIGNALLING


@pytest.mark.parametrize("source", [SDP_HOST, SIGNALLING, OTHER])
def test_packets_out_of_sequence_or_of_many_ssrcs_confirm_nothing(source: Endpoint) -> None:
    latch = Latch(NATED, 0.0)
    for evidence in (
        [packet(n * 1000) for n in range(50)],
        [packet(n, ssrc=n) for n in range(50)],
        [packet(7) for _ in range(50)],
    ):
        verdicts = [latch.observe(source, one, n * PACKET_S) for n, one in enumerate(evidence)]
        assert verdicts == [WATCH] * 50


def test_a_burst_is_no_stream_and_neither_are_many() -> None:
    latch = Latch(NATED, 0.0)
    for burst in range(5):
        now = burst * PAUSE_S
        first = burst * 200
        verdicts = [latch.observe(OTHER, packet(first + n), now) for n in range(200)]
        assert verdicts == [WATCH] * 200


def test_a_short_stream_is_not_enough_for_an_unannounced_source_nor_are_few_packets() -> None:
    latch = Latch(NATED, 0.0)
    step = UNANNOUNCED_STREAM_S / 100
    verdicts = [latch.observe(OTHER, packet(n), n * step) for n in range(102)]
    assert verdicts.index(LEARN) >= 100
    latch = Latch(NATED, 0.0)
    verdicts = [latch.observe(OTHER, packet(n), n * 0.06) for n in range(UNANNOUNCED_PACKETS)]
    assert verdicts == LEARNED_UNANNOUNCED


def test_a_stream_confirms_itself_over_a_sequence_wrap_and_some_loss() -> None:
    latch = Latch(NATED, 0.0)
    verdicts = [latch.observe(SIGNALLING, packet(n % 65536), 0.0) for n in (65533, 65535, 65540)]
    assert verdicts == LEARNED


def test_two_unannounced_sources_that_talk_at_once_are_neither_learned() -> None:
    latch = Latch(NATED, 0.0)
    for number in range(4 * UNANNOUNCED_PACKETS):
        now = number * PACKET_S
        source = OTHER_2 if number % UNANNOUNCED_PACKETS == 1 else OTHER
        assert latch.observe(source, packet(number), now) is WATCH


@pytest.mark.parametrize(("better", "worse"), [(SIGNALLING, OTHER), (SDP_HOST, SIGNALLING)])
def test_a_worse_source_does_not_break_in_on_a_better_one(
    better: Endpoint, worse: Endpoint
) -> None:
    latch = Latch(NATED, 0.0)
    for number in range(CONFIRM_PACKETS - 1):
        assert latch.observe(better, packet(number), number * PACKET_S) is WATCH
        assert latch.observe(worse, packet(number), number * PACKET_S) is WATCH
    assert latch.observe(better, packet(CONFIRM_PACKETS), 0.1) is LEARN


def test_a_better_candidate_that_fell_silent_makes_room() -> None:
    latch = Latch(NATED, 0.0)
    latch.observe(SIGNALLING, packet(0), 0.0)
    assert show(latch, OTHER, PAUSE_S) == LEARNED_UNANNOUNCED


@pytest.mark.parametrize(
    ("first", "second", "verdicts"),
    [
        (SIGNALLING, SIGNALLING_2, LEARNED),
        (OTHER, OTHER_2, LEARNED_UNANNOUNCED),
    ],
)
def test_equal_proof_takes_over_from_a_source_that_fell_silent_and_from_no_other(
    first: Endpoint, second: Endpoint, verdicts: list[LatchVerdict]
) -> None:
    latch = learned(NATED, first)
    assert show(latch, second, 1.0, SILENT_S - 0.01) == REFUSED
    assert latch.refusal is Refusal.NO_BETTER_PROOF
    assert show(latch, second, 2.0, SILENT_S) == verdicts
    assert latch.source == second


def test_two_unannounced_sources_do_not_fight() -> None:
    latch = learned(NATED, OTHER)
    assert show(latch, OTHER_2, 1.0) == REFUSED
    assert latch.refusal is Refusal.NO_BETTER_PROOF
    assert latch.source == OTHER


def test_the_window_for_unannounced_sources_closes_and_signalling_opens_it() -> None:
    latch = Latch(NATED, 0.0)
    late = UNANNOUNCED_WINDOW_S + 1
    assert show(latch, OTHER, late) == REFUSED
    assert latch.refusal is Refusal.WINDOW_CLOSED
    latch.signal(NATED, late)
    assert show(latch, OTHER, late) == LEARNED_UNANNOUNCED


def test_after_the_window_no_unannounced_source_follows_one_that_fell_silent() -> None:
    latch = learned(NATED, OTHER)
    assert show(latch, OTHER_2, UNANNOUNCED_WINDOW_S, 5.0) == REFUSED
    assert latch.refusal is Refusal.WINDOW_CLOSED


def test_announced_sources_need_no_window() -> None:
    latch = Latch(NATED, 0.0)
    assert show(latch, SIGNALLING, 10 * UNANNOUNCED_WINDOW_S) == LEARNED


def test_equal_rank_takes_over_from_one_that_talks_only_after_signalling() -> None:
    latch = learned(NATED, SIGNALLING)
    assert show(latch, SIGNALLING_2) == REFUSED
    latch.signal(replace(NATED, remote=Endpoint("10.0.0.1", 9)), 1.0)
    assert latch.state is LatchState.HELD
    assert latch.observe(SIGNALLING, packet(2), 1.1) is ACCEPT
    assert show(latch, SIGNALLING_2, 1.2) == LEARNED
    assert latch.observe(SIGNALLING, packet(3), 1.3) is REFUSE


def test_a_source_that_stays_after_an_announced_change_is_learned_again() -> None:
    latch = learned(NATED, SIGNALLING)
    latch.signal(replace(NATED, remote=Endpoint("10.0.0.1", 9)), 1.0)
    assert latch.observe(SIGNALLING, packet(2), 1.0 + SETTLE_S) is LEARN
    assert latch.observe(SIGNALLING_2, packet(3), 1.1 + SETTLE_S) is REFUSE


def test_a_held_source_is_not_taken_over_by_a_stranger() -> None:
    latch = learned(NATED, SIGNALLING)
    latch.signal(replace(NATED, remote=Endpoint("10.0.0.1", 9)), 1.0)
    assert show(latch, OTHER, 1.0) == REFUSED


def test_a_held_unannounced_source_may_be_followed_by_another() -> None:
    latch = learned(NATED, OTHER)
    latch.signal(replace(NATED, remote=Endpoint("10.0.0.1", 9)), 1.0)
    assert show(latch, OTHER_2, 1.0)[-1] is LEARN


@pytest.mark.parametrize(
    "moved",
    [
        replace(NATED, signalling_host="192.0.2.99"),
        PUBLIC,
        SECURE,
        Announced(),
    ],
)
def test_an_unannounced_source_is_forgotten_when_the_leg_is_another(moved: Announced) -> None:
    latch = learned(NATED, OTHER)
    latch.signal(moved, 1.0)
    assert (latch.state, latch.source) == (LatchState.EMPTY, None)


def test_signalling_without_news_leaves_the_latch() -> None:
    latch = learned(NATED, SIGNALLING)
    latch.signal(NATED, 1.0)
    assert (latch.state, latch.source) == (LatchState.LATCHED, SIGNALLING)


def test_a_secure_source_moves_with_every_newer_proof() -> None:
    latch = Latch(SECURE, 0.0)
    assert latch.observe(OTHER, packet(1), 0.0) is LEARN
    assert latch.rank is LatchRank.SRTP_AUTHENTICATED
    assert latch.observe(OTHER_2, packet(2), 0.1) is LEARN
    assert latch.observe(OTHER, packet(1, newest=False), 0.2) is ACCEPT
    assert latch.source == OTHER_2


def test_a_watched_candidate_is_forgotten_when_the_leg_turns_secure() -> None:
    latch = Latch(NATED, 0.0)
    latch.observe(OTHER, packet(1), 0.0)
    latch.signal(replace(SECURE, learn_any=True), 0.1)
    assert latch.observe(EXACT, packet(1), 0.2) is LEARN


def test_rtcp_confirms_an_unannounced_source_only_beside_rtp() -> None:
    latch = Latch(NATED, 0.0)
    assert latch.observe(OTHER, rtcp(), 0.0) is REFUSE
    assert latch.observe(OTHER, rtcp(OTHER_2), 0.0) is REFUSE
    assert latch.observe(OTHER, rtcp(OTHER), 0.0) is LEARN


@pytest.mark.parametrize("source", [SDP_HOST, SIGNALLING])
def test_rtcp_of_an_announced_host_is_learned_once_rtp_vouches_for_it(source: Endpoint) -> None:
    latch = Latch(NATED, 0.0)
    assert [latch.observe(source, rtcp(), 0.0) for _ in range(9)] == [WATCH] * 9
    assert latch.observe(source, rtcp(OTHER), 0.0) is WATCH
    assert latch.observe(source, rtcp(source), 0.0) is LEARN


def test_the_announced_rtcp_address_needs_nobody_to_vouch_for_it() -> None:
    assert Latch(NATED, 0.0).observe(EXACT, rtcp(), 0.0) is LEARN


def test_equal_rtcp_takes_over_when_the_one_in_use_missed_its_reports() -> None:
    latch = Latch(NATED, 0.0)
    latch.observe(SIGNALLING, rtcp(SIGNALLING), 0.0)
    silent_s = RTCP_SILENT_S - 0.1
    assert latch.observe(SIGNALLING_2, rtcp(SIGNALLING, silent_s), 1.0) is REFUSE
    assert latch.observe(SIGNALLING_2, rtcp(SIGNALLING, RTCP_SILENT_S), 1.0) is LEARN


def test_rtcp_moves_no_rtp() -> None:
    latch = learned(NATED, SIGNALLING)
    assert latch.observe(SIGNALLING_2, rtcp(silent_s=60.0), 1.0) is WATCH
    assert latch.observe(SDP_HOST, rtcp(silent_s=60.0), 1.0) is WATCH
    assert latch.source == SIGNALLING


def test_every_state_is_reached_and_left_and_every_claim_counts() -> None:
    reached = {after for after, _ in TABLE.values()} | {LatchState.HELD}  # HELD by `signal`
    left = {state for (state, _), (after, _) in TABLE.items() if after is not state}
    left |= {LatchState.LATCHED}  # to HELD or EMPTY by `signal`
    assert reached == left == set(LatchState)
    assert {claim for _, claim in TABLE} == set(Claim)


def test_whatever_is_learned_is_latched_and_nothing_else_moves_a_learned_source() -> None:
    for (state, _), (after, verdict) in TABLE.items():
        assert (verdict is LatchVerdict.LEARN) == (after is LatchState.LATCHED) or (
            state is after is LatchState.LATCHED
        )
