//! STUN and DTLS are told from media by their first byte, handed up whole where somebody does
//! handshakes, never relayed, and never more of them than the limits allow.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relay_core::{Component, DropReason, Event, Limits, PacketBuf, Relay, SideName, Verdict};

mod kit;

const PER_SECOND: u32 = 3;
const EVENTS: usize = 16;
/// A flood of handshakes leaves the rest of the queue to other events.
const MOST_WAITING: usize = EVENTS / 4;
const TURN_DATAGRAMS: usize = 8;

fuzz_target!(|input: &[u8]| {
    let mut plan = kit::plan(None);
    plan.b.handshakes = false;
    let limits = Limits { streams: 1, events: EVENTS, handshakes_per_s: PER_SECOND };
    let mut relay = Relay::new(limits, 1);
    relay.open(kit::CALL, &plan, 0).expect("a good plan");
    let mut buffer = vec![0; kit::ROOM_BYTES];
    let datagrams: Vec<_> = kit::datagrams(input).collect();
    for (second, turn) in datagrams.chunks(TURN_DATAGRAMS).enumerate() {
        let now = second as u64 * 1_000_000_000;
        let mut handed_up = Vec::new();
        for one in turn {
            buffer[..one.data.len()].copy_from_slice(one.data);
            let mut packet = PacketBuf::new(&mut buffer, one.data.len());
            let port = kit::CALL.port(one.side(), Component::Rtp);
            let verdict = relay.receive(port, one.from(), &mut packet, now);
            // RFC 7983 §7.
            let handshake = matches!(one.data, [0..=3 | 20..=63, _, ..]);
            match (handshake, one.side(), verdict) {
                (true, SideName::A, Verdict::Handshake) => handed_up.push((one.from(), one.data)),
                (_, _, Verdict::Drop(DropReason::TooLong))
                | (true, SideName::A, Verdict::Drop(DropReason::OverRate))
                | (true, SideName::B, Verdict::Drop(DropReason::UnexpectedProtocol)) => (),
                (true, ..) | (false, _, Verdict::Handshake) => panic!("{verdict:?} of {one:?}"),
                (false, ..) => (),
            }
        }
        for (source, _) in &handed_up {
            let of_source = handed_up.iter().filter(|one| one.0 == *source).count();
            assert!(of_source <= PER_SECOND as usize);
        }
        let mut events = Vec::new();
        while let Some(event) = relay.next_event() {
            if let Event::Handshake { side: SideName::A, source, data, .. } = event {
                events.push((source, data));
            }
        }
        assert!(events.len() <= MOST_WAITING);
        // Only the oldest can have made room for others.
        let last = &handed_up[handed_up.len() - events.len()..];
        assert!(events.iter().zip(last).all(|(event, sent)| (event.0, &*event.1) == *sent));
    }
});
