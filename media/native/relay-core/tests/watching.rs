//! Silence, openers and key errors.

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
