//! What a worker does with more than it can relay, by an engine whose worker is held for a while.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use relay_core::{Endpoint, SidePlan, StreamPlan};

use super::*;

const TIERS: [Tier; 2] = [Tier::IoUring, Tier::Epoll];
/// How many packets of one socket may come before those of the next: what the kernel gives by one
/// multishot receive before others have their turn.
const SOCKET_BUDGET: usize = 32;
/// More than any queue of a socket holds.
const FLOOD: usize = 3000;

/// A packet of a stream, told from others by its sequence number.
fn rtp(sequence: u16) -> [u8; 172] {
    let mut packet = [0; 172];
    packet[0] = 0x80;
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet[11] = 7;
    packet
}

fn phone(host: [u8; 4]) -> UdpSocket {
    let socket = UdpSocket::bind(SocketAddr::from((host, 0))).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

fn at(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().unwrap()
}

/// Two ports that are free now.
fn free_ports(host: [u8; 4]) -> [Endpoint; 2] {
    [phone(host), phone(host)].map(|socket| at(&socket).into())
}

/// Two phones that talk through an engine.
struct Call {
    a: UdpSocket,
    b: UdpSocket,
    at_a: SocketAddr,
    at_b: SocketAddr,
}

impl Call {
    /// Opens a stream and lets both sides talk until their legs are learned.
    fn open(engine: &mut Engine, number: u64) -> Self {
        Self::to(phone([127, 1, 2, 10]), engine, number)
    }

    /// As `open`, to a phone that is there.
    fn to(b: UdpSocket, engine: &mut Engine, number: u64) -> Self {
        let a = phone([127, 1, 1, 10]);
        let side = |host, phone: &UdpSocket| {
            let [local, local_rtcp] = free_ports(host);
            let remote = Some(at(phone).into());
            SidePlan { remote, rtcp_mux: true, ..SidePlan::new(local, local_rtcp) }
        };
        let plan = StreamPlan {
            clock_hz: 8000,
            inactivity: None,
            pinholes: false,
            speech: false,
            a: side([127, 1, 1, 1], &a),
            b: side([127, 1, 2, 1], &b),
        };
        let (at_a, at_b) = (plan.a.local.into(), plan.b.local.into());
        engine.apply(vec![Command::Open(number, StreamSpec { plan, dscp: [0, 0] })]).unwrap();
        let call = Self { a, b, at_a, at_b };
        for sequence in 0..6 {
            call.a.send_to(&rtp(sequence), call.at_a).unwrap();
            assert_eq!(call.b_hears(), sequence);
            call.b.send_to(&rtp(sequence), call.at_b).unwrap();
            let mut room = [0; 300];
            call.a.recv_from(&mut room).unwrap();
        }
        call
    }

    /// The sequence number of the next packet that B hears.
    fn b_hears(&self) -> u16 {
        let mut room = [0; 300];
        let (bytes, from) = self.b.recv_from(&mut room).unwrap();
        assert_eq!((bytes, from), (172, self.at_b));
        u16::from_be_bytes([room[2], room[3]])
    }
}

fn engine(tier: Tier) -> Option<Engine> {
    let config = Config { workers: 1, tier: Some(tier), max_streams: 10, seed: 1 };
    Engine::start(&config).inspect_err(|error| eprintln!("{tier} is not tried: {error}")).ok()
}

#[test]
fn a_stranger_who_floods_a_port_costs_its_leg_nothing() {
    for mut engine in TIERS.into_iter().filter_map(engine) {
        let call = Call::open(&mut engine, 1);
        let stranger = phone([127, 1, 3, 66]);
        let held = engine.workers[0].shared.lock().unwrap();
        for sequence in 0..FLOOD {
            stranger.send_to(&rtp(sequence as u16), call.at_a).unwrap();
        }
        for sequence in 100..110 {
            call.a.send_to(&rtp(sequence), call.at_a).unwrap();
        }
        drop(held);
        let heard: Vec<u16> = (0..10).map(|_| call.b_hears()).collect();
        assert_eq!(heard, (100..110).collect::<Vec<_>>());
    }
}

#[test]
fn a_loud_leg_cannot_keep_a_quiet_one_waiting() {
    for mut engine in TIERS.into_iter().filter_map(engine) {
        let loud = Call::open(&mut engine, 1);
        let quiet = Call::to(loud.b.try_clone().unwrap(), &mut engine, 2);
        let held = engine.workers[0].shared.lock().unwrap();
        for sequence in 0..200 {
            loud.a.send_to(&rtp(6 + sequence), loud.at_a).unwrap();
        }
        quiet.a.send_to(&rtp(6), quiet.at_a).unwrap();
        drop(held);
        let mut room = [0; 300];
        let heard: Vec<_> = (0..201).map(|_| loud.b.recv_from(&mut room).unwrap().1).collect();
        let place = heard.iter().position(|from| *from == quiet.at_b).unwrap();
        assert!(place <= SOCKET_BUDGET, "it came after {place} of the other");
    }
}

#[test]
fn a_burst_beyond_all_buffers_leaves_in_order() {
    for mut engine in TIERS.into_iter().filter_map(engine) {
        let calls: Vec<Call> = (1..9).map(|number| Call::open(&mut engine, number)).collect();
        let held = engine.workers[0].shared.lock().unwrap();
        for sequence in 6..206 {
            for call in &calls {
                call.a.send_to(&rtp(sequence), call.at_a).unwrap();
            }
        }
        drop(held);
        for call in &calls {
            let heard: Vec<u16> = (0..200).map(|_| call.b_hears()).collect();
            assert_eq!(heard, (6..206).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_call_is_closed_in_the_middle_of_a_flood_and_its_ports_are_free() {
    for mut engine in TIERS.into_iter().filter_map(engine) {
        for round in 0..20 {
            let numbers = 8 * round + 1..8 * round + 9;
            let calls: Vec<Call> =
                numbers.clone().map(|number| Call::open(&mut engine, number)).collect();
            let held = engine.workers[0].shared.lock().unwrap();
            for call in &calls {
                for sequence in 6..206 {
                    call.a.send_to(&rtp(sequence), call.at_a).unwrap();
                }
            }
            drop(held);
            engine.apply(numbers.map(Command::Close).collect()).unwrap();
            for call in &calls {
                UdpSocket::bind(call.at_a).unwrap();
                UdpSocket::bind(call.at_b).unwrap();
            }
        }
    }
}

#[test]
fn a_port_whose_leg_has_gone_is_free_when_its_call_is_closed() {
    for mut engine in TIERS.into_iter().filter_map(engine) {
        let Call { a, b, at_a, at_b } = Call::open(&mut engine, 1);
        drop(b);
        for sequence in 6..400 {
            a.send_to(&rtp(sequence), at_a).unwrap();
        }
        let key = engine.streams[&1].key;
        let counted = |engine: &Engine| {
            let state = engine.workers[0].shared.lock().unwrap();
            state.relay.counters(key).map_or(0, |[a, _]| a.packets)
        };
        // All that were not too many for the queue have been tried.
        while counted(&engine) < 100 {
            std::thread::yield_now();
        }
        engine.apply(vec![Command::Close(1)]).unwrap();
        UdpSocket::bind(at_a).unwrap();
        UdpSocket::bind(at_b).unwrap();
    }
}
