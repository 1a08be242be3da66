//! Loss and jitter of the RTP that one side sends. Spec: RFC 3550 A.1, A.3, A.8.

use serde::{Deserialize, Serialize};

use crate::counters::{BurstLoss, IntervalLoss};
use crate::packet::RtpHeader;

const MODULUS: u64 = 1 << 16;
const MAX_DROPOUT: u16 = 3000;
const MAX_MISORDER: u16 = 100;
/// A packet that is so much earlier or later than the one before was not held up by a network: its
/// sender began its clock anew. One second at the fastest clock, that of video.
const LEAP_TICKS: f64 = 90_000.0;
/// With fewer packets, as in a pause in speech, the share of a second that is lost says nothing.
const LEAST_PACKETS: u64 = 10;
const HALF_TIMESTAMP: f64 = 2_147_483_648.0;
const TIMESTAMPS: f64 = 4_294_967_296.0;

/// Loss and jitter over all the SSRCs that a side used.
///
/// The source itself is judged elsewhere (latch, SRTP), so counting starts with its first packet
/// and not, as in A.1, with the second in sequence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reception {
    transit: f64,
    jitter: f64,
    cycles: u64,
    received: u64,
    expected_before: u64,
    lost_before: u64,
    received_before: u64,
    ssrc: Option<u32>,
    highest: u16,
    base: u16,
    /// The sequence number that would confirm a jump; none when it does not fit a `u16`.
    bad: Option<u16>,
    payload_type: u8,
    runs: LossRuns,
    interval: Interval,
}

impl Reception {
    /// Counts one packet that arrived at `arrival_ticks` of the RTP clock from any fixed moment.
    #[inline]
    pub(crate) fn receive(&mut self, header: &RtpHeader, arrival_ticks: f64) {
        let transit = arrival_ticks - f64::from(header.timestamp);
        self.payload_type = header.payload_type;
        if self.ssrc != Some(header.ssrc) {
            self.start(header.sequence, transit);
            self.ssrc = Some(header.ssrc);
            return;
        }
        let ahead = header.sequence.wrapping_sub(self.highest);
        if ahead < MAX_DROPOUT {
            if ahead > 1 {
                self.runs.lose(self.highest.wrapping_add(1), ahead - 1);
            }
            if header.sequence < self.highest {
                self.cycles += MODULUS;
            }
            self.highest = header.sequence;
        } else if ahead <= 0_u16.wrapping_sub(MAX_MISORDER) {
            if self.bad != Some(header.sequence) {
                self.bad = Some(header.sequence.wrapping_add(1));
                return;
            }
            self.start(header.sequence, transit);
            return;
        } else {
            self.runs.find(header.sequence);
        }
        self.received += 1;
        let mut change = (transit - self.transit).abs();
        self.transit = transit;
        if change > LEAP_TICKS {
            // Unless the timestamp only wrapped between the two packets.
            change = ((change + HALF_TIMESTAMP).rem_euclid(TIMESTAMPS) - HALF_TIMESTAMP).abs();
            if change > LEAP_TICKS {
                return;
            }
        }
        self.jitter += (change - self.jitter) / 16.0;
    }

    /// Whether a packet is ahead of everything seen of its SSRC; a new SSRC always is.
    #[inline]
    pub(crate) fn is_newer(&self, header: &RtpHeader) -> bool {
        let ahead = header.sequence.wrapping_sub(self.highest);
        self.ssrc != Some(header.ssrc) || (0 < ahead && ahead < 1 << 15)
    }

    /// The SSRC in use; `None` before the first packet.
    pub(crate) const fn ssrc(&self) -> Option<u32> {
        self.ssrc
    }

    /// Packets missing so far; duplicates never make it negative.
    pub(crate) fn lost(&self) -> u64 {
        self.lost_before + self.lost_now()
    }

    /// Packets that should have arrived, by their sequence numbers.
    pub(crate) fn expected(&self) -> u64 {
        self.expected_before + self.expected_now()
    }

    /// Packets that arrived, with duplicates.
    pub(crate) const fn received(&self) -> u64 {
        self.received_before + self.received
    }

    /// Smoothed interarrival jitter in ticks of the RTP clock.
    pub(crate) const fn jitter_ticks(&self) -> f64 {
        self.jitter
    }

