//! The bit rate that is allowed.

use serde::{Deserialize, Serialize};

use crate::moment::{Moment, SECOND};

/// Four full Ethernet frames: a video frame or a phone's catch-up after Wi-Fi silence fits.
const LEAST_BURST_BYTES: i64 = 6000;
/// A quarter of a second's worth may come at once.
const BURSTS_PER_S: i64 = 4;
/// More than any link, and low enough that a full bucket fits its number.
const MOST_KBPS: i64 = 16_000_000;

/// A token bucket, counting in bytes times nanoseconds so that nothing is rounded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BitRateLimit {
    bytes_per_s: i64,
    capacity: i64,
    level: i64,
    updated: Moment,
}

impl BitRateLimit {
    /// A full bucket.
    pub(crate) fn new(max_kbps: u32, now: Moment) -> Self {
        let bytes_per_s = i64::from(max_kbps).min(MOST_KBPS) * 125;
        let capacity = (bytes_per_s * (SECOND / BURSTS_PER_S)).max(LEAST_BURST_BYTES * SECOND);
        Self { bytes_per_s, capacity, level: capacity, updated: now }
    }

    /// Takes so many bytes of UDP payload from the bucket, or says that they are too many.
    #[inline]
    pub(crate) fn admits(&mut self, bytes: usize, now: Moment) -> bool {
        let passed = now.saturating_sub(self.updated).max(0);
        let gained = passed.saturating_mul(self.bytes_per_s);
        self.level = self.level.saturating_add(gained).min(self.capacity);
        self.updated = now;
        let cost = i64::try_from(bytes).unwrap_or(i64::MAX).saturating_mul(SECOND);
        let fits = cost <= self.level;
        if fits {
            self.level -= cost;
        }
        fits
    }

    /// Puts all times off by so much.
    pub(crate) fn shift(&mut self, by: Moment) {
        self.updated += by;
    }
}
