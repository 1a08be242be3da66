//! The table, pair by pair, and what leads to each claim.

use super::*;
use Claim::{
    Candidate as Unconfirmed, Confirmed, Equal, Exact, Late, Proven, Same, Settled, Stranger,
};
use LatchState::{Empty, Held, Latched, Watching};
use LatchVerdict::{Accept, Learn, Refuse, Watch};

const STATES: [LatchState; 4] = [Empty, Watching, Latched, Held];
const CLAIMS: [Claim; 9] =
    [Same, Settled, Proven, Late, Exact, Equal, Unconfirmed, Confirmed, Stranger];

/// As `TABLE` of `media/latch.py` has it.
const TABLE: [(LatchState, Claim, LatchState, LatchVerdict); 26] = [
    (Empty, Proven, Latched, Learn),
    (Empty, Late, Empty, Accept),
    (Empty, Exact, Latched, Learn),
    (Empty, Unconfirmed, Watching, Watch),
    (Empty, Confirmed, Latched, Learn),
    (Empty, Stranger, Empty, Refuse),
    (Watching, Exact, Latched, Learn),
    (Watching, Unconfirmed, Watching, Watch),
    (Watching, Confirmed, Latched, Learn),
    (Watching, Stranger, Watching, Refuse),
    (Latched, Same, Latched, Accept),
    (Latched, Proven, Latched, Learn),
    (Latched, Late, Latched, Accept),
    (Latched, Exact, Latched, Learn),
    (Latched, Equal, Latched, Refuse),
    (Latched, Unconfirmed, Latched, Watch),
    (Latched, Confirmed, Latched, Learn),
    (Latched, Stranger, Latched, Refuse),
    (Held, Same, Held, Accept),
    (Held, Settled, Latched, Learn),
    (Held, Proven, Latched, Learn),
    (Held, Late, Held, Accept),
    (Held, Exact, Latched, Learn),
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
const OTHER: u8 = 66;
const PACKET: Moment = SECOND / 50;

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

/// New signalling that leaves every host where it was.
fn moved() -> Announced {
    Announced { remote: Some(at(PHONE, 5000)), ..behind_nat() }
}

fn rtp(sequence: u16) -> Evidence {
    Evidence { newest: true, sequence: Some(sequence), ssrc: 1, companion: None, silent: 0 }
}

fn rtcp(companion: Option<u8>) -> Evidence {
    Evidence::of_rtcp(companion.map(|host| at(host, 0).host), 0)
}

/// The verdicts on a whole stream of packets, as many as an unlearned source must show.
fn show(latch: &mut Latch, source: Endpoint, now: Moment, silent: Moment) -> Vec<LatchVerdict> {
    let mut verdicts = Vec::new();
    for number in 0..UNANNOUNCED_PACKETS {
        let evidence = Evidence { silent, ..rtp(number.into()) };
        verdicts.push(latch.observe(source, &evidence, now + Moment::from(number) * PACKET));
        if verdicts.last() == Some(&Learn) {
            break;
        }
    }
    verdicts
}

/// What `show` returns of a source that is learned with the packet of that number.
fn learned_after(packets: u8) -> Vec<LatchVerdict> {
    let mut verdicts = vec![Watch; usize::from(packets) - 1];
    verdicts.push(Learn);
    verdicts
}

fn refused() -> Vec<LatchVerdict> {
    vec![Refuse; UNANNOUNCED_PACKETS.into()]
}

/// A latch that has learned a source before the time 0.
fn latch_on(announced: Announced, source: Endpoint) -> Latch {
    let mut latch = Latch::new(announced, -SECOND);
    assert_eq!(show(&mut latch, source, -SECOND, 0).last(), Some(&Learn));
    latch
}

#[test]
fn only_the_announced_address_is_learned_with_its_first_packet() {
    for (source, rank, packets) in [
        (at(PHONE, 4000), LatchRank::SdpExact, 1),
        (at(PHONE, 4444), LatchRank::SdpHost, CONFIRM_PACKETS),
        (at(SIGNALLING, 1), LatchRank::SignallingHost, CONFIRM_PACKETS),
        (at(OTHER, 1), LatchRank::Other, UNANNOUNCED_PACKETS),
    ] {
        let mut latch = Latch::new(behind_nat(), 0);
        assert_eq!(show(&mut latch, source, 0, 0), learned_after(packets));
        assert_eq!((latch.state, latch.source, latch.rank), (Latched, Some(source), rank));
    }
}

#[test]
fn a_better_rank_takes_over_and_a_worse_one_never_does() {
    let ranks = [at(OTHER, 1), at(SIGNALLING, 1), at(PHONE, 1), at(PHONE, 4000)];
    for (place, worse) in ranks.iter().enumerate() {
        for better in &ranks[place + 1..] {
            let mut latch = latch_on(behind_nat(), *worse);
            assert_eq!(show(&mut latch, *better, 0, 0).last(), Some(&Learn));
            assert_eq!(show(&mut latch, *worse, SECOND, 100 * SECOND), refused());
            assert_eq!((latch.source, latch.refusal), (Some(*better), Refusal::NoBetterProof));
        }
    }
}

#[test]
fn a_gap_or_another_ssrc_begins_again() {
    for source in [at(PHONE, 1), at(SIGNALLING, 1), at(OTHER, 1)] {
        let mut latch = Latch::new(behind_nat(), 0);
        for (number, sequence) in [1, 2, 19, 20, 40, 40, 41].into_iter().enumerate() {
            let now = PACKET * Moment::try_from(number).unwrap_or(0);
            assert_eq!(latch.observe(source, &rtp(sequence), now), Watch, "{sequence}");
        }
        for ssrc in 2..60 {
            let other = Evidence { ssrc, ..rtp(42) };
            assert_eq!(latch.observe(source, &other, 0), Watch);
        }
    }
}

#[test]
fn a_stream_confirms_itself_over_a_wrap_and_some_loss() {
    let mut latch = Latch::new(announced(), 0);
    let verdicts = [65533, 65535, 4].map(|n| latch.observe(at(SIGNALLING, 1), &rtp(n), 0));
    assert_eq!(verdicts, [Watch, Watch, Learn]);
}

#[test]
fn a_burst_is_no_stream_and_neither_are_many() {
    let mut latch = Latch::new(behind_nat(), 0);
    for burst in 0..5 {
        for number in 0..200 {
            let now = Moment::from(burst) * PAUSE;
            assert_eq!(latch.observe(at(OTHER, 1), &rtp(burst * 200 + number), now), Watch);
        }
    }
}

#[test]
fn two_unannounced_sources_that_talk_at_once_are_neither_learned() {
    let mut latch = Latch::new(behind_nat(), 0);
    for number in 0..100 {
        let host = if number % 25 == 1 { OTHER + 1 } else { OTHER };
        let now = Moment::from(number) * PACKET;
        assert_eq!(latch.observe(at(host, 1), &rtp(number), now), Watch);
    }
}

#[test]
fn a_better_candidate_is_displaced_by_a_worse_one_only_when_it_pauses() {
    let (better, worse) = (at(SIGNALLING, 1), at(OTHER, 1));
    let mut latch = Latch::new(behind_nat(), 0);
    for number in 0..2 {
        assert_eq!(latch.observe(better, &rtp(number), 0), Watch);
        assert_eq!(latch.observe(worse, &rtp(number), PAUSE - 1), Watch);
    }
    assert_eq!(latch.observe(better, &rtp(2), PAUSE - 1), Learn);
    let mut latch = Latch::new(behind_nat(), 0);
    latch.observe(better, &rtp(0), 0);
    assert_eq!(show(&mut latch, worse, PAUSE, 0), learned_after(UNANNOUNCED_PACKETS));
}

#[test]
fn equal_proof_takes_over_from_a_source_that_fell_silent_and_from_no_other() {
    for (host, packets) in [(SIGNALLING, CONFIRM_PACKETS), (OTHER, UNANNOUNCED_PACKETS)] {
        let mut latch = latch_on(behind_nat(), at(host, 1));
        assert_eq!(show(&mut latch, at(host, 2), 0, SILENT - 1), refused());
        assert_eq!(latch.refusal, Refusal::NoBetterProof);
        assert_eq!(show(&mut latch, at(host, 2), SECOND, SILENT), learned_after(packets));
    }
}

#[test]
fn the_window_for_unannounced_sources_closes_and_signalling_opens_it() {
    let mut latch = Latch::new(behind_nat(), 0);
    let late = UNANNOUNCED_WINDOW + 1;
    assert_eq!(show(&mut latch, at(OTHER, 1), late, 0), refused());
    assert_eq!(latch.refusal, Refusal::WindowClosed);
    latch.signal(behind_nat(), late);
    assert_eq!(show(&mut latch, at(OTHER, 1), late, 0).last(), Some(&Learn));
    assert_eq!(show(&mut latch, at(OTHER + 1, 1), 3 * late, SILENT), refused());
    assert_eq!(latch.refusal, Refusal::WindowClosed);
    let mut latch = Latch::new(announced(), 0);
    assert_eq!(show(&mut latch, at(PHONE, 1), 10 * late, 0).last(), Some(&Learn));
}

#[test]
fn rtcp_is_learned_where_rtp_vouches_for_its_host_or_the_sdp_names_it() {
    for host in [OTHER, SIGNALLING, PHONE] {
        let mut latch = Latch::new(behind_nat(), 0);
        let unvouched = if host == OTHER { Refuse } else { Watch };
        assert_eq!(latch.observe(at(host, 1), &rtcp(None), 0), unvouched);
        assert_eq!(latch.observe(at(host, 1), &rtcp(Some(99)), 0), unvouched);
        assert_eq!(latch.observe(at(host, 1), &rtcp(Some(host)), 0), Learn);
    }
    let mut latch = Latch::new(announced(), 0);
    assert_eq!(latch.observe(at(PHONE, 4000), &rtcp(None), 0), Learn);
}

#[test]
fn equal_rtcp_takes_over_when_the_one_in_use_missed_its_reports() {
    let mut latch = Latch::new(announced(), 0);
    latch.observe(at(SIGNALLING, 1), &rtcp(Some(SIGNALLING)), 0);
    for (silent, verdict) in [(RTCP_SILENT - 1, Refuse), (RTCP_SILENT, Learn)] {
        let evidence = Evidence { silent, ..rtcp(Some(SIGNALLING)) };
        assert_eq!(latch.observe(at(SIGNALLING, 2), &evidence, 0), verdict);
    }
}

#[test]
fn nothing_is_learned_before_the_sdp_is_there() {
    let nothing = Announced { learn_any: true, ..Announced::default() };
    let mut latch = Latch::new(nothing, 0);
    assert_eq!(show(&mut latch, at(OTHER, 1), 0, 0), refused());
    assert_eq!(latch.refusal, Refusal::NotAnnounced);
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
fn after_an_announced_change_an_equal_source_may_follow_at_once() {
    for host in [SIGNALLING, OTHER] {
        let mut latch = latch_on(behind_nat(), at(host, 1));
        assert_eq!(show(&mut latch, at(host, 2), 0, 0), refused());
        latch.signal(moved(), SECOND);
        assert_eq!(latch.state, Held);
        assert_eq!(latch.observe(at(host, 1), &rtp(2), SECOND), Accept);
        assert_eq!(show(&mut latch, at(host, 2), SECOND, 0).last(), Some(&Learn));
        assert_eq!(latch.observe(at(host, 1), &rtp(4), SECOND), Refuse);
    }
}

#[test]
fn a_held_source_is_not_taken_over_by_a_worse_one() {
    let mut latch = latch_on(behind_nat(), at(SIGNALLING, 1));
    latch.signal(moved(), 0);
    assert_eq!(show(&mut latch, at(OTHER, 1), 0, 0), refused());
}

#[test]
fn an_old_source_that_goes_on_is_latched_again() {
    let mut latch = latch_on(behind_nat(), at(PHONE, 1));
    latch.signal(moved(), SECOND);
    assert_eq!(latch.observe(at(PHONE, 1), &rtp(2), SECOND + SETTLE - 1), Accept);
    assert_eq!(latch.observe(at(PHONE, 1), &rtp(3), SECOND + SETTLE), Learn);
    assert_eq!(latch.state, Latched);
}

#[test]
fn a_held_source_keeps_its_rank_when_rtcp_of_it_settles_the_change() {
    let mut latch = Latch::new(behind_nat(), 0);
    assert_eq!(latch.observe(at(OTHER, 1), &rtcp(Some(OTHER)), 0), Learn);
    latch.signal(moved(), SECOND);
    assert_eq!(latch.observe(at(OTHER, 1), &rtcp(None), SECOND + SETTLE), Learn);
    assert_eq!((latch.state, latch.rank), (Latched, LatchRank::Other));
}

#[test]
fn signalling_that_takes_the_reason_away_shuts_the_source_out() {
    let elsewhere =
        Announced { host: Some(at(99, 0).host), remote: Some(at(99, 1)), ..announced() };
    let secure = Announced { secure: true, ..announced() };
    let party = Announced { signalling_host: Some(at(99, 0).host), ..behind_nat() };
    for (source, before, after) in [
        (at(PHONE, 4000), announced(), elsewhere),
        (at(PHONE, 4000), announced(), secure),
        (at(OTHER, 1), behind_nat(), announced()),
        (at(OTHER, 1), behind_nat(), party),
    ] {
        let mut latch = latch_on(before, source);
        latch.signal(after, SECOND);
        assert_eq!((latch.state, latch.source), (Empty, None));
    }
}

#[test]
fn the_same_signalling_again_changes_nothing() {
    let mut latch = latch_on(announced(), at(PHONE, 1));
    latch.signal(announced(), SECOND);
    assert_eq!((latch.state, latch.source), (Latched, Some(at(PHONE, 1))));
}