    /// The payload type of the last packet; `None` before there was one.
    pub(crate) fn payload_type(&self) -> Option<u8> {
        self.ssrc.map(|_| self.payload_type)
    }

    /// Runs of lost packets so far.
    pub(crate) fn bursts(&self) -> BurstLoss {
        let mut all = self.runs.clone();
        all.close();
        let ratio = burst_ratio(all.runs, self.lost(), self.received());
        BurstLoss { runs: all.runs, longest: all.longest, ratio }
    }

    /// The interval that ended last, and the worst one.
    pub(crate) const fn interval(&self) -> IntervalLoss {
        self.interval.report
    }

    /// Ends an interval.
    pub(crate) fn end_interval(&mut self) {
        let (expected, received) = (self.expected(), self.received());
        self.interval.end(expected, received);
    }

    /// Puts the arrival times off by so many ticks.
    pub(crate) fn shift(&mut self, ticks: f64) {
        self.transit += ticks;
    }

    fn start(&mut self, sequence: u16, transit: f64) {
        self.lost_before += self.lost_now();
        self.expected_before += self.expected_now();
        self.received_before += self.received;
        self.base = sequence;
        self.highest = sequence;
        self.bad = None;
        self.cycles = 0;
        self.received = 1;
        self.transit = transit;
        self.runs.close();
    }

    fn expected_now(&self) -> u64 {
        match self.ssrc {
            Some(_) => (self.cycles + u64::from(self.highest) + 1) - u64::from(self.base),
            None => 0,
        }
    }

    fn lost_now(&self) -> u64 {
        self.expected_now().saturating_sub(self.received)
    }
}

/// Mean length of a run of lost packets against the one that loss by chance would have: 1 is
/// chance, more is burstier.
///
/// By the two-state Markov model, 1 / (p + q): p is how often a loss follows a packet, q how often
/// a packet follows a loss. Spec: ITU-T G.107 §7.5 (`BurstR`).
#[expect(clippy::cast_precision_loss, reason = "shares of packets")]
pub(crate) fn burst_ratio(runs: u64, lost: u64, received: u64) -> f64 {
    if runs == 0 || lost == 0 || received == 0 {
        return 1.0;
    }
    1.0 / (runs as f64 / received as f64 + runs as f64 / lost as f64)
}

/// Packets lost one after the other, with the last run still open to late packets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct LossRuns {
    runs: u64,
    longest: u32,
    first: u16,
    length: u16,
    missing: u16,
}

impl LossRuns {
    fn lose(&mut self, first: u16, length: u16) {
        self.close();
        (self.first, self.length, self.missing) = (first, length, length);
    }

    /// A packet of the open run may have come late.
    fn find(&mut self, sequence: u16) {
        if sequence.wrapping_sub(self.first) < self.length {
            self.missing = self.missing.saturating_sub(1);
        }
    }

    fn close(&mut self) {
        if self.missing > 0 {
            self.runs += 1;
            self.longest = self.longest.max(u32::from(self.missing));
        }
        (self.length, self.missing) = (0, 0);
    }
}

/// Expected and received at the end of the interval before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Interval {
    expected_prior: u64,
    received_prior: u64,
    report: IntervalLoss,
}

impl Interval {
    /// Spec: RFC 3550 A.3 (fraction lost).
    fn end(&mut self, expected: u64, received: u64) {
        let due = expected.saturating_sub(self.expected_prior);
        let came = received.saturating_sub(self.received_prior);
        let lost = due.saturating_sub(came);
        (self.expected_prior, self.received_prior) = (expected, received);
        self.report.expected = u32::try_from(due).unwrap_or(u32::MAX);
        self.report.lost = u32::try_from(lost).unwrap_or(u32::MAX);
        if due >= LEAST_PACKETS {
            let permille = u16::try_from(lost * 1000 / due).unwrap_or(1000);
            self.report.worst_permille = self.report.worst_permille.max(permille);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_by_chance_has_the_burst_ratio_one() {
        // 1 of 10 lost by chance: 100 of 1000, in runs of 1 / 0.9 packets, so 90 runs.
        assert!((burst_ratio(90, 100, 900) - 1.0).abs() < 1e-9);
        assert!((burst_ratio(20, 100, 900) - 4.5).abs() < 1e-9);
        assert!((burst_ratio(0, 0, 900) - 1.0).abs() < f64::EPSILON);
    }
}
