//! Comparison of tags.

use subtle::ConstantTimeEq;

/// The longest tag that is written into a packet.
const MAX_TAG_BYTES: usize = 16;

/// Whether two tags are the same, in a time that does not tell how far they are.
///
/// They are compared as one number and not byte by byte: the barriers around each byte cost more
/// than half of what the tag itself costs.
#[inline]
pub(crate) fn is_same(right: &[u8], tag: &[u8]) -> bool {
    right.len() == tag.len() && number(right).ct_eq(&number(tag)).into()
}

#[inline]
fn number(tag: &[u8]) -> u128 {
    let mut bytes = [0; MAX_TAG_BYTES];
    let length = tag.len().min(MAX_TAG_BYTES);
    bytes[..length].copy_from_slice(&tag[..length]);
    u128::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_counts() {
        let right: Vec<u8> = (0..16).collect();
        for length in [4, 10, 16] {
            assert!(is_same(&right[..length], &right[..length]));
            for bit in 0..8 * length {
                let mut tag = right[..length].to_vec();
                tag[bit / 8] ^= 1 << (bit % 8);
                assert!(!is_same(&right[..length], &tag));
            }
            assert!(!is_same(&right[..length], &right[..length - 1]));
        }
    }
}
