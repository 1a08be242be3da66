//! What a leg's RTCP tells of the packets it receives, and how far away it is.

use serde::{Deserialize, Serialize};

use crate::counters::PeerView;
use crate::moment::{Moment, SECOND};
use crate::packet::split_rtcp_untrusted;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
/// Header, SSRC, NTP timestamp, RTP timestamp, two counts; blocks follow.
const SENDER_BYTES: usize = 28;
/// Header and SSRC; blocks follow.
const RECEIVER_BYTES: usize = 8;
const BLOCK_BYTES: usize = 24;
/// Sender reports that an answer may still be about.
const REMEMBERED: usize = 2;
/// A round trip that is longer is a mistake.
const LONGEST_ROUND_TRIP: Moment = 60 * SECOND;
/// A leg whose clock runs fast may seem to have held a report a little longer than it had it; a
/// round trip that is further below zero is a mistake.
const CLOCK_ERROR: Moment = SECOND / 100;

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
            if matches!(packet, [_, SENDER_REPORT, ..]) && packet.len() >= SENDER_BYTES {
                self.sent.rotate_right(1);
                // The middle of the eight bytes of the NTP timestamp.
                self.sent[0] = SentReport { stamp: word(packet, 10), at: now };
            }
        }
    }

    /// Reads the report blocks of plain compound RTCP that comes from the leg.
    ///
    /// What it says of another source than `heard`, which is the one that is relayed to it, counts
    /// for nothing: it is out of date, or not ours. Spec: RFC 3550 §6.4.1, §6.4.2.
    pub(crate) fn read_untrusted(&mut self, data: &[u8], heard: Option<u32>, now: Moment) {
        let mut rest = data;
        while let Some((packet, behind)) = split_rtcp_untrusted(rest) {
            rest = behind;
            let (first, begin) = match packet {
                [first, SENDER_REPORT, ..] => (first, SENDER_BYTES),
                [first, RECEIVER_REPORT, ..] => (first, RECEIVER_BYTES),
                _ => continue,
            };
            let count = usize::from(first & 0x1F);
            let blocks = packet.get(begin..).unwrap_or_default().chunks_exact(BLOCK_BYTES);
            for block in blocks.take(count) {
                if heard == Some(word(block, 0)) {
                    self.view = Some(view_of(block));
                }
                self.measure(word(block, 16), word(block, 20), now);
            }
        }
    }

    /// Puts all times off by so much.
    pub(crate) fn shift(&mut self, by: Moment) {
        for sent in &mut self.sent {
            sent.at += by;
        }
    }

    /// The round trip by LSR and DLSR of a block; no LSR is zero.
    ///
    /// The time a report went out is what our clock said, so the leg's NTP clock may be wrong.
    fn measure(&mut self, last_report: u32, delay: u32, now: Moment) {
        if last_report == 0 {
            return;
        }
        if let Some(sent) = self.sent.iter().find(|sent| sent.stamp == last_report) {
            // The delay is in units of 2⁻¹⁶ seconds.
            let held = (Moment::from(delay) * SECOND) >> 16;
            let round_trip = now - sent.at - held;
            if (-CLOCK_ERROR..=LONGEST_ROUND_TRIP).contains(&round_trip) {
                self.round_trip = Some(u64::try_from(round_trip).unwrap_or(0));
            }
        }
    }
}

/// What a whole block says of the packets that came.
fn view_of(block: &[u8]) -> PeerView {
    let loss = word(block, 4);
    PeerView {
        ssrc: word(block, 0),
        fraction_lost: loss.to_be_bytes()[0],
        // 24 bits with a sign, moved up so that the sign is where it belongs.
        lost: i32::from_be_bytes((loss << 8).to_be_bytes()) >> 8,
        jitter_ticks: word(block, 12),
    }
}

/// Four bytes as a number; zero where they are not there.
fn word(bytes: &[u8], offset: usize) -> u32 {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).copied().map_or(0, u32::from_be_bytes)
}
