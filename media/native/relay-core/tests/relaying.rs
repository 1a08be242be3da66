//! What goes where, and what is dropped for which reason.

mod kit;

use kit::*;
use relay_core::{DropReason, Event, PacketKind, PlanError, Relay, SidePlan, SrtpSuite, StreamKey};

#[test]
fn a_relay_may_move_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Relay>();
}

#[test]
fn rtp_leaves_from_the_port_that_was_signalled() {
    let mut rig = Rig::new(&plan());
    let packet = rtp(1);
    assert_eq!(rig.a_says(&packet), sent((B, RTP), PHONE_B, &packet));
    assert_eq!(rig.b_says(&packet), sent((A, RTP), PHONE_A, &packet));
    assert_eq!((rig.counters(A).packets, rig.counters(A).sent_packets), (1, 1));
    assert_eq!(rig.counters(A).octets, packet.len() as u64);
}

#[test]
fn rtcp_has_its_own_port_unless_it_is_muxed_each_side_for_itself() {
    let mut muxed = plan();
    muxed.a.rtcp_mux = true;
    let mut rig = Rig::new(&muxed);
    let packet = rtcp();
    assert_eq!(rig.a_says(&packet), sent((B, RTCP), "203.0.113.10:5001", &packet));
    assert_eq!(rig.send("203.0.113.10:5001", (B, RTCP), &packet), sent((A, RTP), PHONE_A, &packet));
    let unexpected = Outcome::Dropped(DropReason::UnexpectedProtocol);
    assert_eq!(rig.b_says(&packet), unexpected);
    assert_eq!(rig.send(PHONE_A, (A, RTCP), &packet), unexpected);
    assert_eq!(rig.send(PHONE_B, (B, RTCP), &rtp(1)), unexpected);
}

#[test]
fn rtcp_of_another_port_is_learned_beside_rtp_and_never_in_its_place() {
    let (source, other) = ("198.51.100.10:4444", "198.51.100.10:4446");
    for muxed in [false, true] {
        let mut either = plan();
        either.a.rtcp_mux = muxed;
        let mut rig = Rig::new(&either);
        for sequence in [1, 2] {
            let watched = Outcome::Dropped(DropReason::UnknownSource);
            assert_eq!(rig.send(source, (A, RTP), &rtp(sequence)), watched);
        }
        assert_eq!(rig.send(source, (A, RTP), &rtp(3)), sent((B, RTP), PHONE_B, &rtp(3)));
        rig.now += 60 * SECOND;
        let component = if muxed { RTP } else { RTCP };
        let passes = matches!(rig.send(other, (A, component), &rtcp()), Outcome::Sent { .. });
        assert_eq!(passes, !muxed);
        assert_eq!(rig.b_says(&rtp(1)), sent((A, RTP), source, &rtp(1)));
    }
}

#[test]
fn junk_handshakes_and_long_datagrams_have_their_own_reasons() {
    let mut rig = Rig::new(&plan());
    for (data, reason) in [
        (vec![], DropReason::NotRtp),
        (vec![0x80], DropReason::NotRtp),
        (vec![0x80, 0, 1], DropReason::NotRtp),
        (vec![255; 40], DropReason::NotRtp),
        (vec![0x8F; 13], DropReason::NotRtp),
        (vec![0, 1, 0, 0], DropReason::UnexpectedProtocol),
        (vec![22, 254, 253], DropReason::UnexpectedProtocol),
        ([rtp(1), vec![0; 2040]].concat(), DropReason::TooLong),
    ] {
        assert_eq!(rig.a_says(&data), Outcome::Dropped(reason), "{data:?}");
    }
    assert_eq!(rig.counters(A).drops.iter().sum::<u64>(), 8);
    assert_eq!(rig.counters(A).dropped(DropReason::NotRtp), 5);
}

#[test]
fn a_leg_on_hold_gets_rtcp_and_no_rtp() {
    let mut held = plan();
    held.b.receiving = false;
    let mut rig = Rig::new(&held);
    assert_eq!(rig.a_says(&rtp(1)), Outcome::Dropped(DropReason::NotWanted));
    assert!(matches!(rig.send("198.51.100.10:4001", (A, RTCP), &rtcp()), Outcome::Sent { .. }));
}

#[test]
fn a_leg_that_has_said_nothing_gets_nothing_and_is_not_heard() {
    let mut early = plan();
    early.b.remote = None;
    let mut rig = Rig::new(&early);
    assert_eq!(rig.a_says(&rtp(1)), Outcome::Dropped(DropReason::NoDestination));
    assert_eq!(rig.b_says(&rtp(1)), Outcome::Dropped(DropReason::UnknownSource));
    assert_eq!(rig.counters(A).packets, 1);
}

