//! What a relay reports of its own accord; rare, and plain data. Mirrors `media/events.py`.

use std::net::SocketAddr;
use std::time::Duration;

use crate::types::{Component, Endpoint, LatchRank, Refusal, SideName, StreamKey};

/// Something to tell signalling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A side's media now comes from, and goes to, another source than before.
    Latched {
        /// The stream.
        stream: StreamKey,
        /// The side.
        side: SideName,
        /// The port of the side.
        component: Component,
        /// The new source.
        source: Endpoint,
        /// What it has shown.
        rank: LatchRank,
        /// The source before; `None` when this is the first.
        previous: Option<Endpoint>,
    },
    /// A source that the latch does not accept sent to this side; its packets are dropped.
    ///
    /// Once per source and at a bounded rate: what is not reported is still counted.
    RelatchRefused {
        /// The stream.
        stream: StreamKey,
        /// The side.
        side: SideName,
        /// The port of the side.
        component: Component,
        /// Who sent.
        source: Endpoint,
        /// Why it is not learned.
        reason: Refusal,
    },
    /// A side that announced to send has been silent too long; once per silence.
    MediaTimeout {
        /// The stream.
        stream: StreamKey,
        /// The side.
        side: SideName,
        /// Since its last accepted packet, or since it was expected to begin.
        silent: Duration,
    },
    /// A side whose silence was reported sends again.
    MediaResumed {
        /// The stream.
        stream: StreamKey,
        /// The side.
        side: SideName,
    },
    /// Packets failed SRTP authentication; never a reason to end a call by itself.
    KeyErrors {
        /// The stream.
        stream: StreamKey,
        /// The side.
        side: SideName,
        /// Failures since the last such report of this side.
        count: u64,
    },
    /// A STUN or DTLS datagram for whoever does the handshakes of this side.
    Handshake {
        /// The stream.
        stream: StreamKey,
        /// The side.
        side: SideName,
        /// The port it came to, and that an answer must leave from.
        component: Component,
        /// Where it came from; nothing is proven by that.
        source: SocketAddr,
        /// The datagram; its first byte tells which of the two it is. Spec: RFC 7983 §7.
        data: Box<[u8]>,
    },
}

impl Event {
    /// The stream that it is about.
    pub const fn stream(&self) -> StreamKey {
        match self {
            Self::Latched { stream, .. }
            | Self::RelatchRefused { stream, .. }
            | Self::MediaTimeout { stream, .. }
            | Self::MediaResumed { stream, .. }
            | Self::KeyErrors { stream, .. }
            | Self::Handshake { stream, .. } => *stream,
        }
    }
}
