//! HMAC-SHA1 whose key is hashed once and not for every packet. Spec: RFC 2104, RFC 3711 §4.2.1.

use aes::cipher::array::Array;
use aes::cipher::typenum::U64;
use sha1::block_api::compress;

const BLOCK_BYTES: usize = 64;
const INITIAL: [u32; 5] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];

/// Bytes of a whole tag.
pub(crate) const DIGEST_BYTES: usize = 20;

/// The hash states after the inner and the outer pad.
#[derive(Clone)]
pub(crate) struct HmacSha1 {
    inner: [u32; 5],
    outer: [u32; 5],
}

impl HmacSha1 {
    /// The states under a key of at most one block, which every session key is.
    pub(crate) fn new(key: &[u8; DIGEST_BYTES]) -> Self {
        Self { inner: padded(key, 0x36), outer: padded(key, 0x5C) }
    }

    /// The tag of `message` followed by `suffix`.
    #[inline]
    pub(crate) fn tag(&self, message: &[u8], suffix: [u8; 4]) -> [u8; DIGEST_BYTES] {
        let mut state = self.inner;
        let rest = absorb(&mut state, message);
        finish(&mut state, rest, Some(suffix), BLOCK_BYTES + message.len() + suffix.len());
        self.close(state)
    }

    /// The tag of `message` alone.
    pub(crate) fn tag_alone(&self, message: &[u8]) -> [u8; DIGEST_BYTES] {
        let mut state = self.inner;
        let rest = absorb(&mut state, message);
        finish(&mut state, rest, None, BLOCK_BYTES + message.len());
        self.close(state)
    }

    #[inline]
    fn close(&self, inner: [u32; 5]) -> [u8; DIGEST_BYTES] {
        let mut state = self.outer;
        finish(&mut state, &bytes_of(inner), None, BLOCK_BYTES + DIGEST_BYTES);
        bytes_of(state)
    }
}

fn padded(key: &[u8; DIGEST_BYTES], pad: u8) -> [u32; 5] {
    let mut block = [pad; BLOCK_BYTES];
    for (byte, part) in block.iter_mut().zip(key) {
        *byte ^= part;
    }
    let mut state = INITIAL;
    compress(&mut state, &[block]);
    state
}

/// Hashes the whole blocks of a message and gives the rest.
#[inline]
fn absorb<'a>(state: &mut [u32; 5], message: &'a [u8]) -> &'a [u8] {
    let (whole, rest) = Array::<u8, U64>::slice_as_chunks(message);
    compress(state, Array::cast_slice_to_core(whole));
    rest
}

/// Hashes what is left of a message of `hashed` bytes in all, and the padding.
#[inline]
fn finish(state: &mut [u32; 5], rest: &[u8], suffix: Option<[u8; 4]>, hashed: usize) {
    let mut tail = [[0_u8; BLOCK_BYTES]; 2];
    let bytes = tail.as_flattened_mut();
    let mut end = rest.len();
    bytes[..end].copy_from_slice(rest);
    if let Some(suffix) = suffix {
        bytes[end..end + 4].copy_from_slice(&suffix);
        end += 4;
    }
    bytes[end] = 0x80;
    let blocks = (end + 1 + 8).div_ceil(BLOCK_BYTES);
    let bits = (hashed as u64) << 3;
    bytes[blocks * BLOCK_BYTES - 8..blocks * BLOCK_BYTES].copy_from_slice(&bits.to_be_bytes());
    compress(state, &tail[..blocks]);
}

#[inline]
fn bytes_of(state: [u32; 5]) -> [u8; DIGEST_BYTES] {
    let mut bytes = [0; DIGEST_BYTES];
    for (part, word) in bytes.chunks_exact_mut(4).zip(state) {
        part.copy_from_slice(&word.to_be_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_2202_case_one() {
        let tag = HmacSha1::new(&[0x0B; 20]).tag_alone(b"Hi There");
        assert_eq!(tag[..6], [0xB6, 0x17, 0x31, 0x86, 0x55, 0x05]);
    }

    #[test]
    fn a_suffix_is_hashed_as_if_it_stood_in_the_message_whatever_its_length() {
        let hmac = HmacSha1::new(&[7; 20]);
        let message: Vec<u8> = (0..=255).cycle().take(400).collect();
        for length in 0..300 {
            let suffix = [1, 2, 3, 4];
            let mut joined = message[..length].to_vec();
            joined.extend(suffix);
            assert_eq!(hmac.tag(&message[..length], suffix), hmac.tag_alone(&joined));
        }
    }
}
