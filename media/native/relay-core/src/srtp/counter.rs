//! AES in counter mode with HMAC-SHA1. Spec: RFC 3711 §4.1.1, §4.2.1, RFC 6188 §2.

use super::cipher::Cipher;
use super::derive::{Derivation, Label};
use super::hmac::{DIGEST_BYTES, HmacSha1};
use super::tag::is_same;

/// The longest tag of a counter-mode suite.
const MAX_TAG_BYTES: usize = 10;

/// Session keys of SRTP or of SRTCP, what a packet needs first standing first.
#[derive(Clone)]
#[repr(C)]
pub(crate) struct CounterMode {
    hmac: HmacSha1,
    tag_bytes: usize,
    salt: u128,
    cipher: Cipher,
}

impl CounterMode {
    /// Derives the session keys.
    pub(crate) fn new(
        derivation: &Derivation,
        rtcp: bool,
        key_bytes: usize,
        tag_bytes: usize,
    ) -> Option<Self> {
        let mut key = [0; 32];
        let key = key.get_mut(..key_bytes)?;
        derivation.fill(Label::Encryption, rtcp, key);
        let mut authentication = [0; DIGEST_BYTES];
        derivation.fill(Label::Authentication, rtcp, &mut authentication);
        let mut salt = [0; 16];
        derivation.fill(Label::Salt, rtcp, &mut salt[..14]);
        Some(Self {
            hmac: HmacSha1::new(&authentication),
            tag_bytes: tag_bytes.min(MAX_TAG_BYTES),
            salt: u128::from_be_bytes(salt),
            cipher: Cipher::new(key)?,
        })
    }

    /// Reads what the next packet will need.
    #[inline]
    pub(crate) fn warm(&self) {
        std::hint::black_box(self.tag_bytes);
        self.cipher.warm();
    }

    #[inline]
    pub(crate) const fn tag_bytes(&self) -> usize {
        self.tag_bytes
    }

    /// Encrypts or decrypts a payload. Spec: RFC 3711 §4.1.1.
    #[inline]
    pub(crate) fn apply(&self, ssrc: u32, index: u64, payload: &mut [u8]) {
        let first = self.salt ^ (u128::from(ssrc) << 64) ^ (u128::from(index) << 16);
        self.cipher.apply(first, payload);
    }

    /// The tag of an SRTP packet, whole; the rollover counter belongs to it. Spec: RFC 3711 §4.2.
    #[inline]
    pub(crate) fn rtp_tag(&self, packet: &[u8], index: u64) -> [u8; DIGEST_BYTES] {
        self.hmac.tag(packet, rollover_counter(index))
    }

    /// The tag of an SRTCP packet with its index, whole.
    pub(crate) fn rtcp_tag(&self, packet: &[u8]) -> [u8; DIGEST_BYTES] {
        self.hmac.tag_alone(packet)
    }

    /// Whether the tag of a packet is the beginning of the right one, in constant time.
    #[inline]
    pub(crate) fn is_right(&self, right: &[u8; DIGEST_BYTES], tag: &[u8]) -> bool {
        is_same(&right[..self.tag_bytes], tag)
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "an index has 48 bits")]
fn rollover_counter(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}
