//! Loss, jitter, what speech sounds like, and what RTCP tells.

mod kit;

use kit::*;
use relay_core::{PeerView, SpeechQuality};

#[test]
fn loss_is_counted_in_all_by_the_second_and_by_the_run() {
    let mut rig = Rig::new(&plan());
    for sequence in (0..50).filter(|sequence| !(10..15).contains(sequence)) {
        rig.a_says(&rtp(sequence));
    }
    rig.after(1);
    let counted = rig.counters(A);
    assert_eq!((counted.lost, counted.interval.expected, counted.interval.lost), (5, 50, 5));
    assert_eq!((counted.bursts.runs, counted.bursts.longest), (1, 5));
    // One run of five: 1 / (1/45 + 1/5).
    assert!((counted.bursts.ratio - 4.5).abs() < 1e-9);
    for sequence in 50..100 {
        rig.a_says(&rtp(sequence));
    }
    rig.after(1);
    let counted = rig.counters(A);
    assert_eq!((counted.interval.expected, counted.interval.lost), (50, 0));
    assert_eq!(counted.interval.worst_permille, 100);
}

#[test]
fn packets_that_come_late_are_not_lost() {
    let mut rig = Rig::new(&plan());
    for sequence in [1, 2, 5, 4, 3, 6] {
        rig.a_says(&rtp(sequence));
    }
    let counted = rig.counters(A);
    assert_eq!((counted.lost, counted.bursts.runs), (0, 0));
}

#[test]
fn jitter_is_smoothed_as_in_appendix_a_8() {
    let mut rig = Rig::new(&plan());
    for sequence in 0..100 {
        rig.a_says(&rtp(sequence));
        rig.now += 20_000_000;
    }
    assert!(rig.counters(A).jitter_ticks < 1e-3);
    // One packet 10 ms late: 80 ticks, a sixteenth of which counts.
    rig.now += 10_000_000;
    rig.a_says(&rtp(100));
    assert!((rig.counters(A).jitter_ticks - 5.0).abs() < 1e-3);
}

#[test]
fn jitter_does_not_jump_where_timestamps_wrap() {
    let mut rig = Rig::new(&plan());
    for sequence in 0..10_u16 {
        let timestamp = 0xFFFF_FF00_u32.wrapping_add(u32::from(sequence) * 160);
        rig.a_says(&rtp_at(sequence, timestamp, 1));
        rig.now += 20_000_000;
    }
    assert!(rig.counters(A).jitter_ticks < 1e-3);
}

#[test]
fn a_sender_that_begins_its_clock_anew_is_no_jitter() {
    let mut rig = Rig::new(&plan());
    for sequence in 0..10_u16 {
        let timestamp = u32::from(sequence) * 160 + u32::from(sequence / 5) * 3_000_000_000;
        rig.a_says(&rtp_at(sequence, timestamp, 1));
        rig.now += 20_000_000;
    }
    assert!(rig.counters(A).jitter_ticks < 1e-3);
}

#[test]
fn a_pause_in_speech_is_no_bad_second() {
    let mut rig = Rig::new(&plan());
    for sequence in [1, 3] {
        rig.a_says(&rtp(sequence));
    }
    rig.after(1);
    let counted = rig.counters(A);
    assert_eq!((counted.interval.expected, counted.interval.lost), (3, 1));
    assert_eq!(counted.interval.worst_permille, 0);
}

/// Speech of A, of which each window loses what it is told to.
struct Talk {
    rig: Rig,
    sequence: u16,
    payload_type: u8,
}

impl Talk {
    fn new() -> Self {
        Self { rig: Rig::new(&plan()), sequence: 0, payload_type: 0 }
    }

    /// Ten seconds of 50 packets, without those whose number in the window is lost.
    fn window(&mut self, lost: impl Fn(u16) -> bool) {
        for number in 0..500 {
            if !lost(number) {
                let mut packet = rtp(self.sequence);
                packet[1] = self.payload_type;
                self.rig.a_says(&packet);
            }
            self.sequence = self.sequence.wrapping_add(1);
            self.rig.now += SECOND / 50;
            if number % 50 == 49 {
                self.rig.after(0);
            }
        }
    }

    fn speech(&self) -> SpeechQuality {
        self.rig.counters(A).speech.expect("enough packets")
    }
}

fn all(_: u16) -> bool {
    true
}

fn none(_: u16) -> bool {
    false
}

#[test]
fn a_clean_call_sounds_as_well_as_it_can() {
    let mut talk = Talk::new();
    talk.window(none);
    let speech = talk.speech();
    assert!((speech.last - 4.41).abs() < 0.005, "{speech:?}");
    assert_eq!((speech.windows, speech.codec), (1, Some(0)));
    assert!((speech.mean - speech.worst).abs() < f64::EPSILON);
}

