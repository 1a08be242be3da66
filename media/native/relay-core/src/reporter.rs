//! What waits to be told: a queue that never grows beyond its bound.

use std::collections::VecDeque;
use std::net::IpAddr;

use sha1::{Digest, Sha1};

use crate::event::Event;
use crate::moment::{Moment, SECOND};
use crate::types::Endpoint;

/// How many sources of handshakes are told apart; those that share a place share a limit.
const PLACES: usize = 1024;
/// Handshakes may fill this share of the queue: a spray of them must not push out the rest.
const HANDSHAKE_SHARE: usize = 4;

/// The events of one relay, and how many handshakes it may still hand up.
#[derive(Debug)]
pub(crate) struct Reporter {
    events: VecDeque<Event>,
    most: usize,
    lost: u64,
    handshakes: usize,
    /// Handshakes that were fetched and not seen to yet.
    fetched: usize,
    limit: SourceLimit,
}

impl Reporter {
    pub(crate) fn new(most: usize, handshakes_per_s: u32, seed: u64) -> Self {
        Self {
            events: VecDeque::new(),
            most: most.max(1),
            lost: 0,
            handshakes: 0,
            fetched: 0,
            limit: SourceLimit::new(handshakes_per_s, seed),
        }
    }

    /// Adds an event; the oldest goes when there are too many.
    pub(crate) fn report(&mut self, event: Event) {
        if self.events.len() >= self.most && self.next().is_some() {
            self.lost += 1;
        }
        self.events.push_back(event);
    }

    /// Whether one more handshake from this host to this port of ours may be handed up; counts it
    /// when it may.
    pub(crate) fn admits_handshake(&mut self, local: Endpoint, host: IpAddr, now: Moment) -> bool {
        let room = self.handshakes + self.fetched < self.most.div_ceil(HANDSHAKE_SHARE);
        let admitted = room && self.limit.admits(local, host, now);
        self.handshakes += usize::from(admitted);
        admitted
    }

    pub(crate) fn next(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        if matches!(event, Some(Event::Handshake { .. })) {
            self.handshakes = self.handshakes.saturating_sub(1);
        }
        event
    }

    /// Says how many of the handshakes that were fetched still wait elsewhere.
    pub(crate) const fn note_fetched(&mut self, handshakes: usize) {
        self.fetched = handshakes;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(crate) const fn lost(&self) -> u64 {
        self.lost
    }
}

/// So many datagrams per source, port and second, in a table that never grows.
///
/// `media/engines/handshakes.py` finds the same place for the same source.
#[derive(Debug)]
struct SourceLimit {
    per_s: u32,
    seed: u64,
    /// The second, and how many came in it. Empty until the first handshake comes.
    places: Vec<(Moment, u32)>,
}

impl SourceLimit {
    const fn new(per_s: u32, seed: u64) -> Self {
        Self { per_s, seed, places: Vec::new() }
    }

    fn admits(&mut self, local: Endpoint, host: IpAddr, now: Moment) -> bool {
        if self.places.is_empty() {
            self.places = vec![(0, 0); PLACES];
        }
        let (second, count) = &mut self.places[place(self.seed, local, host)];
        let this = now / SECOND;
        if *second != this {
            (*second, *count) = (this, 0);
        }
        *count = count.saturating_add(1);
        *count <= self.per_s
    }
}

/// Where a source stands in the table. Without the seed nobody can tell who stands there too.
fn place(seed: u64, local: Endpoint, host: IpAddr) -> usize {
    let mut hasher = Sha1::new();
    hasher.update(seed.to_be_bytes());
    update_host(&mut hasher, local.host);
    hasher.update(local.port.to_be_bytes());
    update_host(&mut hasher, host);
    let digest = hasher.finalize();
    usize::from(u16::from_be_bytes([digest[0], digest[1]])) % PLACES
}

fn update_host(hasher: &mut Sha1, host: IpAddr) {
    match host {
        IpAddr::V4(host) => hasher.update(host.octets()),
        IpAddr::V6(host) => hasher.update(host.octets()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn a_source_stands_where_the_engine_in_python_places_it() {
        for (local, host, expected) in
            [("192.0.2.1:20000", "198.51.100.1", 741), ("[2001:db8::1]:20001", "2001:db8::2", 892)]
        {
            let local: SocketAddr = local.parse().unwrap();
            assert_eq!(place(1, local.into(), host.parse().unwrap()), expected);
        }
    }
}
