//! What the media relay does with one datagram: packets in, verdicts out.
//!
//! No input or output, no clock, no threads, no unsafe code. Bytes come in place in the caller's
//! buffer, the time is an argument, and what there is to tell waits in a bounded queue.

#![forbid(unsafe_code)]
#![warn(clippy::pedantic, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::must_use_candidate, reason = "nobody asks without wanting to know")]

mod buffer;
mod counters;
mod event;
mod latch;
mod moment;
mod moving;
mod own;
mod packet;
mod plan;
mod police;
mod port;
mod quality;
mod rating;
mod reception;
mod relay;
mod reporter;
mod reports;
mod side;
mod srtp;
mod stream;
mod types;
mod watch;

pub use buffer::{PacketBuf, TAIL_ROOM_BYTES};
pub use counters::{BurstLoss, IntervalLoss, LatchReport, PeerView, SideCounters, SpeechQuality};
pub use event::Event;
pub use moving::StreamState;
pub use own::OwnPorts;
pub use packet::{
    PacketKind, RtpHeader, classify_untrusted, is_compound_rtcp_untrusted, read_rtcp_untrusted,
    read_rtp_untrusted,
};
pub use plan::{MAX_MKI_BYTES, PlanError, SidePlan, SrtpKeys, StreamPlan};
pub use port::is_unicast;
pub use relay::{Limits, Opener, Relay, Verdict};
pub use types::{
    Component, DropReason, Endpoint, LatchRank, Nanoseconds, PortId, Refusal, SideName, SrtpSuite,
    StreamKey,
};