#[test]
fn a_call_recovers_after_a_bad_minute_and_does_not_forget_it() {
    let mut talk = Talk::new();
    talk.window(none);
    let clean = talk.speech();
    for _ in 0..6 {
        talk.window(|number| number % 5 == 0 && number > 0);
    }
    let bad = talk.speech();
    // 99 of 500 lost one by one: Ie-eff = 95 · 19.8 / (19.8 + 25.1) = 41.9.
    assert!((bad.last - 2.65).abs() < 0.02, "{bad:?}");
    for _ in 0..6 {
        talk.window(none);
    }
    let after = talk.speech();
    assert!((after.last - clean.last).abs() < f64::EPSILON);
    assert!((after.worst - bad.worst).abs() < f64::EPSILON);
    let mean = (7.0 * clean.last + 6.0 * bad.last) / 13.0;
    assert!((after.mean - mean).abs() < 0.01, "{after:?}");
    assert_eq!(after.windows, 13);
}

#[test]
fn as_many_packets_lost_at_once_sound_worse_than_lost_by_chance() {
    let (mut singly, mut at_once) = (Talk::new(), Talk::new());
    singly.window(|number| number % 10 == 5);
    at_once.window(|number| (200..250).contains(&number));
    assert_eq!(singly.rig.counters(A).lost, at_once.rig.counters(A).lost);
    assert!(at_once.speech().last < singly.speech().last - 0.1);
}

#[test]
fn a_pause_makes_a_window_longer_and_not_worse() {
    let mut talk = Talk::new();
    talk.window(none);
    let clean = talk.speech();
    // Comfort noise: two packets in ten seconds, of which one is lost.
    for sequence in [500, 502] {
        talk.rig.a_says(&rtp(sequence));
        talk.rig.after(5);
    }
    assert_eq!(talk.speech(), clean);
}

#[test]
fn a_short_call_is_rated_by_what_there_was() {
    let mut talk = Talk::new();
    for sequence in 0..100 {
        assert_eq!(talk.rig.counters(A).speech, None);
        talk.rig.a_says(&rtp(sequence));
        talk.rig.now += SECOND / 50;
    }
    assert_eq!((talk.speech().windows, talk.speech().codec), (1, Some(0)));
}

#[test]
fn a_codec_counts_by_its_payload_type_and_keys_pressed_are_no_codec() {
    let mut talk = Talk { payload_type: 18, ..Talk::new() };
    talk.window(none);
    let g729 = talk.speech();
    assert!((g729.last - 4.10).abs() < 0.02, "{g729:?}");
    let mut packet = rtp(talk.sequence);
    packet[1] = 101;
    talk.sequence += 1;
    talk.rig.a_says(&packet);
    talk.rig.after(1);
    talk.window(none);
    assert_eq!(talk.speech().codec, Some(18));
    assert!((talk.speech().worst - g729.last).abs() < f64::EPSILON);
}

#[test]
fn a_codec_without_figures_is_said_to_be_none_that_is_known() {
    let mut talk = Talk { payload_type: 111, ..Talk::new() };
    talk.window(none);
    assert_eq!(talk.speech().codec, None);
}

#[test]
fn what_is_no_speech_is_not_rated() {
    let mut video = plan();
    video.speech = false;
    let mut talk = Talk { rig: Rig::new(&video), ..Talk::new() };
    talk.window(none);
    let counted = talk.rig.counters(A);
    assert_eq!((counted.packets, counted.speech), (500, None));
}

#[test]
fn silence_is_not_rated() {
    let mut talk = Talk::new();
    talk.window(all);
    assert_eq!(talk.rig.counters(A).speech, None);
}

#[test]
fn delay_counts_from_phone_to_phone() {
    let mut talk = Talk::new();
    let far = u64::from(0x6400_u16) * SECOND / 0x1_0000; // 390.6 ms to each leg and back
    talk.rig.send(A_RTCP, (A, RTCP), &sender_report(1));
    talk.rig.send(B_RTCP, (B, RTCP), &sender_report(2));
    talk.rig.now += far;
    talk.rig.send(A_RTCP, (A, RTCP), &receiver_report(0, 2, 0));
    talk.rig.send(B_RTCP, (B, RTCP), &receiver_report(0, 1, 0));
    talk.window(none);
    // 390.6 ms one way: Idd is 23.4, so R is 69.8.
    assert!((talk.speech().last - 3.59).abs() < 0.01, "{:?}", talk.speech());
}

const A_RTCP: &str = "198.51.100.10:4001";
const B_RTCP: &str = "203.0.113.10:5001";

/// A sender report whose NTP timestamp has this middle.
fn sender_report(stamp: u32) -> Vec<u8> {
    let ntp = u64::from(stamp) << 16;
    [&[0x80, 200, 0, 6, 0, 0, 0x5E, 0xED][..], &ntp.to_be_bytes(), &[0; 12]].concat()
}

