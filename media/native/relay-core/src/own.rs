//! The relay's own ports, all of them, whichever worker serves them.
//!
//! A port of the relay is a source only where the SDP announced exactly it, and a chain of calls
//! that would lead round to where it began must send nothing. Both are asked rarely: when a plan
//! changes, and for packets that do not come from the source in use.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::types::Endpoint;

/// Where what arrives at one of the relay's ports goes on to, by what is announced.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnPort {
    /// Where the leg of this port is.
    pub(crate) remote: Option<Endpoint>,
    /// Our RTP port toward the other leg.
    pub(crate) leaving_rtp: Endpoint,
    /// Our port toward the other leg that carries RTCP.
    pub(crate) leaving_rtcp: Endpoint,
}

/// The addresses of all ports of all workers; clones share one table.
#[derive(Clone, Debug, Default)]
pub struct OwnPorts {
    table: Arc<RwLock<HashMap<Endpoint, OwnPort>>>,
}

impl OwnPorts {
    /// An empty table, to be shared by the relays of one process.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the endpoint is one of ours.
    pub fn contains(&self, endpoint: &Endpoint) -> bool {
        self.read(|table| table.contains_key(endpoint))
    }

    pub(crate) fn insert(&self, local: Endpoint, port: OwnPort) {
        self.write(|table| table.insert(local, port));
    }

    pub(crate) fn remove(&self, local: &Endpoint) {
        self.write(|table| table.remove(local));
    }

    /// Whether a packet sent from `start` would, by what is announced, be sent from it again.
    ///
    /// Calls joined through this relay announce its own ports to it, in chains. A ring of them
    /// would carry one packet round for ever.
    pub(crate) fn comes_round(&self, start: &Endpoint) -> bool {
        self.read(|table| [false, true].into_iter().any(|rtcp| walks_round(table, start, rtcp)))
    }

    fn read<T>(&self, ask: impl FnOnce(&HashMap<Endpoint, OwnPort>) -> T) -> T {
        // Nothing panics while it holds the lock; a table is a table even if it did.
        ask(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut HashMap<Endpoint, OwnPort>) -> T) {
        change(&mut self.table.write().unwrap_or_else(PoisonError::into_inner));
    }
}

fn walks_round(table: &HashMap<Endpoint, OwnPort>, start: &Endpoint, rtcp: bool) -> bool {
    let mut at = *start;
    for _ in 0..table.len() {
        let next = table.get(&at).and_then(|port| port.remote).and_then(|to| table.get(&to));
        let Some(next) = next else {
            return false;
        };
        at = if rtcp { next.leaving_rtcp } else { next.leaving_rtp };
        if at == *start {
            return true;
        }
    }
    false
}
