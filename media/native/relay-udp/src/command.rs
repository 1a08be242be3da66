//! What an engine is told, and why it may refuse.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use relay_core::{PlanError, StreamPlan};

use crate::socket::{SocketRefused, describe};
use crate::worker::Poisoned;

/// How packets are read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// io_uring with multishot receives and batched sends.
    IoUring,
    /// epoll with recvmmsg and sendmmsg.
    Epoll,
}

impl fmt::Display for Tier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::IoUring => "io_uring",
            Self::Epoll => "epoll",
        })
    }
}

/// What an engine is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many worker threads; at least one.
    pub workers: usize,
    /// The tier to use; None for the best that works.
    pub tier: Option<Tier>,
    /// How many streams may be open at once.
    pub max_streams: usize,
    /// Entropy for the brain.
    pub seed: u64,
}

/// One stream as it shall be.
#[derive(Clone, Debug)]
pub struct StreamSpec {
    /// What the brain must know, and the addresses to bind.
    pub plan: StreamPlan,
    /// The DSCP of packets to each side; six bits.
    pub dscp: [u8; 2],
}

/// One thing to do; streams go by numbers that are never used again.
#[derive(Clone, Debug)]
pub enum Command {
    /// Opens the four ports of a stream.
    Open(u64, StreamSpec),
    /// Makes an open stream what the spec says.
    Update(u64, StreamSpec),
    /// Closes a stream; one that is not open is no fault.
    Close(u64),
}

/// Why nothing of a list was done.
#[derive(Debug)]
pub enum Refused {
    /// The engine was closed, or a worker died.
    Stopped,
    /// A port cannot be had.
    Socket(SocketRefused),
    /// A socket cannot be watched.
    Watch(io::Error),
    /// As many streams are open as may be.
    Full(usize),
    /// The plan cannot be done; also that a stream is opened twice, or changed and not open.
    Plan(PlanError),
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => out.write_str("the media engine has stopped"),
            Self::Socket(refused) => refused.fmt(out),
            Self::Watch(error) => write!(out, "cannot watch one more port: {}", describe(error)),
            Self::Full(streams) => {
                write!(out, "{streams} streams are open, as many as this engine takes")
            }
            Self::Plan(error) => error.fmt(out),
        }
    }
}

impl std::error::Error for Refused {}

impl From<Poisoned> for Refused {
    fn from(_: Poisoned) -> Self {
        Self::Stopped
    }
}

impl StreamSpec {
    /// The addresses to bind: RTP and RTCP of side A, then of side B.
    pub(crate) fn locals(&self) -> [SocketAddr; 4] {
        let StreamPlan { a, b, .. } = &self.plan;
        [a.local, a.local_rtcp, b.local, b.local_rtcp].map(SocketAddr::from)
    }
}