/// A receiver report about one source: a quarter lost of late, two packets too many in all.
fn receiver_report(ssrc: u32, stamp: u32, delay: u32) -> Vec<u8> {
    [
        &[0x81, 201, 0, 7, 0, 0, 0, 9][..],
        &ssrc.to_be_bytes(),
        &[64, 0xFF, 0xFF, 0xFE],
        &[0, 0, 1, 0],
        &77_u32.to_be_bytes(),
        &stamp.to_be_bytes(),
        &delay.to_be_bytes(),
    ]
    .concat()
}

const VIEW: PeerView = PeerView { ssrc: 0x5EED, fraction_lost: 64, lost: -2, jitter_ticks: 77 };

/// A has spoken and sent a report with this stamp, a while ago; B answers.
fn answered(stamp: u32, while_ago: u64, answer: &[u8]) -> Rig {
    let mut rig = Rig::new(&plan());
    rig.a_says(&rtp(1));
    rig.send(A_RTCP, (A, RTCP), &sender_report(stamp));
    rig.now += while_ago;
    assert!(matches!(rig.send(B_RTCP, (B, RTCP), answer), Outcome::Sent { .. }));
    rig
}

#[test]
fn reports_tell_the_peers_view_and_the_round_trip() {
    let report = receiver_report(0x5EED, 0xABCD_1234, 0x8000);
    let rig = answered(0xABCD_1234, SECOND / 2 + 30_000_000, &report);
    assert_eq!(rig.counters(B).peer, Some(VIEW));
    assert_eq!(rig.counters(B).round_trip_ns, Some(30_000_000));
    assert_eq!((rig.counters(A).peer, rig.counters(A).round_trip_ns), (None, None));
}

#[test]
fn the_round_trip_of_figure_2_of_rfc_3550_is_6_125_seconds() {
    // Sent at b705:2000 and heard again at b710:8000, after the leg had held it for 5:4000.
    let elapsed = ((0xB710_8000_u64 - 0xB705_2000) * SECOND) >> 16;
    let report = receiver_report(0x5EED, 0xB705_2000, 0x0005_4000);
    let rig = answered(0xB705_2000, elapsed, &report);
    assert_eq!(rig.counters(B).round_trip_ns, Some(6_125_000_000));
}

#[test]
fn a_report_about_nothing_that_was_sent_has_no_round_trip() {
    for (stamp, delay, elapsed) in [
        (0, 0, SECOND),           // no report received yet
        (8, 0, SECOND),           // one that never went out
        (7, 0x0002_0000, SECOND), // held for longer than it has been away
        (7, u32::MAX, SECOND),
        (7, 0, 61 * SECOND),
    ] {
        let rig = answered(7, elapsed, &receiver_report(0x5EED, stamp, delay));
        assert_eq!(rig.counters(B).round_trip_ns, None, "{stamp} {delay} {elapsed}");
        assert_eq!(rig.counters(B).peer, Some(VIEW));
    }
}

#[test]
fn a_clock_that_runs_a_little_fast_is_no_mistake() {
    let rig = answered(7, SECOND - SECOND / 200, &receiver_report(0x5EED, 7, 0x0001_0000));
    assert_eq!(rig.counters(B).round_trip_ns, Some(0));
}

#[test]
fn a_report_about_another_source_is_no_view_of_ours() {
    let rig = answered(7, SECOND, &receiver_report(0xBAD, 7, 0));
    assert_eq!(rig.counters(B).peer, None);
}

#[test]
fn blocks_behind_a_sender_report_count_and_those_that_are_not_there_do_not() {
    let block = receiver_report(0x5EED, 7, 0)[8..].to_vec();
    let mut with_block = [sender_report(9), block.clone()].concat();
    with_block[0] = 0x81;
    with_block[3] = 12;
    assert_eq!(answered(7, SECOND, &with_block).counters(B).peer, Some(VIEW));
    let mut too_many = with_block.clone();
    too_many[0] = 0x9F;
    assert_eq!(answered(7, SECOND, &too_many).counters(B).peer, Some(VIEW));
    let mut too_few = with_block;
    too_few[0] = 0x80;
    assert_eq!(answered(7, SECOND, &too_few).counters(B).peer, None);
    let mut half = receiver_report(0x5EED, 7, 0);
    half.truncate(20);
    half[3] = 4;
    assert_eq!(answered(7, SECOND, &half).counters(B).peer, None);
}

#[test]
fn a_sender_report_that_is_cut_short_is_none() {
    let mut rig = Rig::new(&plan());
    let mut cut = sender_report(7);
    cut.truncate(16);
    cut[3] = 3;
    rig.send(A_RTCP, (A, RTCP), &cut);
    rig.send(B_RTCP, (B, RTCP), &receiver_report(0x5EED, 7, 0));
    assert_eq!(rig.counters(B).round_trip_ns, None);
}
