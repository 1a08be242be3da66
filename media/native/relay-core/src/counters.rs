//! What is counted on a side, and what can be asked of its ports.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::types::{DropReason, Endpoint, LatchRank};

/// What arrived on one side of a stream and what became of it. Totals since the side opened.
///
/// The first eight fields mean what `FlowCounters` of `media/types.py` means by them.
#[derive(Clone, Debug, PartialEq)]
pub struct SideCounters {
    /// RTP packets accepted from this side.
    pub packets: u64,
    /// UDP payload bytes of those packets.
    pub octets: u64,
    /// RTCP packets accepted from this side.
    pub rtcp_packets: u64,
    /// RTP packets sent to this side.
    pub sent_packets: u64,
    /// Packets missing from the sequence, never negative. Spec: RFC 3550 A.3.
    pub lost: u64,
    /// Interarrival jitter in RTP clock ticks. Spec: RFC 3550 A.8.
    pub jitter_ticks: f64,
    /// Datagrams from this side that were not relayed, by the number of the `DropReason` less one.
    pub drops: [u64; DropReason::ALL.len()],
    /// What the leg's speech sounds like; `None` where it is none, and before there was enough.
    pub speech: Option<SpeechQuality>,
    /// Loss of the last whole second and of the worst one.
    pub interval: IntervalLoss,
    /// How the loss is spread.
    pub bursts: BurstLoss,
    /// What the leg says of the packets that are relayed to it, when it sends reports.
    pub peer: Option<PeerView>,
    /// Time to the leg and back, by its reports, in nanoseconds. Spec: RFC 3550 §6.4.1.
    pub round_trip_ns: Option<u64>,
}

impl SideCounters {
    /// How many datagrams were dropped for one reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops[usize::from(reason.number()) - 1]
    }
}

/// Loss by the second and not since the beginning, so that a bad minute shows after a good hour.
///
/// Spec: RFC 3550 A.3 (the fraction lost).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntervalLoss {
    /// Packets that should have come in the last whole interval.
    pub expected: u32,
    /// Packets of those that did not.
    pub lost: u32,
    /// The highest share of packets lost in any interval of ten packets or more, in thousandths.
    pub worst_permille: u16,
}

/// Runs of packets lost one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BurstLoss {
    /// How many runs there were.
    pub runs: u64,
    /// Packets in the longest.
    pub longest: u32,
    /// Mean length of a run against the one that loss by chance would have: 1 is chance, more is
    /// burstier. Spec: ITU-T G.107 §7.5 (`BurstR`).
    pub ratio: f64,
}

/// Mean opinion scores, from 1 to 4.5, of what a leg says as it reaches us.
///
/// Each is of a window of ten seconds and at least a hundred packets, by its loss, its jitter and
/// the delay between the phones at its end; the window that is open counts when it has as many
/// packets. Spec: ITU-T G.107.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpeechQuality {
    /// Of the last window.
    pub last: f64,
    /// The mean of all.
    pub mean: f64,
    /// Of the worst.
    pub worst: f64,
    /// How many there were.
    pub windows: u32,
    /// The static payload type whose figures in G.113 were used in the last; `None` for a codec
    /// that has none there and was taken for G.711 with concealment.
    pub codec: Option<u8>,
}

/// What a leg's last RTCP report block says. Spec: RFC 3550 §6.4.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerView {
    /// The SSRC it speaks of.
    pub ssrc: u32,
    /// Share of packets lost since its report before, in 256ths.
    pub fraction_lost: u8,
    /// Packets lost since it began to listen; negative when there were duplicates.
    pub lost: i32,
    /// Interarrival jitter in RTP clock ticks.
    pub jitter_ticks: u32,
}

/// Where one port's media comes from and goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatchReport {
    /// The learned source; `None` before one was learned.
    pub source: Option<Endpoint>,
    /// What it has shown.
    pub rank: LatchRank,
    /// Where packets to the leg are sent now; `None` when there is nowhere yet.
    pub destination: Option<SocketAddr>,
}
