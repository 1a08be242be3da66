//! Which indices were seen: estimation of the rollover counter, and replay windows.
//!
//! Decisions are those of libsrtp where the RFC leaves them open, so that both engines agree:
//! windows of 128 packets, and a rollover counter that is zero until the index has passed the
//! middle of its first cycle.

use serde::{Deserialize, Serialize};

const WINDOW: u32 = 128;
const HALF: u64 = 1 << 15;
const MODULUS: u64 = 1 << 16;

/// The highest SRTP index. Spec: RFC 3711 §3.3.1 (48 bits).
pub(crate) const MAX_INDEX: u64 = (1 << 48) - 1;
/// The highest SRTCP index. Spec: RFC 3711 §3.4 (31 bits).
pub(crate) const MAX_RTCP_INDEX: u32 = (1 << 31) - 1;

/// One bit for each index of a window, in words that need no alignment beyond eight bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Bits([u64; 2]);

impl Bits {
    #[inline]
    const fn get(self) -> u128 {
        (self.0[1] as u128) << 64 | self.0[0] as u128
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the halves of one number")]
    const fn of(bits: u128) -> Self {
        Self([bits as u64, (bits >> 64) as u64])
    }
}

/// Why an index is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stale {
    /// Seen before, or too long ago to know.
    Replayed,
    /// Beyond what one key may count to.
    Exhausted,
}

/// The SRTP indices of one SSRC. Spec: RFC 3711 §3.3.1, §3.3.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RtpWindow {
    /// Bit n: `highest - n` was seen.
    seen: Bits,
    /// Rollover counter and sequence number of the newest packet.
    highest: u64,
}

impl RtpWindow {
    /// The index that a sequence number most probably stands for, when it may be used.
    #[inline]
    pub(crate) fn check(&self, sequence: u16) -> Result<u64, Stale> {
        let index = self.estimate(sequence);
        if index > self.highest {
            return if index > MAX_INDEX { Err(Stale::Exhausted) } else { Ok(index) };
        }
        let behind = self.highest - index;
        if behind >= u64::from(WINDOW) || self.seen.get() >> behind & 1 == 1 {
            return Err(Stale::Replayed);
        }
        Ok(index)
    }

    /// Notes an index that `check` gave and that was used.
    #[inline]
    pub(crate) fn note(&mut self, index: u64) {
        if index > self.highest {
            let ahead = index - self.highest;
            let kept = if ahead >= u64::from(WINDOW) { 0 } else { self.seen.get() << ahead };
            self.seen = Bits::of(kept | 1);
            self.highest = index;
        } else {
            let behind = self.highest - index;
            if behind < u64::from(WINDOW) {
                self.seen = Bits::of(self.seen.get() | 1 << behind);
            }
        }
    }

    #[inline]
    fn estimate(&self, sequence: u16) -> u64 {
        let sequence = u64::from(sequence);
        if self.highest <= HALF {
            return sequence;
        }
        let cycle = self.highest & !(MODULUS - 1);
        let newest = self.highest & (MODULUS - 1);
        if newest < HALF && sequence > newest + HALF {
            // `highest` is above HALF, so there was a cycle before this one.
            cycle - MODULUS + sequence
        } else if newest >= HALF && sequence < newest - HALF {
            cycle + MODULUS + sequence
        } else {
            cycle + sequence
        }
    }

    /// A window that has seen everything up to an index; for tests of what comes after it.
    #[cfg(test)]
    pub(crate) const fn at(highest: u64) -> Self {
        Self { seen: Bits::of(u128::MAX), highest }
    }
}

/// The SRTCP indices of one SSRC: those received, or the last one sent. Spec: RFC 3711 §3.4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RtcpWindow {
    /// Bit n: `start + n` was seen.
    seen: Bits,
    start: u32,
}

impl RtcpWindow {
    /// Whether an index that a packet names may be used.
    pub(crate) fn check(&self, index: u32) -> Result<(), Stale> {
        match index.checked_sub(self.start) {
            None => Err(Stale::Replayed),
            Some(ahead) if ahead < WINDOW && self.seen.get() >> ahead & 1 == 1 => {
                Err(Stale::Replayed)
            }
            Some(_) => Ok(()),
        }
    }

