//! Engines on loopback: what they relay, what they refuse, and that nothing is left of either.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use relay_core::{Endpoint, SidePlan, StreamPlan};
use relay_udp::{Command, Config, Engine, Refused, StreamSpec, Tier};

const PATIENCE: Duration = Duration::from_secs(10);
const RTP: [u8; 17] = *b"\x80\x00\x00\x01\x00\x00\x00\xa0\x00\x00\x5e\xedsound";

fn config(tier: Option<Tier>) -> Config {
    Config { workers: 2, tier, max_streams: 2, seed: 1 }
}

/// An engine on each tier that this machine has.
fn engines() -> impl Iterator<Item = Engine> {
    [Tier::IoUring, Tier::Epoll].into_iter().filter_map(|tier| {
        let engine = Engine::start(&config(Some(tier)))
            .inspect_err(|error| eprintln!("{tier} is not tested here: {error}"));
        // Where the engine is required, as in CI, so is each tier of it.
        assert!(engine.is_ok() || std::env::var_os("NATIVE_ENGINE").is_none());
        engine.ok()
    })
}

/// Addresses that no other test uses: it has hosts of its own, and counts their ports.
struct Place {
    test: u8,
    next_port: u16,
}

impl Place {
    fn new(test: u8) -> Self {
        Self { test, next_port: 10_000 + (std::process::id() % 600) as u16 * 32 }
    }

    fn host(&self, number: u8) -> IpAddr {
        Ipv4Addr::new(127, 77, self.test, number).into()
    }

    fn phone(&self, number: u8) -> UdpSocket {
        let phone = UdpSocket::bind((self.host(number), 0)).unwrap();
        phone.set_read_timeout(Some(PATIENCE)).unwrap();
        phone
    }

    /// A stream on fresh ports, between two phones or nobody.
    fn spec(&mut self, phones: [Option<&UdpSocket>; 2]) -> StreamSpec {
        let port = self.next_port;
        self.next_port += 2;
        let [a, b] = [0, 1].map(|side| {
            let host = self.host(side);
            let remote = phones[usize::from(side)].map(|phone| phone.local_addr().unwrap());
            SidePlan {
                remote: remote.map(|address| Endpoint::new(address.ip(), address.port())),
                ..SidePlan::new(Endpoint::new(host, port), Endpoint::new(host, port + 1))
            }
        });
        let plan =
            StreamPlan { clock_hz: 8000, speech: false, inactivity: None, pinholes: false, a, b };
        StreamSpec { plan, dscp: [46, 0] }
    }
}

fn locals(spec: &StreamSpec) -> [SocketAddr; 4] {
    let StreamPlan { a, b, .. } = &spec.plan;
    [a.local, a.local_rtcp, b.local, b.local_rtcp].map(SocketAddr::from)
}

fn all_free(spec: &StreamSpec) -> bool {
    locals(spec).into_iter().all(|local| UdpSocket::bind(local).is_ok())
}

fn all_taken(spec: &StreamSpec) -> bool {
    let in_use = |error: io::Error| error.kind() == io::ErrorKind::AddrInUse;
    locals(spec).into_iter().all(|local| UdpSocket::bind(local).is_err_and(in_use))
}

#[test]
fn a_tier_that_is_demanded_is_used_and_one_is_found_without_demand() {
    for engine in engines() {
        assert_eq!(engine.reason(), format!("2 workers on {} as demanded", engine.tier()));
    }
    let engine = Engine::start(&config(None)).unwrap();
    assert!(engine.reason().starts_with(&format!("2 workers on {}", engine.tier())));
}

#[test]
fn a_packet_of_either_side_reaches_the_other_from_the_port_that_it_was_told() {
    let mut place = Place::new(1);
    for mut engine in engines() {
        let (a, b) = (place.phone(10), place.phone(20));
        let spec = place.spec([Some(&a), Some(&b)]);
        let [at_a, _, at_b, _] = locals(&spec);
        engine.apply(vec![Command::Open(1, spec)]).unwrap();
        for (from, to, at, by) in [(&a, &b, at_a, at_b), (&b, &a, at_b, at_a)] {
            let mut heard = [0; 64];
            from.send_to(&RTP, at).unwrap();
            let (bytes, source) = to.recv_from(&mut heard).unwrap();
            assert_eq!((&heard[..bytes], source), (&RTP[..], by));
        }
    }
}

#[test]
fn one_stream_too_many_is_refused_before_a_port_is_opened() {
    let mut place = Place::new(2);
    for mut engine in engines() {
        let specs = [(); 4].map(|()| place.spec([None, None]));
        let [one, two, three, four] = &specs;
        engine.apply(vec![Command::Open(1, one.clone())]).unwrap();
        // Closing in the same list makes no room: what is closed is closed after all is ready.
        let list =
            vec![Command::Close(1), Command::Open(2, two.clone()), Command::Open(3, three.clone())];
        assert!(matches!(engine.apply(list), Err(Refused::Full(1))));
        assert!(all_taken(one) && all_free(two) && all_free(three));
        engine.apply(vec![Command::Open(2, two.clone())]).unwrap();
        let full = engine.apply(vec![Command::Open(4, four.clone())]).unwrap_err();
        assert_eq!(full.to_string(), "2 streams are open, as many as this engine takes");
        engine.apply(vec![Command::Close(1)]).unwrap();
        engine.apply(vec![Command::Open(4, four.clone())]).unwrap();
        assert!(all_free(one) && all_taken(two) && all_taken(four));
    }
}

#[test]
fn a_port_that_is_taken_leaves_nothing_of_the_list_open() {
    let mut place = Place::new(3);
    for mut engine in engines() {
        let (first, second) = (place.spec([None, None]), place.spec([None, None]));
        let taken = UdpSocket::bind(locals(&second)[3]).unwrap();
        let list = vec![Command::Open(1, first.clone()), Command::Open(2, second.clone())];
        let refused = engine.apply(list.clone()).unwrap_err();
        let why = format!("cannot bind {}: Address already in use", locals(&second)[3]);
        assert_eq!(refused.to_string(), why);
        assert!(all_free(&first));
        drop(taken);
        engine.apply(list).unwrap();
        assert!(all_taken(&first) && all_taken(&second));
    }
}

#[test]
fn an_engine_that_was_closed_holds_no_port_and_does_nothing_more() {
    let mut place = Place::new(4);
    for mut engine in engines() {
        let (first, second) = (place.spec([None, None]), place.spec([None, None]));
        engine.apply(vec![Command::Open(1, first.clone())]).unwrap();
        let state = engine.export(1).unwrap();
        engine.close();
        assert!(all_free(&first) && engine.export(1).is_none());
        let again = engine.apply(vec![Command::Open(2, second.clone())]);
        assert!(matches!(again, Err(Refused::Stopped)));
        assert!(matches!(engine.restore(2, second.clone(), &state), Err(Refused::Stopped)));
        assert!(all_free(&second) && engine.take_events().failure.is_none());
    }
}
