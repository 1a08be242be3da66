//! Times inside the crate: signed, so that an age may reach back beyond the clock's beginning.

use crate::types::Nanoseconds;

/// Nanoseconds of the caller's clock.
pub(crate) type Moment = i64;

/// One second.
pub(crate) const SECOND: Moment = 1_000_000_000;
/// Before everything, and still far from overflow when times are subtracted.
pub(crate) const LONG_AGO: Moment = i64::MIN / 4;

/// The moment that the caller says it is; clocks stay far below 2⁶² nanoseconds (146 years).
#[inline]
#[expect(clippy::cast_possible_wrap, reason = "the two highest bits are off")]
pub(crate) const fn moment(now: Nanoseconds) -> Moment {
    (now & (u64::MAX >> 2)) as Moment
}
