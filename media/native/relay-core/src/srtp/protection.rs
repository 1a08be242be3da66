//! One kind of session keys or the other, and where in a packet they leave their traces.
//!
//! ```text
//! SRTP    counter mode   header  payload*  MKI  tag        GCM   header  payload* tag  MKI
//! SRTCP   counter mode   header  rest*  E+index  MKI  tag  GCM   header  rest* tag  E+index  MKI
//! ```
//! A star marks what is encrypted. Spec: RFC 3711 §3.1, §3.4, RFC 7714 §8.2, §9.2.

use crate::buffer::PacketBuf;
use crate::types::DropReason;

use super::counter::CounterMode;
use super::derive::Derivation;
use super::gcm::{Gcm, TAG_BYTES};
use super::suite::SuiteFacts;

/// Bytes of SRTCP that stay in the clear: the header and the sender's SSRC.
pub(crate) const RTCP_CLEAR_BYTES: usize = 8;
/// Bytes of the E flag and the SRTCP index.
const INDEX_BYTES: usize = 4;
const E_FLAG: u32 = 1 << 31;
/// The longest unencrypted SRTCP packet, and the word.
const MAX_ASSOCIATED_BYTES: usize = 1504;

/// Session keys of SRTP or of SRTCP.
#[derive(Clone)]
pub(crate) enum Protection {
    Counter(CounterMode),
    Gcm(Gcm),
}

impl Protection {
    pub(crate) fn new(facts: &SuiteFacts, derivation: &Derivation, rtcp: bool) -> Option<Self> {
        if facts.aead {
            return Gcm::new(derivation, rtcp, facts.key_bytes).map(Self::Gcm);
        }
        let tag_bytes = if rtcp { facts.rtcp_tag_bytes } else { facts.rtp_tag_bytes };
        CounterMode::new(derivation, rtcp, facts.key_bytes, tag_bytes).map(Self::Counter)
    }

    /// Reads what the next packet will need.
    #[inline]
    pub(crate) fn warm(&self) {
        match self {
            Self::Counter(mode) => mode.warm(),
            Self::Gcm(mode) => mode.warm(),
        }
    }

    #[inline]
    pub(crate) const fn tag_bytes(&self) -> usize {
        match self {
            Self::Counter(mode) => mode.tag_bytes(),
            Self::Gcm(_) => TAG_BYTES,
        }
    }

    /// Whether a packet carries this MKI where it should; shorter packets do not.
    ///
    /// An empty one is not even looked for: comparing no bytes at the address of an empty slice
    /// costs 100 ns where the C library masks its loads.
    #[inline]
    pub(crate) fn has_mki(&self, data: &[u8], mki: &[u8]) -> bool {
        if mki.is_empty() {
            return true;
        }
        let behind = match self {
            Self::Counter(mode) => mode.tag_bytes(),
            Self::Gcm(_) => 0,
        };
        data.len().checked_sub(behind).is_some_and(|end| data[..end].ends_with(mki))
    }

    /// Protects an RTP packet whose header ends at `header`.
    #[inline]
    pub(crate) fn protect_rtp(
        &self,
        packet: &mut PacketBuf<'_>,
        header: usize,
        id: PacketId<'_>,
    ) -> Result<(), DropReason> {
        let end = packet.len();
        let added = id.mki.len() + self.tag_bytes();
        if header > end || !packet.grow(added) {
            return Err(DropReason::TooLong);
        }
        let (body, trailer) = packet.data_mut().split_at_mut(end);
        match self {
            Self::Counter(mode) => {
                mode.apply(id.ssrc, id.index, &mut body[header..]);
                let tag = mode.rtp_tag(body, id.index);
                write(trailer, &[id.mki, &tag[..mode.tag_bytes()]]);
            }
            Self::Gcm(mode) => {
                let (header, payload) = body.split_at_mut(header);
                let tag = mode.seal(id.ssrc, id.index, header, payload);
                write(trailer, &[&tag, id.mki]);
            }
        }
        Ok(())
    }

    /// Opens an SRTP packet whose header ends at `header`; `false` leaves it as it is.
    #[inline]
    pub(crate) fn open_rtp_untrusted(
        &self,
        packet: &mut PacketBuf<'_>,
        header: usize,
        id: PacketId<'_>,
    ) -> bool {
        let added = id.mki.len() + self.tag_bytes();
        let end = match packet.len().checked_sub(added) {
            Some(end) if end >= header => end,
            _ => return false,
        };
        let (body, trailer) = packet.data_mut().split_at_mut(end);
        let right = match self {
            Self::Counter(mode) => {
                let right = mode.rtp_tag(body, id.index);
                let right = mode.is_right(&right, &trailer[id.mki.len()..]);
                if right {
                    mode.apply(id.ssrc, id.index, &mut body[header..]);
                }
                right
            }
            Self::Gcm(mode) => {
                let (header, payload) = body.split_at_mut(header);
                mode.open(id.ssrc, id.index, header, payload, &trailer[..TAG_BYTES])
            }
        };
        if right {
            packet.truncate(end);
        }
        right
    }

