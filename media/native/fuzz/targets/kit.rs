//! A relay with one call, and a way to feed it a fuzzer's bytes.

use std::net::SocketAddr;

use relay_core::{
    Component, Endpoint, Limits, PacketBuf, Relay, SideName, SidePlan, SrtpKeys, SrtpSuite,
    StreamKey, StreamPlan, Verdict,
};

const CALL: StreamKey = StreamKey::new(0, 0);
/// The longest datagram that UDP carries.
const MAX_BYTES: usize = 65_535;

fn endpoint(host: u8, port: u16) -> Endpoint {
    Endpoint::new([192, 0, 2, host].into(), port)
}

fn plan(keys: Option<&SrtpKeys>) -> StreamPlan {
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

/// Feeds a relay with the datagrams that the input falls into: a length, a source, the bytes.
#[allow(dead_code, reason = "not every target does")]
pub fn relay_untrusted(suite: Option<SrtpSuite>, input: &[u8]) {
    let keys = suite.map(|suite| SrtpKeys::new(suite, &vec![7; suite.key_length()]));
    let mut relay = Relay::new(Limits { streams: 1, events: 16, handshakes_per_s: 4 }, 1);
    relay.open(CALL, &plan(keys.as_ref()), 0).expect("a good plan");
    let mut buffer = vec![0; MAX_BYTES + 64];
    let mut rest = input;
    let mut now = 0;
    while let [length, source, behind @ ..] = rest {
        let (data, behind) = behind.split_at(usize::from(*length).min(behind.len()));
        rest = behind;
        now += u64::from(*source) * 10_000_000;
        buffer[..data.len()].copy_from_slice(data);
        let mut packet = PacketBuf::new(&mut buffer, data.len());
        let side = if source & 1 == 0 { SideName::A } else { SideName::B };
        let from: SocketAddr = endpoint(101 + (source >> 5), 4000).into();
        let port = CALL.port(side, Component::Rtp);
        if let Verdict::Forward { .. } = relay.receive(port, from, &mut packet, now) {
            assert!(!packet.is_empty());
        }
        relay.tick(now);
    }
    assert!(relay.export(CALL, now).is_some());
}
