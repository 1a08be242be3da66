//! What a key remembers of each SSRC that it protects.

use serde::{Deserialize, Serialize};

use super::window::{RtcpWindow, RtpWindow};

/// How many SSRCs one key may protect.
///
/// A record may not be dropped and made again under the same key (its counter would repeat, or its
/// replay window forget), so there must be an end to them.
pub(crate) const MAX_SSRCS: usize = 64;

/// Indices of one SSRC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Source {
    pub(crate) rtp: RtpWindow,
    pub(crate) rtcp: RtcpWindow,
    pub(crate) ssrc: u32,
}

/// The SSRCs of one key: the first at hand, the rare others behind a pointer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sources {
    first: Option<Source>,
    others: Vec<Source>,
}

impl Sources {
    /// The record of an SSRC, if there is one.
    #[inline]
    pub(crate) fn find(&mut self, ssrc: u32) -> Option<&mut Source> {
        match &mut self.first {
            Some(first) if first.ssrc == ssrc => Some(first),
            _ => self.others.iter_mut().find(|source| source.ssrc == ssrc),
        }
    }

    /// The record of an SSRC, made when there is room; `None` when there are too many.
    #[inline]
    pub(crate) fn find_or_add(&mut self, ssrc: u32) -> Option<&mut Source> {
        // Asked twice because a borrow that is returned early cannot end otherwise.
        if self.find(ssrc).is_none() && !self.add(Source { ssrc, ..Source::default() }) {
            return None;
        }
        self.find(ssrc)
    }

    /// Reads what the next packet will need.
    #[inline]
    pub(crate) fn warm(&self) {
        std::hint::black_box(self.first.is_some());
    }

    /// Whether there is room for one more.
    pub(crate) fn has_room(&self) -> bool {
        self.first.is_none() || self.others.len() + 1 < MAX_SSRCS
    }

    /// Keeps a record, in place of the one before or as a new one; for a new one there must be room.
    #[inline]
    pub(crate) fn store(&mut self, source: Source) {
        match self.find(source.ssrc) {
            Some(known) => *known = source,
            None => {
                self.add(source);
            }
        }
    }

    /// Adds the record of an SSRC that has none; `false` when there are too many.
    fn add(&mut self, source: Source) -> bool {
        let room = self.has_room();
        if self.first.is_none() {
            self.first = Some(source);
        } else if room {
            self.others.push(source);
        }
        room
    }

    /// Whether there are no more than there may be; records from elsewhere are not trusted.
    pub(crate) fn is_within_bounds(&self) -> bool {
        self.others.len() < MAX_SSRCS
    }
}
