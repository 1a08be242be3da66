//! The table, pair by pair, and what leads to each claim.

use super::*;
use Claim::{
    Better, Candidate as Unconfirmed, Confirmed, Equal, Late, Proven, Same, Settled, Stranger,
};
use LatchState::{Empty, Held, Latched, Watching};
use LatchVerdict::{Accept, Learn, Refuse, Watch};

const STATES: [LatchState; 4] = [Empty, Watching, Latched, Held];
const CLAIMS: [Claim; 9] =
    [Same, Settled, Proven, Late, Better, Equal, Unconfirmed, Confirmed, Stranger];

/// As `TABLE` of `media/latch.py` has it.
const TABLE: [(LatchState, Claim, LatchState, LatchVerdict); 25] = [
    (Empty, Proven, Latched, Learn),
    (Empty, Late, Empty, Accept),
    (Empty, Better, Latched, Learn),
    (Empty, Unconfirmed, Watching, Watch),
    (Empty, Confirmed, Latched, Learn),
    (Empty, Stranger, Empty, Refuse),
    (Watching, Better, Latched, Learn),
    (Watching, Unconfirmed, Watching, Watch),
    (Watching, Confirmed, Latched, Learn),
    (Watching, Stranger, Watching, Refuse),
    (Latched, Same, Latched, Accept),
    (Latched, Proven, Latched, Learn),
    (Latched, Late, Latched, Accept),
    (Latched, Better, Latched, Learn),
    (Latched, Equal, Latched, Refuse),
    (Latched, Stranger, Latched, Refuse),
    (Held, Same, Held, Accept),
    (Held, Settled, Latched, Learn),
    (Held, Proven, Latched, Learn),
    (Held, Late, Held, Accept),
    (Held, Better, Latched, Learn),
    (Held, Equal, Latched, Learn),
    (Held, Unconfirmed, Held, Watch),
    (Held, Confirmed, Latched, Learn),
    (Held, Stranger, Held, Refuse),
];

#[test]
fn the_table_is_that_of_the_reference_engine_pair_by_pair() {
    for state in STATES {
        for claim in CLAIMS {
            let expected =
                TABLE.iter().find(|row| (row.0, row.1) == (state, claim)).map(|row| (row.2, row.3));
            assert_eq!(step(state, claim), expected, "{state:?} {claim:?}");
        }
    }
}

fn at(host: u8, port: u16) -> Endpoint {
    Endpoint::new([192, 0, 2, host].into(), port)
}

const PHONE: u8 = 10;
const SIGNALLING: u8 = 20;

fn announced() -> Announced {
    Announced {
        remote: Some(at(PHONE, 4000)),
        host: Some(at(PHONE, 0).host),
        signalling_host: Some(at(SIGNALLING, 0).host),
        learn_any: false,
        secure: false,
    }
}

fn behind_nat() -> Announced {
    Announced { learn_any: true, ..announced() }
}

fn rtp(sequence: u16) -> Evidence {
    Evidence { newest: true, sequence: Some(sequence), ssrc: 1, companion: None }
}

#[test]
fn each_better_rank_takes_over_at_once_and_no_worse_one_takes_back() {
    let mut latch = Latch::new(announced(), 0);
    let ranks = [
        (at(SIGNALLING, 1), LatchRank::SignallingHost),
        (at(PHONE, 1), LatchRank::SdpHost),
        (at(PHONE, 4000), LatchRank::SdpExact),
    ];
    for (source, rank) in ranks {
        assert_eq!(latch.observe(source, &rtp(1), 0), Learn);
        assert_eq!((latch.source, latch.rank), (Some(source), rank));
    }
    for (source, _) in &ranks[..2] {
        assert_eq!(latch.observe(*source, &rtp(2), 0), Refuse);
        assert_eq!(latch.refusal, Refusal::NoBetterProof);
    }
    assert_eq!(latch.observe(at(66, 1), &rtp(3), 0), Refuse);
    assert_eq!(latch.refusal, Refusal::NotAnnounced);
}

#[test]
fn an_unannounced_source_must_show_four_packets_in_sequence() {
    let mut latch = Latch::new(behind_nat(), 0);
    for sequence in [65534, 65535, 3] {
        assert_eq!(latch.observe(at(66, 1), &rtp(sequence), 0), Watch);
    }
    assert_eq!(latch.observe(at(66, 1), &rtp(4), 0), Learn);
    assert_eq!(latch.rank, LatchRank::Other);
    assert_eq!(latch.observe(at(67, 1), &rtp(5), 0), Refuse);
    assert_eq!(latch.refusal, Refusal::NoBetterProof);
}

#[test]
fn a_gap_or_another_ssrc_begins_again() {
    let mut latch = Latch::new(behind_nat(), 0);
    for sequence in [1, 2, 3, 20, 21, 22] {
        assert_eq!(latch.observe(at(66, 1), &rtp(sequence), 0), Watch, "{sequence}");
    }
    let other = Evidence { ssrc: 2, ..rtp(23) };
    assert_eq!(latch.observe(at(66, 1), &other, 0), Watch);
    assert_eq!(latch.observe(at(66, 1), &other, 0), Watch);
}

