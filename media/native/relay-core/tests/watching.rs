//! Silence, openers, key errors, loss and what RTCP tells.

mod kit;

use std::time::Duration;

use kit::*;
use relay_core::{DropReason, Event, SrtpSuite};

#[test]
fn silence_is_reported_once_and_so_is_its_end() {
    let mut watched = plan();
    watched.inactivity = Some(Duration::from_secs(10));
    watched.b.sending = false;
    let mut rig = Rig::new(&watched);
    assert_eq!(rig.after(9), []);
    let silent = Duration::from_secs(10);
    assert_eq!(rig.after(1), [Event::MediaTimeout { stream: CALL, side: A, silent }]);
    assert_eq!(rig.after(60), []);
    rig.a_says(&rtp(1));
    let events = rig.after(1);
    assert_eq!(events.last(), Some(&Event::MediaResumed { stream: CALL, side: A }));
    assert_eq!(rig.after(8), []);
    assert!(matches!(rig.after(1)[..], [Event::MediaTimeout { .. }]));
}

#[test]
fn dropped_packets_are_no_sign_of_life_and_rtcp_is() {
    let mut watched = plan();
    watched.inactivity = Some(Duration::from_secs(10));
    watched.b.sending = false;
    let mut rig = Rig::new(&watched);
    rig.now += 5 * SECOND;
    rig.send("198.51.100.10:4001", (A, RTCP), &rtcp());
    rig.now += 5 * SECOND;
    rig.send(STRANGER, (A, RTP), &rtp(1));
    rig.events();
    assert_eq!(rig.after(4), []);
    assert!(matches!(rig.after(1)[..], [Event::MediaTimeout { .. }]));
}

#[test]
fn pinholes_are_opened_and_kept_open() {
    let mut nat = plan();
    nat.pinholes = true;
    let mut rig = Rig::new(&nat);
    assert_eq!(
        rig.openers(),
        [
            (A, RTP, PHONE_A.to_owned()),
            (A, RTCP, "198.51.100.10:4001".to_owned()),
            (B, RTP, PHONE_B.to_owned()),
            (B, RTCP, "203.0.113.10:5001".to_owned()),
        ]
    );
    rig.update(&nat);
    assert_eq!(rig.openers(), []);
    rig.now += 10 * SECOND;
    rig.a_says(&rtp(1));
    rig.after(0);
    rig.now += 5 * SECOND;
    rig.after(0);
    assert_eq!(rig.openers(), [(A, RTP, PHONE_A.to_owned())]);
    rig.after(10);
    assert_eq!(rig.openers(), [(B, RTP, PHONE_B.to_owned())]);
}

#[test]
fn key_errors_are_reported_at_a_bounded_rate() {
    let mut secure = plan();
    secure.a.receive_keys = Some(keys(SrtpSuite::AeadAes128Gcm, 1));
    let mut rig = Rig::new(&secure);
    for sequence in 0..5 {
        assert_eq!(rig.a_says(&rtp(sequence)), Outcome::Dropped(DropReason::SrtpAuthentication));
    }
    assert_eq!(rig.after(1), [Event::KeyErrors { stream: CALL, side: A, count: 5 }]);
    rig.a_says(&rtp(6));
    assert_eq!(rig.after(9), []);
    assert_eq!(rig.after(1), [Event::KeyErrors { stream: CALL, side: A, count: 1 }]);
}

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
    assert!(counted.bursts.ratio > 4.0);
    let mos = counted.mos.expect("packets came");
    assert!((1.0..4.0).contains(&mos), "{mos}");
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

/// A sender report of A, and the receiver report by which B answers it.
fn reports(stamp: u32, delay: u32) -> (Vec<u8>, Vec<u8>) {
    let ntp = u64::from(stamp) << 16;
    let sender: Vec<u8> =
        [&[0x80, 200, 0, 6, 0, 0, 0x5E, 0xED][..], &ntp.to_be_bytes(), &[0; 12]].concat();
    let receiver = [
        &[0x81, 201, 0, 7, 0, 0, 0, 9][..],
        &0x5EED_u32.to_be_bytes(),
        &[64, 0xFF, 0xFF, 0xFE],
        &[0, 0, 1, 0],
        &77_u32.to_be_bytes(),
        &stamp.to_be_bytes(),
        &delay.to_be_bytes(),
    ]
    .concat();
    (sender, receiver)
}

#[test]
fn reports_tell_the_peers_view_and_the_round_trip() {
    let mut rig = Rig::new(&plan());
    let (sender, receiver) = reports(0xABCD_1234, 0x8000);
    assert!(matches!(rig.send("198.51.100.10:4001", (A, RTCP), &sender), Outcome::Sent { .. }));
    rig.now += SECOND / 2 + 30_000_000;
    assert!(matches!(rig.send("203.0.113.10:5001", (B, RTCP), &receiver), Outcome::Sent { .. }));
    let counted = rig.counters(B);
    let peer = counted.peer.expect("B reported");
    assert_eq!((peer.ssrc, peer.fraction_lost, peer.lost, peer.jitter_ticks), (0x5EED, 64, -2, 77));
    assert_eq!(counted.round_trip_ns, Some(30_000_000));
    assert_eq!(rig.counters(A).peer, None);
}