    /// Protects an RTCP packet.
    pub(crate) fn protect_rtcp(
        &self,
        packet: &mut PacketBuf<'_>,
        id: PacketId<'_>,
    ) -> Result<(), DropReason> {
        let end = packet.len();
        let added = INDEX_BYTES + id.mki.len() + self.tag_bytes();
        if end < RTCP_CLEAR_BYTES || !packet.grow(added) {
            return Err(DropReason::TooLong);
        }
        let word = index_word(id.index);
        let (body, trailer) = packet.data_mut().split_at_mut(end);
        match self {
            Self::Counter(mode) => {
                mode.apply(id.ssrc, id.index, &mut body[RTCP_CLEAR_BYTES..]);
                write(trailer, &[&word]);
                let tag = mode.rtcp_tag(&packet.data()[..end + INDEX_BYTES]);
                let trailer = &mut packet.data_mut()[end + INDEX_BYTES..];
                write(trailer, &[id.mki, &tag[..mode.tag_bytes()]]);
            }
            Self::Gcm(mode) => {
                let (header, payload) = body.split_at_mut(RTCP_CLEAR_BYTES);
                let mut associated = [0; RTCP_CLEAR_BYTES + INDEX_BYTES];
                write(&mut associated, &[header, &word]);
                let tag = mode.seal(id.ssrc, id.index, &associated, payload);
                write(trailer, &[&tag, &word, id.mki]);
            }
        }
        Ok(())
    }

    /// The index that an SRTCP packet names; `None` when it is too short, or not encrypted where
    /// all must be.
    ///
    /// A peer that has the key may leave SRTCP unencrypted under GCM, where the flag is one more
    /// bit of the associated data; counter mode takes none, as the other engine's library.
    pub(crate) fn read_rtcp_index_untrusted(&self, data: &[u8], mki: usize) -> Option<RtcpIndex> {
        let behind = match self {
            Self::Counter(mode) => mki + mode.tag_bytes(),
            Self::Gcm(_) => mki,
        };
        let shortest = RTCP_CLEAR_BYTES + INDEX_BYTES + mki + self.tag_bytes();
        let end = data.len().checked_sub(behind).filter(|_| data.len() >= shortest)?;
        let word = u32::from_be_bytes(*data[..end].last_chunk()?);
        let named = RtcpIndex { index: word & !E_FLAG, encrypted: word & E_FLAG != 0 };
        (named.encrypted || matches!(self, Self::Gcm(_))).then_some(named)
    }

    /// Opens an SRTCP packet; `false` leaves it as it is.
    ///
    /// The packet is one that `read_rtcp_index_untrusted` found an index in.
    pub(crate) fn open_rtcp_untrusted(
        &self,
        packet: &mut PacketBuf<'_>,
        id: PacketId<'_>,
        encrypted: bool,
    ) -> bool {
        let added = INDEX_BYTES + id.mki.len() + self.tag_bytes();
        let end = match packet.len().checked_sub(added) {
            Some(end) if end >= RTCP_CLEAR_BYTES => end,
            _ => return false,
        };
        let right = match self {
            Self::Counter(mode) => {
                let (proven, trailer) = packet.data_mut().split_at_mut(end + INDEX_BYTES);
                let right = mode.rtcp_tag(proven);
                let right = mode.is_right(&right, &trailer[id.mki.len()..]);
                if right {
                    mode.apply(id.ssrc, id.index, &mut proven[RTCP_CLEAR_BYTES..end]);
                }
                right
            }
            Self::Gcm(mode) => {
                let (body, trailer) = packet.data_mut().split_at_mut(end);
                let clear = if encrypted { RTCP_CLEAR_BYTES } else { end };
                let (clear, payload) = body.split_at_mut(clear);
                let (tag, rest) = trailer.split_at(TAG_BYTES);
                let mut associated = Associated::default();
                let whole = associated.join(clear, &rest[..INDEX_BYTES]);
                whole.is_some_and(|whole| mode.open(id.ssrc, id.index, whole, payload, tag))
            }
        };
        if right {
            packet.truncate(end);
        }
        right
    }
}

/// What an SRTCP packet says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RtcpIndex {
    pub(crate) index: u32,
    pub(crate) encrypted: bool,
}

/// What makes a packet one of its kind under a key.
#[derive(Clone, Copy)]
pub(crate) struct PacketId<'a> {
    pub(crate) ssrc: u32,
    /// The SRTP or SRTCP index.
    pub(crate) index: u64,
    /// The master key identifier to write, or to skip.
    pub(crate) mki: &'a [u8],
}

/// Spec: RFC 3711 §3.4 (E flag and SRTCP index).
#[expect(clippy::cast_possible_truncation, reason = "an SRTCP index has 31 bits")]
fn index_word(index: u64) -> [u8; INDEX_BYTES] {
    (index as u32 | E_FLAG).to_be_bytes()
}

/// Room for what GCM proves beside the payload, in one piece.
struct Associated([u8; MAX_ASSOCIATED_BYTES]);

impl Default for Associated {
    fn default() -> Self {
        Self([0; MAX_ASSOCIATED_BYTES])
    }
}

impl Associated {
    /// What stays in the clear, then the word with the index; `None` when that is too long.
    ///
    /// Spec: RFC 7714 §9.2, §9.3.
    fn join(&mut self, clear: &[u8], word: &[u8]) -> Option<&[u8]> {
        let whole = self.0.get_mut(..clear.len() + word.len())?;
        write(whole, &[clear, word]);
        Some(whole)
    }
}

/// Writes parts one after the other, as far as there is room.
#[inline]
fn write(to: &mut [u8], parts: &[&[u8]]) {
    let mut rest = to;
    for part in parts {
        let (here, behind) = rest.split_at_mut(part.len().min(rest.len()));
        here.copy_from_slice(&part[..here.len()]);
        rest = behind;
    }
}