#[test]
fn one_candidate_at_a_time_until_it_is_idle() {
    let mut latch = Latch::new(behind_nat(), 0);
    for sequence in 1..4 {
        latch.observe(at(66, 1), &rtp(sequence), 0);
    }
    assert_eq!(latch.observe(at(67, 1), &rtp(4), CANDIDATE_IDLE - 1), Watch);
    assert_eq!(latch.observe(at(66, 1), &rtp(4), CANDIDATE_IDLE - 1), Learn);

    let mut latch = Latch::new(behind_nat(), 0);
    latch.observe(at(66, 1), &rtp(1), 0);
    for sequence in 1..4 {
        assert_eq!(latch.observe(at(67, 1), &rtp(sequence), CANDIDATE_IDLE), Watch);
    }
    assert_eq!(latch.observe(at(67, 1), &rtp(4), CANDIDATE_IDLE), Learn);
}

#[test]
fn the_window_for_unannounced_sources_closes() {
    let mut latch = Latch::new(behind_nat(), 0);
    assert_eq!(latch.observe(at(66, 1), &rtp(1), UNANNOUNCED_WINDOW), Watch);
    assert_eq!(latch.observe(at(66, 1), &rtp(2), UNANNOUNCED_WINDOW + 1), Refuse);
    assert_eq!(latch.refusal, Refusal::WindowClosed);
}

#[test]
fn rtcp_follows_an_unannounced_source_only_on_the_host_of_rtp() {
    let mut latch = Latch::new(behind_nat(), 0);
    let stranger = Evidence::of_rtcp(Some(at(66, 0).host));
    assert_eq!(latch.observe(at(67, 1), &stranger, 0), Refuse);
    assert_eq!(latch.observe(at(66, 1), &stranger, 0), Learn);
}

#[test]
fn nothing_is_learned_before_the_sdp_is_there() {
    let mut latch = Latch::new(Announced { learn_any: true, ..Announced::default() }, 0);
    assert_eq!(latch.observe(at(66, 1), &rtp(1), 0), Refuse);
}

#[test]
fn a_secure_latch_moves_with_newer_packets_only() {
    let mut latch = Latch::new(Announced { secure: true, ..announced() }, 0);
    let late = Evidence { newest: false, ..rtp(1) };
    assert_eq!(latch.observe(at(66, 1), &late, 0), Accept);
    assert_eq!(latch.source, None);
    assert_eq!(latch.observe(at(66, 1), &rtp(2), 0), Learn);
    assert_eq!(latch.observe(at(67, 1), &late, 0), Accept);
    assert_eq!(latch.source, Some(at(66, 1)));
    assert_eq!(latch.observe(at(67, 1), &rtp(3), 0), Learn);
}

#[test]
fn after_an_announced_change_an_equal_source_may_follow() {
    let mut latch = Latch::new(announced(), 0);
    latch.observe(at(PHONE, 1), &rtp(1), 0);
    let moved = Announced { remote: Some(at(PHONE, 5000)), ..announced() };
    latch.signal(moved, SECOND);
    assert_eq!(latch.state, Held);
    assert_eq!(latch.observe(at(PHONE, 1), &rtp(2), SECOND), Accept);
    assert_eq!(latch.observe(at(PHONE, 2), &rtp(3), SECOND), Learn);
    assert_eq!(latch.observe(at(PHONE, 1), &rtp(4), SECOND), Refuse);
}

#[test]
fn an_old_source_that_goes_on_is_latched_again() {
    let mut latch = Latch::new(announced(), 0);
    latch.observe(at(PHONE, 1), &rtp(1), 0);
    latch.signal(Announced { remote: Some(at(PHONE, 5000)), ..announced() }, SECOND);
    assert_eq!(latch.observe(at(PHONE, 1), &rtp(2), SECOND + SETTLE - 1), Accept);
    assert_eq!(latch.observe(at(PHONE, 1), &rtp(3), SECOND + SETTLE), Learn);
    assert_eq!(latch.state, Latched);
}

#[test]
fn a_held_source_keeps_its_rank_when_rtcp_of_it_settles_the_change() {
    let mut latch = Latch::new(behind_nat(), 0);
    let companion = Some(at(66, 0).host);
    assert_eq!(latch.observe(at(66, 1), &Evidence::of_rtcp(companion), 0), Learn);
    let remote = Some(at(PHONE, 5000));
    latch.signal(Announced { remote, ..behind_nat() }, SECOND);
    let alone = Evidence::of_rtcp(None);
    assert_eq!(latch.observe(at(66, 1), &alone, SECOND + SETTLE), Learn);
    assert_eq!((latch.state, latch.rank), (Latched, LatchRank::Other));
}

#[test]
fn signalling_that_takes_the_reason_away_shuts_the_source_out() {
    for after in [
        Announced { host: Some(at(99, 0).host), remote: Some(at(99, 1)), ..announced() },
        Announced { secure: true, ..announced() },
    ] {
        let mut latch = Latch::new(announced(), 0);
        latch.observe(at(PHONE, 4000), &rtp(1), 0);
        latch.signal(after, SECOND);
        assert_eq!((latch.state, latch.source), (Empty, None));
    }
}

#[test]
fn the_same_signalling_again_changes_nothing() {
    let mut latch = Latch::new(announced(), 0);
    latch.observe(at(PHONE, 4000), &rtp(1), 0);
    latch.signal(announced(), SECOND);
    assert_eq!(latch.state, Latched);
}