    /// Notes an index that `check` let pass and that was used.
    pub(crate) fn note(&mut self, index: u32) {
        let Some(ahead) = index.checked_sub(self.start) else {
            return;
        };
        if ahead < WINDOW {
            self.seen = Bits::of(self.seen.get() | 1 << ahead);
            return;
        }
        let shift = ahead - (WINDOW - 1);
        let kept = if shift >= WINDOW { 0 } else { self.seen.get() >> shift };
        self.seen = Bits::of(kept | 1 << (WINDOW - 1));
        self.start += shift;
    }

    /// The next index to send with; the first is 1.
    pub(crate) fn next(&mut self) -> Result<u32, Stale> {
        if self.start >= MAX_RTCP_INDEX {
            return Err(Stale::Exhausted);
        }
        self.start += 1;
        Ok(self.start)
    }

    /// A sender's window that stands at an index; for tests of what comes after it.
    #[cfg(test)]
    pub(crate) const fn at(start: u32) -> Self {
        Self { seen: Bits::of(0), start }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[expect(clippy::cast_possible_truncation, reason = "that is what is sent")]
    fn sent(index: u64) -> u16 {
        index as u16
    }

    proptest! {
        /// Losses below half a cycle, reordering and duplication: every index is found, through
        /// any number of wraps, and taken exactly once as long as the window reaches it.
        #[test]
        fn each_index_is_taken_once_through_loss_reorder_and_wrap(
            first in 0_u64..65_536,
            steps in prop::collection::vec((1_u64..32_000, 0_u64..300), 1..300),
        ) {
            let mut window = RtpWindow::default();
            let mut taken = std::collections::HashSet::new();
            let mut highest = first;
            window.note(window.check(sent(first)).expect("the first is always taken"));
            taken.insert(first);
            for (ahead, behind) in steps {
                highest += ahead;
                prop_assert_eq!(window.check(sent(highest)), Ok(highest));
                window.note(highest);
                taken.insert(highest);
                // A straggler, or a packet that came before.
                let late = highest.saturating_sub(behind).max(first);
                let fresh = highest - late < 128 && !taken.contains(&late);
                let checked = window.check(sent(late));
                prop_assert_eq!(checked, if fresh { Ok(late) } else { Err(Stale::Replayed) });
                if fresh {
                    window.note(late);
                    taken.insert(late);
                }
                prop_assert_eq!(window.check(sent(highest)), Err(Stale::Replayed));
            }
        }

        #[test]
        fn no_sequence_of_numbers_is_taken_twice_under_one_index(
            numbers in prop::collection::vec(any::<u16>(), 1..400),
        ) {
            let mut window = RtpWindow::default();
            let mut taken = std::collections::HashSet::new();
            for number in numbers {
                if let Ok(index) = window.check(number) {
                    prop_assert_eq!(sent(index), number);
                    prop_assert!(taken.insert(index));
                    window.note(index);
                }
            }
        }

        #[test]
        fn each_srtcp_index_is_taken_once(
            numbers in prop::collection::vec(0_u32..1000, 1..400),
        ) {
            let mut window = RtcpWindow::default();
            let mut taken = std::collections::HashSet::new();
            for number in numbers {
                if window.check(number).is_ok() {
                    prop_assert!(taken.insert(number));
                    window.note(number);
                } else {
                    let newest = taken.iter().max().copied().unwrap_or(0);
                    prop_assert!(taken.contains(&number) || newest - number > 126);
                }
            }
        }
    }

    #[test]
    fn the_last_index_is_the_last() {
        let window = RtpWindow::at(MAX_INDEX);
        assert_eq!(window.check(0), Err(Stale::Exhausted));
        let mut window = RtcpWindow::at(MAX_RTCP_INDEX - 1);
        assert_eq!(window.next(), Ok(MAX_RTCP_INDEX));
        assert_eq!(window.next(), Err(Stale::Exhausted));
    }
}