#[test]
fn the_bit_rate_is_policed_for_admitted_packets_only() {
    let mut narrow = plan();
    narrow.a.max_kbps = Some(8);
    let mut rig = Rig::new(&narrow);
    for sequence in 0..1000 {
        assert_eq!(
            rig.send(STRANGER, (A, RTP), &rtp(sequence)),
            Outcome::Dropped(DropReason::UnknownSource)
        );
    }
    // 6000 bytes at once, at 17 bytes each.
    for sequence in 0..352 {
        assert!(matches!(rig.a_says(&rtp(sequence)), Outcome::Sent { .. }));
    }
    assert_eq!(rig.a_says(&rtp(352)), Outcome::Dropped(DropReason::OverRate));
    rig.now += SECOND / 50;
    assert!(matches!(rig.a_says(&rtp(353)), Outcome::Sent { .. }));
}

#[test]
fn what_the_system_did_not_take_was_not_sent() {
    let mut rig = Rig::new(&plan());
    rig.a_says(&rtp(1));
    assert_eq!(rig.kind, PacketKind::Rtp);
    rig.relay.send_failed(CALL.port(B, RTP), PacketKind::Rtp);
    assert_eq!(rig.counters(B).sent_packets, 0);
    assert_eq!(rig.counters(A).dropped(DropReason::SendFailed), 1);
}

#[test]
fn srtp_is_opened_under_one_key_and_protected_under_another() {
    for suite in SrtpSuite::ALL {
        let mut secure = plan();
        secure.a.receive_keys = Some(keys(suite, 1));
        secure.b.send_keys = Some(keys(suite, 2));
        let mut rig = Rig::new(&secure);
        // A phone is a relay the other way round.
        let mut phone_plan = plan();
        phone_plan.b.send_keys = Some(keys(suite, 1));
        let mut phone = Rig::new(&phone_plan);
        let mut listener_plan = plan();
        listener_plan.a.receive_keys = Some(keys(suite, 2));
        let mut listener = Rig::new(&listener_plan);
        for sequence in [1, 2, 4, 3] {
            let Outcome::Sent { data: protected, .. } = phone.a_says(&rtp(sequence)) else {
                panic!("the phone sends");
            };
            let Outcome::Sent { data, .. } = rig.a_says(&protected) else {
                panic!("the relay relays");
            };
            assert_ne!(data, protected);
            assert_eq!(listener.a_says(&data), sent((B, RTP), PHONE_B, &rtp(sequence)));
            assert_eq!(rig.a_says(&protected), Outcome::Dropped(DropReason::SrtpReplay));
        }
        assert_eq!(rig.a_says(&rtp(9)), Outcome::Dropped(DropReason::SrtpAuthentication));
    }
}

#[test]
fn after_a_change_of_key_the_old_one_opens_for_two_seconds() {
    let suite = SrtpSuite::AeadAes128Gcm;
    let with = |seed| {
        let mut secure = plan();
        secure.a.receive_keys = Some(keys(suite, seed));
        secure
    };
    let phone = |seed| {
        let mut out = plan();
        out.b.send_keys = Some(keys(suite, seed));
        Rig::new(&out)
    };
    let (mut before, mut after) = (phone(1), phone(2));
    let say = |phone: &mut Rig, rig: &mut Rig, sequence| {
        let Outcome::Sent { data, .. } = phone.a_says(&rtp(sequence)) else {
            panic!("the phone sends");
        };
        rig.a_says(&data)
    };
    let mut rig = Rig::new(&with(1));
    assert!(matches!(say(&mut before, &mut rig, 1), Outcome::Sent { .. }));
    rig.update(&with(2));
    assert!(matches!(say(&mut after, &mut rig, 3), Outcome::Sent { .. }));
    assert!(matches!(say(&mut before, &mut rig, 2), Outcome::Sent { .. }));
    rig.now += 2 * SECOND + 1;
    let failed = Outcome::Dropped(DropReason::SrtpAuthentication);
    assert_eq!(say(&mut before, &mut rig, 4), failed);
    assert!(matches!(say(&mut after, &mut rig, 5), Outcome::Sent { .. }));
}

