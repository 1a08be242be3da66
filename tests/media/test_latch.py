"""Ranked latching as equations: who is heard, and after what."""

from dataclasses import replace

import pytest

from media.latch import (
    CONFIRM_PACKETS,
    SETTLE_S,
    TABLE,
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
RTCP = Evidence()


def packet(sequence: int, *, newest: bool = True, ssrc: int = 1) -> Evidence:
    return Evidence(newest, sequence, ssrc)


def show(latch: Latch, source: Endpoint, now: float = 0.0, first: int = 0) -> list[LatchVerdict]:
    """The verdicts on a whole stream of packets."""
    return [latch.observe(source, packet(first + number), now) for number in range(CONFIRM_PACKETS)]


@pytest.mark.parametrize(
    ("source", "rank"),
    [
        (EXACT, LatchRank.SDP_EXACT),
        (SDP_HOST, LatchRank.SDP_HOST),
        (SIGNALLING, LatchRank.SIGNALLING_HOST),
    ],
)
def test_announced_sources_are_learned_with_their_first_packet(
    source: Endpoint, rank: LatchRank
) -> None:
    latch = Latch(PUBLIC, 0.0)
    assert latch.observe(source, packet(1), 0.0) is LEARN
    assert (latch.state, latch.source, latch.rank) == (LatchState.LATCHED, source, rank)
    assert latch.observe(source, packet(2), 0.02) is ACCEPT


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
    latch = Latch(NATED, 0.0)
    show(latch, first)
    assert latch.source == first
    assert latch.observe(second, packet(9), 100.0) is LEARN
    assert latch.source == second
    assert show(latch, first, 100.0) == [REFUSE] * CONFIRM_PACKETS
    assert latch.refusal is Refusal.NO_BETTER_PROOF
    assert latch.source == second


@pytest.mark.parametrize("announced", [PUBLIC, replace(PUBLIC, signalling_host=None)])
def test_a_stranger_is_refused_where_the_address_is_public(announced: Announced) -> None:
    latch = Latch(announced, 0.0)
    assert show(latch, OTHER) == [REFUSE] * CONFIRM_PACKETS
    assert latch.refusal is Refusal.NOT_ANNOUNCED
    assert latch.state is LatchState.EMPTY


def test_nobody_is_heard_before_the_sdp() -> None:
    latch = Latch(Announced(signalling_host=SIGNALLING.host, learn_any=True), 0.0)
    assert show(latch, SIGNALLING) == show(latch, OTHER) == [REFUSE] * CONFIRM_PACKETS


def test_an_unannounced_source_is_learned_when_it_shows_a_stream() -> None:
    latch = Latch(NATED, 0.0)
    assert show(latch, OTHER) == [WATCH] * (CONFIRM_PACKETS - 1) + [LEARN]
    assert (latch.source, latch.rank) == (OTHER, LatchRank.OTHER)


def test_packets_out_of_sequence_or_of_many_ssrcs_confirm_nothing() -> None:
    latch = Latch(NATED, 0.0)
    assert [latch.observe(OTHER, packet(n * 1000), 0.0) for n in range(20)] == [WATCH] * 20
    assert [latch.observe(OTHER, packet(n, ssrc=n), 0.0) for n in range(20)] == [WATCH] * 20
    assert [latch.observe(OTHER, packet(7), 0.0) for _ in range(20)] == [WATCH] * 20


def test_a_stream_confirms_itself_over_a_sequence_wrap_and_some_loss() -> None:
    latch = Latch(NATED, 0.0)
    verdicts = [latch.observe(OTHER, packet(n % 65536), 0.0) for n in (65533, 65535, 65540, 65541)]
    assert verdicts == [WATCH, WATCH, WATCH, LEARN]


def test_one_candidate_is_watched_at_a_time() -> None:
    latch = Latch(NATED, 0.0)
    for number in range(CONFIRM_PACKETS - 1):
        assert latch.observe(OTHER, packet(number), 0.0) is WATCH
        assert latch.observe(OTHER_2, packet(900), 0.1) is WATCH
    assert latch.observe(OTHER, packet(CONFIRM_PACKETS), 0.1) is LEARN


def test_a_candidate_that_fell_silent_makes_room() -> None:
    latch = Latch(NATED, 0.0)
    latch.observe(OTHER, packet(0), 0.0)
    assert show(latch, OTHER_2, 1.0)[-1] is LEARN
    assert latch.source == OTHER_2


def test_two_unannounced_sources_do_not_fight() -> None:
    latch = Latch(NATED, 0.0)
    show(latch, OTHER)
    assert show(latch, OTHER_2, 1.0) == [REFUSE] * CONFIRM_PACKETS
    assert latch.refusal is Refusal.NO_BETTER_PROOF
    assert latch.source == OTHER


def test_the_window_for_unannounced_sources_closes_and_signalling_opens_it() -> None:
    latch = Latch(NATED, 0.0)
    late = UNANNOUNCED_WINDOW_S + 1
    assert show(latch, OTHER, late) == [REFUSE] * CONFIRM_PACKETS
    assert latch.refusal is Refusal.WINDOW_CLOSED
    latch.signal(NATED, late)
    assert show(latch, OTHER, late)[-1] is LEARN


def test_announced_sources_need_no_window() -> None:
    latch = Latch(NATED, 0.0)
    assert latch.observe(SIGNALLING, packet(1), 10 * UNANNOUNCED_WINDOW_S) is LEARN


def test_equal_rank_takes_over_only_after_signalling() -> None:
    latch = Latch(NATED, 0.0)
    latch.observe(SIGNALLING, packet(1), 0.0)
    assert latch.observe(SIGNALLING_2, packet(1), 1.0) is REFUSE
    latch.signal(replace(NATED, remote=Endpoint("10.0.0.1", 9)), 1.0)
    assert latch.state is LatchState.HELD
    assert latch.observe(SIGNALLING, packet(2), 1.1) is ACCEPT
    assert latch.observe(SIGNALLING_2, packet(2), 1.2) is LEARN
    assert latch.observe(SIGNALLING, packet(3), 1.3) is REFUSE


def test_a_source_that_stays_after_an_announced_change_is_learned_again() -> None:
    latch = Latch(NATED, 0.0)
    latch.observe(SIGNALLING, packet(1), 0.0)
    latch.signal(replace(NATED, remote=Endpoint("10.0.0.1", 9)), 1.0)
    assert latch.observe(SIGNALLING, packet(2), 1.0 + SETTLE_S) is LEARN
    assert latch.observe(SIGNALLING_2, packet(3), 1.1 + SETTLE_S) is REFUSE


def test_a_held_source_is_not_taken_over_by_a_stranger() -> None:
    latch = Latch(NATED, 0.0)
    latch.observe(SIGNALLING, packet(1), 0.0)
    latch.signal(replace(NATED, remote=Endpoint("10.0.0.1", 9)), 1.0)
    assert show(latch, OTHER, 1.0) == [REFUSE] * CONFIRM_PACKETS


def test_a_held_unannounced_source_may_be_followed_by_another() -> None:
    latch = Latch(NATED, 0.0)
    show(latch, OTHER)
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
    latch = Latch(NATED, 0.0)
    show(latch, OTHER)
    latch.signal(moved, 1.0)
    assert (latch.state, latch.source) == (LatchState.EMPTY, None)


def test_signalling_without_news_leaves_the_latch() -> None:
    latch = Latch(NATED, 0.0)
    latch.observe(SIGNALLING, packet(1), 0.0)
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
    assert latch.observe(OTHER, RTCP, 0.0) is REFUSE
    assert latch.observe(OTHER, Evidence(companion=OTHER_2.host), 0.0) is REFUSE
    assert latch.observe(OTHER, Evidence(companion=OTHER.host), 0.0) is LEARN


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
