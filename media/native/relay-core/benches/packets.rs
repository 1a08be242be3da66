//! Nanoseconds per packet through a relay, by suite, with one stream and with many.
//!
//! An argument chooses the rows that contain it.
//! Each round is timed as a whole; the least of the rounds is what the machine can do, and what
//! disturbs a shared machine only ever adds. `cargo bench -p relay-core`.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Instant;

use relay_core::{
    Component, Endpoint, Limits, PacketBuf, PortId, Relay, SideName, SidePlan, SrtpKeys, SrtpSuite,
    StreamKey, StreamPlan, Verdict,
};

/// 20 ms of G.711.
const PAYLOAD_BYTES: usize = 160;
const HEADER_BYTES: usize = 12;
const ROUNDS: u16 = 60;
/// How many packets each stream gets in a round.
const BATCHES: [(usize, u16); 3] = [(1, 4000), (500, 8), (2000, 2)];

type Packet = ([u8; 256], usize);

fn endpoint(last: u8, port: u16) -> Endpoint {
    Endpoint::new([127, 0, 0, last].into(), port)
}

fn keys(suite: SrtpSuite, seed: usize) -> SrtpKeys {
    let bytes: Vec<u8> = (0..suite.key_length()).map(|index| (index * 7 + seed) as u8).collect();
    SrtpKeys::new(suite, &bytes)
}

fn plan(receive: Option<SrtpKeys>, send: Option<SrtpKeys>, port: u16) -> StreamPlan {
    let side = |last| SidePlan {
        remote: Some(endpoint(last + 10, port)),
        rtcp_mux: true,
        ..SidePlan::new(endpoint(last, port), endpoint(last, port + 1))
    };
    StreamPlan {
        clock_hz: 8000,
        speech: true,
        inactivity: None,
        pinholes: false,
        a: SidePlan { receive_keys: receive, ..side(1) },
        b: SidePlan { send_keys: send, ..side(2) },
    }
}

fn relay_of(streams: usize, receive: Option<SrtpSuite>, send: Option<SrtpSuite>) -> Relay {
    let mut relay = Relay::new(Limits::default(), 1);
    for slot in 0..streams {
        let port = 10_000 + 2 * slot as u16;
        let receive = receive.map(|suite| keys(suite, slot));
        let plan = plan(receive, send.map(|suite| keys(suite, slot + 99)), port);
        relay.open(key(slot), &plan, 0).expect("a good plan");
    }
    relay
}

fn key(slot: usize) -> StreamKey {
    StreamKey::new(slot as u32, 0)
}

fn port_of(slot: usize) -> PortId {
    key(slot).port(SideName::A, Component::Rtp)
}

fn source_of(slot: usize) -> SocketAddr {
    endpoint(11, 10_000 + 2 * slot as u16).into()
}

fn plain(sequence: u16) -> Packet {
    let mut bytes = [0x55; 256];
    bytes[..2].copy_from_slice(&[0x80, 0]);
    bytes[2..4].copy_from_slice(&sequence.to_be_bytes());
    (bytes, HEADER_BYTES + PAYLOAD_BYTES)
}

/// One pass of the packets through a relay, in place.
fn pass(relay: &mut Relay, packets: &mut [(usize, Packet)], now: u64) {
    for (slot, (bytes, length)) in packets {
        let mut packet = PacketBuf::new(bytes, *length);
        let verdict = relay.receive(port_of(*slot), source_of(*slot), &mut packet, now);
        assert!(matches!(verdict, Verdict::Forward { .. }), "{verdict:?}");
        *length = packet.len();
        black_box(bytes);
    }
}

/// How the caches are when a packet comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// As the packet before left them.
    Hot,
    /// Full of something else.
    Cold,
    /// The same, but `Relay::warm` was called; its own time is not counted.
    Warmed,
}

/// More than the caches near the core hold.
const CACHE_BYTES: usize = 3 << 20;

/// As `pass`, one packet at a time with the near caches full of something else, as a busy system
/// leaves them; the median packet, with the cost of asking the clock.
fn pass_cold(
    relay: &mut Relay,
    packets: &mut [(usize, Packet)],
    warm: bool,
    litter: &[u64],
) -> f64 {
    let mut times = Vec::with_capacity(packets.len());
    for (slot, (bytes, length)) in packets {
        black_box(litter.iter().step_by(8).sum::<u64>());
        // The kernel has just written the packet.
        black_box(bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>());
        if warm {
            relay.warm(port_of(*slot));
        }
        let start = Instant::now();
        let mut packet = PacketBuf::new(bytes, *length);
        let verdict = relay.receive(port_of(*slot), source_of(*slot), &mut packet, 0);
        times.push(start.elapsed().as_nanos());
        assert!(matches!(verdict, Verdict::Forward { .. }), "{verdict:?}");
        *length = packet.len();
    }
    times.sort_unstable();
    times[times.len() / 2] as f64
}

/// The least of all rounds, in nanoseconds per packet.
fn measure(streams: usize, per_stream: u16, suites: [Option<SrtpSuite>; 2], how: How) -> f64 {
    let litter = vec![1; CACHE_BYTES / 8];
    let [receive, send] = suites;
    let mut relay = relay_of(streams, receive, send);
    // The phones' side: what protects the packets that the relay opens.
    let mut phones = relay_of(streams, None, receive);
    // The keys of a phone and of the relay's receiver must be the same ones.
    for slot in 0..streams {
        let plan = plan(None, receive.map(|suite| keys(suite, slot)), 10_000 + 2 * slot as u16);
        phones.update(key(slot), &plan, 0).expect("a good plan");
    }
    let mut least = f64::MAX;
    for round in 0..if how == How::Hot { ROUNDS } else { 2 } {
        let mut packets: Vec<(usize, Packet)> = (0..per_stream)
            .flat_map(|turn| {
                let sequence = round.wrapping_mul(per_stream).wrapping_add(turn);
                (0..streams).map(move |slot| (slot, plain(sequence)))
            })
            .collect();
        pass(&mut phones, &mut packets, u64::from(round) * 20_000_000);
        if how != How::Hot {
            let warm = how == How::Warmed;
            least = least.min(pass_cold(&mut relay, &mut packets, warm, &litter));
            continue;
        }
        let start = Instant::now();
        pass(&mut relay, &mut packets, u64::from(round) * 20_000_000);
        let passed = start.elapsed();
        least = least.min(passed.as_nanos() as f64 / packets.len() as f64);
    }
    least
}

fn main() {
    let suites = SrtpSuite::ALL;
    println!(
        "{:28} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "ns per packet", "1", "500", "2000", "500 cold", "warmed"
    );
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let row = |name: &str, suites: [Option<SrtpSuite>; 2]| {
        if wanted.as_ref().is_some_and(|wanted| !name.contains(wanted)) {
            return;
        }
        let figures = BATCHES.map(|(streams, turns)| measure(streams, turns, suites, How::Hot));
        let cold = measure(500, 4, suites, How::Cold);
        let warmed = measure(500, 4, suites, How::Warmed);
        let [one, many, most] = figures;
        println!("{name:28} {one:10.0} {many:10.0} {most:10.0} {cold:10.0} {warmed:10.0}");
    };
    row("plain", [None, None]);
    for suite in suites {
        row(&format!("open {}", suite.sdes_name()), [Some(suite), None]);
        row(&format!("protect {}", suite.sdes_name()), [None, Some(suite)]);
    }
    for suite in [SrtpSuite::AesCm128HmacSha1_80, SrtpSuite::AeadAes128Gcm] {
        row(&format!("both {}", suite.sdes_name()), [Some(suite), Some(suite)]);
    }
}
