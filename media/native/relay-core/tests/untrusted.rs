//! Whatever arrives, whenever: nothing panics, everything is counted once, nothing grows.

mod kit;

use kit::*;
use proptest::prelude::*;
use relay_core::{
    Component, SideName, SrtpSuite, StreamPlan, classify_untrusted, is_compound_rtcp_untrusted,
    read_rtcp_untrusted, read_rtp_untrusted,
};

/// Datagrams that look enough like something to get far.
fn datagram() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![Just(0x80_u8), 0x80_u8..0xC0, any::<u8>()];
    let second = prop_oneof![Just(0_u8), 192_u8..224, any::<u8>()];
    let rest = prop::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..200);
    (first, second, rest, any::<bool>()).prop_map(|(first, second, rest, header)| {
        if header { [vec![first, second], rest].concat() } else { rest }
    })
}

fn source() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just(PHONE_A),
        Just(PHONE_B),
        Just(STRANGER),
        Just("10.0.0.1:20000"),
        Just("198.51.100.10:9"),
        Just("[2001:db8::1]:1"),
    ]
}

fn any_plan() -> impl Strategy<Value = StreamPlan> {
    let keys = prop::option::of(
        (0..SrtpSuite::ALL.len()).prop_map(|suite| keys(SrtpSuite::ALL[suite], 1)),
    );
    let flags = any::<[bool; 4]>();
    (keys.clone(), keys, flags, flags).prop_map(|(receive, send, a, b)| {
        let mut plan = plan();
        plan.pinholes = a[0];
        plan.a.receive_keys = receive;
        plan.b.send_keys = send;
        (plan.a.rtcp_mux, plan.a.learn_any, plan.a.handshakes) = (a[1], a[2], a[3]);
        (plan.b.rtcp_mux, plan.b.receiving, plan.b.learn_any) = (b[1], b[2], b[3]);
        plan.a.max_kbps = b[0].then_some(8);
        plan
    })
}

fn port() -> impl Strategy<Value = (SideName, Component)> {
    (any::<bool>(), any::<bool>())
        .prop_map(|(a, rtp)| (if a { A } else { B }, if rtp { RTP } else { RTCP }))
}

proptest! {
    #[test]
    fn every_datagram_is_relayed_handed_up_or_counted_as_dropped(
        plans in prop::collection::vec(any_plan(), 1..4),
        datagrams in prop::collection::vec((datagram(), source(), port(), 0_u64..3_000_000_000), 0..100),
    ) {
        let mut rig = Rig::new(&plans[0]);
        let (mut relayed, mut dropped) = (0, 0);
        for (index, (data, from, to, later)) in datagrams.iter().enumerate() {
            rig.now += later;
            if index % 20 == 19 {
                rig.update(&plans[index / 20 % plans.len()]);
                rig.relay.tick(rig.now);
            }
            match rig.send(from, *to, data) {
                Outcome::Sent { .. } => relayed += 1,
                Outcome::Dropped(_) => dropped += 1,
                Outcome::HandedUp => (),
            }
        }
        let (a, b) = (rig.counters(A), rig.counters(B));
        prop_assert_eq!(a.drops.iter().chain(&b.drops).sum::<u64>(), dropped);
        prop_assert!(a.packets + b.packets + a.rtcp_packets + b.rtcp_packets >= relayed);
        for counted in [&a, &b] {
            let scores = counted.speech.map(|speech| [speech.last, speech.mean, speech.worst]);
            let on_scale = |mos: &f64| (1.0..=4.5).contains(mos);
            prop_assert!(scores.iter().flatten().all(on_scale));
            prop_assert!(counted.jitter_ticks.is_finite());
        }
        let state = rig.relay.export(CALL, rig.now);
        prop_assert!(state.is_some());
    }

    #[test]
    fn readers_answer_whatever_the_bytes(data in datagram()) {
        classify_untrusted(&data);
        is_compound_rtcp_untrusted(&data);
        read_rtcp_untrusted(&data);
        if let Some(header) = read_rtp_untrusted(&data) {
            prop_assert!(header.bytes <= data.len());
        }
    }
}

#[test]
fn events_that_nobody_fetches_do_not_pile_up() {
    let mut ice = plan();
    ice.a.handshakes = true;
    let mut rig = Rig::new(&ice);
    for host in 0..60_000_u32 {
        let [_, _, high, low] = host.to_be_bytes();
        let from = format!("172.16.{high}.{low}:1");
        rig.send(&from, (A, RTP), &[0, 1, 0, 0]);
        rig.now += SECOND / 100;
    }
    let events = rig.events().len();
    assert!((1..=2500).contains(&events), "{events}: a quarter of the queue");
}
