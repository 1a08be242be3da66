//! What waits to be told: a queue that never grows beyond its bound.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use crate::event::Event;
use crate::moment::{Moment, SECOND};
use crate::types::PortId;

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
    limit: SourceLimit,
}

impl Reporter {
    pub(crate) fn new(most: usize, handshakes_per_s: u32, seed: u64) -> Self {
        Self {
            events: VecDeque::new(),
            most: most.max(1),
            lost: 0,
            handshakes: 0,
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

    /// Whether one more handshake from this host may be handed up; counts it when it may.
    pub(crate) fn admits_handshake(&mut self, port: PortId, host: IpAddr, now: Moment) -> bool {
        let room = self.handshakes < self.most.div_ceil(HANDSHAKE_SHARE);
        let admitted = room && self.limit.admits(port, host, now);
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

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(crate) const fn lost(&self) -> u64 {
        self.lost
    }
}

/// So many datagrams per source, port and second, in a table that never grows.
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

    fn admits(&mut self, port: PortId, host: IpAddr, now: Moment) -> bool {
        if self.places.is_empty() {
            self.places = vec![(0, 0); PLACES];
        }
        let mut hasher = DefaultHasher::new();
        (self.seed, port, host).hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % PLACES as u64).unwrap_or(0);
        let (second, count) = &mut self.places[place];
        let this = now / SECOND;
        if *second != this {
            (*second, *count) = (this, 0);
        }
        *count = count.saturating_add(1);
        *count <= self.per_s
    }
}
