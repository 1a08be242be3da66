//! What the speech of one direction sounded like, window by window.
//!
//! A score for a whole call would be made of its total loss, and one bad minute would stand in it
//! for an hour. So every ten seconds have a score of their own, about as long as what listeners
//! judge in the tests that the scale comes from (ITU-T P.800), and the call has the last, the mean
//! and the worst of them.

use serde::{Deserialize, Serialize};

use crate::counters::SpeechQuality;
use crate::quality::{Conditions, is_listed, mean_opinion_score};
use crate::reception::{Reception, burst_ratio};

/// How many looks, one a second, a window has at least.
const WINDOW_LOOKS: u32 = 10;
/// How many packets a window has at least: pauses in speech make it longer.
const WINDOW_PACKETS: u64 = 100;

/// What a look needs to know besides the packets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    /// The RTP clock.
    pub(crate) clock_hz: u32,
    /// From one phone to the other in milliseconds, as far as it is known.
    pub(crate) delay_ms: f64,
}

/// The scores of the windows so far, and the window that is open.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ratings {
    last: f64,
    worst: f64,
    sum: f64,
    windows: u32,
    codec: Option<u8>,
    window: Window,
}

impl Ratings {
    /// Takes note of one more second, and of its score when that ends a window.
    pub(crate) fn look(&mut self, reception: &Reception, path: Path) {
        self.window.look(reception);
        if self.window.looks >= WINDOW_LOOKS {
            if let Some(score) = self.window.score(reception, path) {
                self.count(score);
                self.window = Window::after(reception);
            }
        }
    }

    /// The scores with that of the open window, if it has enough packets.
    pub(crate) fn report(&self, reception: &Reception, path: Path) -> Option<SpeechQuality> {
        let mut all = self.clone();
        if all.window.looks == 0 {
            all.window.look(reception);
        }
        if let Some(score) = all.window.score(reception, path) {
            all.count(score);
        }
        (all.windows > 0).then(|| SpeechQuality {
            last: all.last,
            mean: all.sum / f64::from(all.windows),
            worst: all.worst,
            windows: all.windows,
            codec: all.codec,
        })
    }

    fn count(&mut self, score: f64) {
        self.worst = if self.windows == 0 { score } else { self.worst.min(score) };
        self.last = score;
        self.sum += score;
        self.windows = self.windows.saturating_add(1);
        self.codec = self.window.codec;
    }
}

/// The totals when the window began, and what was seen at the looks since.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Window {
    expected_prior: u64,
    received_prior: u64,
    runs_prior: u64,
    jitter_sum: f64,
    looks: u32,
    codec: Option<u8>,
}

impl Window {
    fn after(reception: &Reception) -> Self {
        Self {
            expected_prior: reception.expected(),
            received_prior: reception.received(),
            runs_prior: reception.bursts().runs,
            ..Self::default()
        }
    }

    fn look(&mut self, reception: &Reception) {
        self.looks = self.looks.saturating_add(1);
        self.jitter_sum += reception.jitter_ticks();
        // A key press or comfort noise has a type of its own, and is no other codec.
        self.codec = reception.payload_type().filter(|&seen| is_listed(seen)).or(self.codec);
    }

    /// What it sounds like, after a look at least; `None` with too few packets.
    #[expect(clippy::cast_precision_loss, reason = "shares of packets")]
    fn score(&self, reception: &Reception, path: Path) -> Option<f64> {
        let expected = reception.expected().saturating_sub(self.expected_prior);
        if expected < WINDOW_PACKETS {
            return None;
        }
        let received = reception.received().saturating_sub(self.received_prior);
        let lost = expected.saturating_sub(received);
        let runs = reception.bursts().runs.saturating_sub(self.runs_prior);
        let jitter_ticks = self.jitter_sum / f64::from(self.looks);
        Some(mean_opinion_score(&Conditions {
            codec: self.codec,
            loss: lost as f64 / expected as f64,
            burst_ratio: burst_ratio(runs, lost, received),
            jitter_ms: jitter_ticks * 1e3 / f64::from(path.clock_hz.max(1)),
            delay_ms: path.delay_ms,
        }))
    }
}
