//! What a leg's RTCP tells of the packets it receives, and how far away it is.

use serde::{Deserialize, Serialize};

use crate::counters::PeerView;
use crate::moment::Moment;
use crate::packet::split_rtcp_untrusted;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const BLOCK_BYTES: usize = 24;
/// Sender reports that an answer may still be about.
const REMEMBERED: usize = 2;
/// A round trip that is longer is a mistake.
const LONGEST_ROUND_TRIP: i64 = 60_000_000_000;

/// A sender report that went to the leg: the middle of its NTP timestamp, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct SentReport {
    stamp: u32,
    at: Moment,
}

/// The view of one leg.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PeerReports {
    view: Option<PeerView>,
    round_trip: Option<u64>,
    sent: [SentReport; REMEMBERED],
}

impl PeerReports {
    /// What the leg said last.
    pub(crate) const fn view(&self) -> Option<PeerView> {
        self.view
    }

    /// Time to the leg and back, in nanoseconds.
    pub(crate) const fn round_trip(&self) -> Option<u64> {
        self.round_trip
    }

    /// Notes the sender reports of plain compound RTCP that goes to the leg.
    pub(crate) fn note_sent_untrusted(&mut self, data: &[u8], now: Moment) {
        let mut rest = data;
        while let Some((packet, behind)) = split_rtcp_untrusted(rest) {
            rest = behind;
            // Header, SSRC, NTP seconds, NTP fraction: the stamp is the middle of the last two.
            if let ([_, SENDER_REPORT, ..], Some(stamp)) = (packet, word(packet, 10)) {
                self.sent.rotate_right(1);
                self.sent[0] = SentReport { stamp, at: now };
            }
        }
    }

    /// Reads the report blocks of plain compound RTCP that comes from the leg.
    ///
    /// Spec: RFC 3550 §6.4.1, §6.4.2.
    pub(crate) fn read_untrusted(&mut self, data: &[u8], now: Moment) {
        let mut rest = data;
        while let Some((packet, behind)) = split_rtcp_untrusted(rest) {
            rest = behind;
            let blocks = match packet {
                [_, SENDER_REPORT, ..] => packet.get(28..),
                [_, RECEIVER_REPORT, ..] => packet.get(8..),
                _ => None,
            };
            let count = packet.first().map_or(0, |first| usize::from(first & 0x1F));
            let blocks = blocks.unwrap_or_default().chunks_exact(BLOCK_BYTES);
            for block in blocks.take(count) {
                self.read_block(block, now);
            }
        }
    }

    /// Puts all times off by so much.
    pub(crate) fn shift(&mut self, by: Moment) {
        for sent in &mut self.sent {
            sent.at += by;
        }
    }

    fn read_block(&mut self, block: &[u8], now: Moment) {
        let at = |offset: usize| word(block, offset).unwrap_or_default();
        self.view = Some(PeerView {
            ssrc: at(0),
            fraction_lost: at(4).to_be_bytes()[0],
            // 24 bits with a sign, moved up so that the sign is where it belongs.
            lost: i32::from_be_bytes((at(4) << 8).to_be_bytes()) >> 8,
            jitter_ticks: at(12),
        });
        let (last_report, delay) = (at(16), at(20));
        if last_report == 0 {
            return;
        }
        if let Some(sent) = self.sent.iter().find(|sent| sent.stamp == last_report) {
            // The delay is in units of 2⁻¹⁶ seconds.
            let held = (i64::from(delay) * 1_000_000_000) >> 16;
            let round_trip = now - sent.at - held;
            if round_trip <= LONGEST_ROUND_TRIP {
                self.round_trip = Some(u64::try_from(round_trip).unwrap_or(0));
            }
        }
    }
}

fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().copied().map(u32::from_be_bytes)
}
