//! A relay with one call, and a way to feed it a fuzzer's bytes.
#![allow(dead_code, reason = "not every target needs all of it")]

use std::net::SocketAddr;

use relay_core::{
    Component, Endpoint, Limits, PacketBuf, Relay, SideName, SidePlan, SrtpKeys, SrtpSuite,
    StreamKey, StreamPlan, Verdict,
};

/// The one call.
pub const CALL: StreamKey = StreamKey::new(0, 0);
/// Twice as long as any that the relay takes.
const MAX_BYTES: usize = 4096;
/// Room for a datagram and what protection adds to it.
pub const ROOM_BYTES: usize = MAX_BYTES + 64;

fn endpoint(host: u8, port: u16) -> Endpoint {
    Endpoint::new([192, 0, 2, host].into(), port)
}

/// The call's plan: both sides under the same keys, or plain.
pub fn plan(keys: Option<&SrtpKeys>) -> StreamPlan {
    let side = |host: u8| SidePlan {
        remote: Some(endpoint(host + 100, 4000)),
        rtcp_mux: true,
        learn_any: true,
        handshakes: true,
        max_kbps: Some(64),
        receive_keys: keys.cloned(),
        send_keys: keys.cloned(),
        ..SidePlan::new(endpoint(host, 4000), endpoint(host, 4001))
    };
    StreamPlan {
        clock_hz: 8000,
        speech: true,
        inactivity: None,
        pinholes: true,
        a: side(1),
        b: side(2),
    }
}

/// One of the datagrams that an input falls into: a length, a source, the bytes. The longest
/// length stands for all the bytes that are left.
#[derive(Debug)]
pub struct Datagram<'a> {
    source: u8,
    /// Its bytes.
    pub data: &'a [u8],
}

impl Datagram<'_> {
    /// The side whose port it comes to.
    pub fn side(&self) -> SideName {
        if self.source & 1 == 0 { SideName::A } else { SideName::B }
    }

    /// Whether it is protected under the call's key before it is sent.
    fn sealed(&self) -> bool {
        self.source & 2 != 0
    }

    /// Where it comes from.
    pub fn from(&self) -> SocketAddr {
        endpoint(101 + (self.source >> 5), 4000).into()
    }
}

/// The datagrams of an input; the last one may be cut off.
pub fn datagrams(input: &[u8]) -> impl Iterator<Item = Datagram<'_>> {
    let mut rest = input;
    std::iter::from_fn(move || {
        let [length, source, behind @ ..] = rest else { return None };
        let length = if *length == u8::MAX { MAX_BYTES } else { usize::from(*length) };
        let (data, behind) = behind.split_at(length.min(behind.len()));
        rest = behind;
        Some(Datagram { source: *source, data })
    })
}

/// Feeds a relay with the datagrams of the input.
pub fn relay_untrusted(suite: Option<SrtpSuite>, input: &[u8]) {
    let keys = suite.map(|suite| SrtpKeys::new(suite, &vec![7; suite.key_length()]));
    let mut relay = Relay::new(Limits { streams: 1, events: 16, handshakes_per_s: 4 }, 1);
    relay.open(CALL, &plan(keys.as_ref()), 0).expect("a good plan");
    let mut phone = phone(keys);
    let mut buffer = vec![0; ROOM_BYTES];
    let mut now = 0;
    for one in datagrams(input) {
        now += u64::from(one.source) * 10_000_000;
        buffer[..one.data.len()].copy_from_slice(one.data);
        let mut packet = PacketBuf::new(&mut buffer, one.data.len());
        if one.sealed() {
            // What is no media stays as it is.
            let port = CALL.port(SideName::A, Component::Rtp);
            phone.receive(port, endpoint(101, 4000).into(), &mut packet, now);
        }
        let port = CALL.port(one.side(), Component::Rtp);
        if let Verdict::Forward { .. } = relay.receive(port, one.from(), &mut packet, now) {
            assert!(!packet.is_empty());
        }
        relay.tick(now);
    }
    assert!(relay.export(CALL, now).is_some());
}

/// A relay that protects what it is given under a key, in place, as a phone would.
fn phone(keys: Option<SrtpKeys>) -> Relay {
    let mut plan = plan(None);
    plan.a.max_kbps = None;
    plan.b.send_keys = keys;
    let mut relay = Relay::new(Limits { streams: 1, events: 16, handshakes_per_s: 4 }, 1);
    relay.open(CALL, &plan, 0).expect("a good plan");
    relay
}