#[test]
fn handshakes_are_handed_up_where_they_are_wanted_and_not_without_end() {
    let mut ice = plan();
    ice.a.handshakes = true;
    let mut rig = Rig::new(&ice);
    let stun = [0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
    for _ in 0..50 {
        assert_eq!(rig.send(STRANGER, (A, RTP), &stun), Outcome::HandedUp);
    }
    assert_eq!(rig.send(STRANGER, (A, RTP), &stun), Outcome::Dropped(DropReason::OverRate));
    assert_eq!(rig.a_says(&[22, 254, 253]), Outcome::HandedUp);
    assert_eq!(rig.b_says(&stun), Outcome::Dropped(DropReason::UnexpectedProtocol));
    let events = rig.events();
    assert_eq!(events.len(), 51);
    assert!(events.iter().all(|event| matches!(event, Event::Handshake { .. })));
    rig.now += SECOND;
    assert_eq!(rig.send(STRANGER, (A, RTP), &stun), Outcome::HandedUp);
}

#[test]
fn handshakes_that_nobody_has_seen_to_leave_no_room_for_more() {
    let mut ice = plan();
    ice.a.handshakes = true;
    let mut rig = Rig::new(&ice);
    for (waiting, outcome) in [
        (2500, Outcome::Dropped(DropReason::OverRate)),
        (2499, Outcome::HandedUp),
        (2499, Outcome::Dropped(DropReason::OverRate)),
    ] {
        rig.relay.note_waiting_handshakes(waiting);
        assert_eq!(rig.a_says(&[0, 1, 0, 0]), outcome, "a quarter of the queue");
    }
}

#[test]
fn two_calls_may_be_joined_through_us_but_not_in_a_ring() {
    // Call one: phone A, and B is call two's A port. Call two: its B is phone B.
    let one = {
        let mut one = plan();
        one.b.remote = Some(endpoint("10.0.0.1:30000"));
        one
    };
    let two = {
        let mut two = plan();
        two.a.local = endpoint("10.0.0.1:30000");
        two.a.local_rtcp = endpoint("10.0.0.1:30001");
        two.b.local = endpoint("10.0.0.2:30000");
        two.b.local_rtcp = endpoint("10.0.0.2:30001");
        two.a.remote = Some(one.b.local);
        two
    };
    let second = StreamKey::new(1, 0);
    let mut rig = Rig::new(&one);
    rig.relay.open(second, &two, rig.now).expect("a good plan");
    assert!(matches!(rig.a_says(&rtp(1)), Outcome::Sent { .. }));
    let ours = one.b.local.to_string_for_tests();
    assert_eq!(rig.send(&ours, (A, RTP), &rtp(2)), Outcome::Dropped(DropReason::RelayLoop));
    assert!(matches!(rig.events()[..], [_, Event::RelatchRefused { .. }]));
    // Now the far ends announce each other's ports too: a ring.
    let mut ring = two.clone();
    ring.b.remote = Some(one.a.local);
    let mut closed = one.clone();
    closed.a.remote = Some(two.b.local);
    rig.relay.update(second, &ring, rig.now).expect("a good plan");
    rig.update(&closed);
    let from_two = two.b.local.to_string_for_tests();
    assert_eq!(rig.send(&from_two, (A, RTP), &rtp(3)), Outcome::Dropped(DropReason::RelayLoop));
}

/// An endpoint as text.
trait Text {
    fn to_string_for_tests(&self) -> String;
}

impl Text for relay_core::Endpoint {
    fn to_string_for_tests(&self) -> String {
        std::net::SocketAddr::from(*self).to_string()
    }
}

#[test]
fn a_plan_that_cannot_be_done_changes_nothing() {
    let mut rig = Rig::new(&plan());
    let mut wrong = plan();
    wrong.a.remote = Some(endpoint("[2001:db8::1]:4000"));
    assert_eq!(rig.relay.update(CALL, &wrong, rig.now), Err(PlanError::MixedFamilies));
    let mut wrong = plan();
    let mut short = keys(SrtpSuite::AesCm128HmacSha1_80, 1);
    short.key_and_salt.pop();
    wrong.b.send_keys = Some(short);
    assert!(matches!(
        rig.relay.update(CALL, &wrong, rig.now),
        Err(PlanError::KeyLength { length: 29, .. })
    ));
    assert_eq!(rig.relay.open(CALL, &plan(), rig.now), Err(PlanError::AlreadyOpen));
    let beyond = StreamKey::new(10_000, 0);
    assert_eq!(rig.relay.open(beyond, &plan(), rig.now), Err(PlanError::TooManyStreams));
    assert!(matches!(rig.a_says(&rtp(1)), Outcome::Sent { .. }));
}

#[test]
fn a_slot_that_is_used_again_is_another_stream() {
    let mut rig = Rig::new(&plan());
    let next = StreamKey::new(0, 1);
    assert!(!rig.relay.close(next));
    assert!(rig.relay.close(CALL));
    assert!(!rig.relay.close(CALL));
    assert!(rig.relay.is_empty());
    assert_eq!(rig.a_says(&rtp(1)), Outcome::Dropped(DropReason::UnknownSource));
    rig.relay.open(next, &plan(), rig.now).expect("a good plan");
    assert!(rig.relay.counters(CALL).is_none());
    assert_eq!(rig.relay.update(CALL, &plan(), rig.now), Err(PlanError::NotOpen));
    assert_eq!(rig.relay.len(), 1);
}

#[test]
fn ipv6_is_relayed_too() {
    let mut six = plan();
    six.a = SidePlan {
        remote: Some(endpoint("[2001:db8::10]:4000")),
        ..SidePlan::new(endpoint("[2001:db8::1]:20000"), endpoint("[2001:db8::1]:20001"))
    };
    let mut rig = Rig::new(&six);
    let packet = rtp(1);
    let outcome = rig.send("[2001:db8::10]:4000", (A, RTP), &packet);
    assert_eq!(outcome, sent((B, RTP), PHONE_B, &packet));
    assert_eq!(rig.b_says(&packet), sent((A, RTP), "[2001:db8::10]:4000", &packet));
}
