//! A relay with one call through it, and packets by hand.

#![allow(dead_code, unreachable_pub, reason = "every test file uses some of it")]

use std::net::SocketAddr;

use relay_core::{
    Component, DropReason, Endpoint, Event, Limits, OwnPorts, PacketBuf, PacketKind, Relay,
    SideCounters, SideName, SidePlan, SrtpKeys, SrtpSuite, StreamKey, StreamPlan, Verdict,
};

pub const CALL: StreamKey = StreamKey::new(0, 0);
pub const SECOND: u64 = 1_000_000_000;
pub const START: u64 = 1000 * SECOND;
pub const A: SideName = SideName::A;
pub const B: SideName = SideName::B;
pub const RTP: Component = Component::Rtp;
pub const RTCP: Component = Component::Rtcp;

pub fn endpoint(text: &str) -> Endpoint {
    text.parse::<SocketAddr>().expect("an address").into()
}

pub const PHONE_A: &str = "198.51.100.10:4000";
pub const PHONE_B: &str = "203.0.113.10:5000";
pub const STRANGER: &str = "192.0.2.66:6666";

/// Two plain phones whose SDP tells the truth.
pub fn plan() -> StreamPlan {
    StreamPlan {
        clock_hz: 8000,
        speech: true,
        inactivity: None,
        pinholes: false,
        a: SidePlan {
            remote: Some(endpoint(PHONE_A)),
            remote_rtcp: Some(endpoint("198.51.100.10:4001")),
            ..SidePlan::new(endpoint("10.0.0.1:20000"), endpoint("10.0.0.1:20001"))
        },
        b: SidePlan {
            remote: Some(endpoint(PHONE_B)),
            remote_rtcp: Some(endpoint("203.0.113.10:5001")),
            ..SidePlan::new(endpoint("10.0.0.2:20000"), endpoint("10.0.0.2:20001"))
        },
    }
}

pub fn keys(suite: SrtpSuite, seed: usize) -> SrtpKeys {
    let bytes: Vec<u8> =
        (0..suite.key_length()).map(|index| ((index * 7 + seed * 31) % 256) as u8).collect();
    SrtpKeys::new(suite, &bytes)
}

pub fn rtp(sequence: u16) -> Vec<u8> {
    rtp_at(sequence, u32::from(sequence) * 160, 0x5EED)
}

pub fn rtp_at(sequence: u16, timestamp: u32, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(b"sound");
    packet
}

pub fn rtcp() -> Vec<u8> {
    vec![0x80, 201, 0, 1, 0, 0, 0x5E, 0xED]
}

/// What became of a datagram.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Sent { from: (SideName, Component), to: String, data: Vec<u8> },
    Dropped(DropReason),
    HandedUp,
}

pub struct Rig {
    pub relay: Relay,
    pub now: u64,
    pub kind: PacketKind,
}

impl Rig {
    pub fn new(plan: &StreamPlan) -> Self {
        Self::sharing(plan, OwnPorts::new())
    }

    pub fn sharing(plan: &StreamPlan, own: OwnPorts) -> Self {
        let mut relay = Relay::sharing(Limits::default(), 7, own);
        relay.open(CALL, plan, START).expect("a good plan");
        Self { relay, now: START, kind: PacketKind::Other }
    }

    pub fn update(&mut self, plan: &StreamPlan) {
        self.relay.update(CALL, plan, self.now).expect("a good plan");
    }

    pub fn send(&mut self, from: &str, to: (SideName, Component), data: &[u8]) -> Outcome {
        let mut buffer = data.to_vec();
        buffer.resize(data.len() + 64, 0);
        let mut packet = PacketBuf::new(&mut buffer, data.len());
        let source = from.parse().expect("an address");
        match self.relay.receive(CALL.port(to.0, to.1), source, &mut packet, self.now) {
            Verdict::Forward { port, destination, kind } => {
                assert_eq!(port.slot(), CALL.slot);
                self.kind = kind;
                Outcome::Sent {
                    from: (port.side(), port.component()),
                    to: destination.to_string(),
                    data: packet.data().to_vec(),
                }
            }
            Verdict::Drop(reason) => Outcome::Dropped(reason),
            Verdict::Handshake => Outcome::HandedUp,
        }
    }

    pub fn a_says(&mut self, data: &[u8]) -> Outcome {
        self.send(PHONE_A, (A, RTP), data)
    }

    pub fn b_says(&mut self, data: &[u8]) -> Outcome {
        self.send(PHONE_B, (B, RTP), data)
    }

    pub fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.relay.next_event()).collect()
    }

    pub fn openers(&mut self) -> Vec<(SideName, Component, String)> {
        std::iter::from_fn(|| self.relay.next_opener())
            .map(|opener| {
                (opener.port.side(), opener.port.component(), opener.destination.to_string())
            })
            .collect()
    }

    pub fn after(&mut self, seconds: u64) -> Vec<Event> {
        self.now += seconds * SECOND;
        self.relay.tick(self.now);
        self.events()
    }

    pub fn counters(&self, side: SideName) -> SideCounters {
        let [a, b] = self.relay.counters(CALL).expect("the call is open");
        if side == A { a } else { b }
    }
}

pub fn sent(from: (SideName, Component), to: &str, data: &[u8]) -> Outcome {
    Outcome::Sent { from, to: to.to_owned(), data: data.to_vec() }
}
