//! AES in Galois counter mode. Spec: RFC 7714 §8, §9; NIST SP 800-38D.

use super::cipher::{BLOCK_BYTES, Block, CHUNK_BLOCKS, Chunk, Cipher, xor};
use super::derive::{Derivation, Label};
use super::tag::is_same;
use ghash::GHash;
use ghash::universal_hash::UniversalHash;

/// Bytes of a tag.
pub(crate) const TAG_BYTES: usize = 16;

/// How much of a packet the first chunk of key stream reaches: its first block masks the tag.
const FIRST_BYTES: usize = (CHUNK_BLOCKS - 1) * BLOCK_BYTES;

/// Session keys of SRTP or of SRTCP.
#[derive(Clone)]
#[repr(C)]
pub(crate) struct Gcm {
    salt: u128,
    hash: GHash,
    cipher: Cipher,
}

impl Gcm {
    /// Derives the session keys.
    pub(crate) fn new(derivation: &Derivation, rtcp: bool, key_bytes: usize) -> Option<Self> {
        let mut key = [0; 32];
        let key = key.get_mut(..key_bytes)?;
        derivation.fill(Label::Encryption, rtcp, key);
        let mut salt = [0; 16];
        derivation.fill(Label::Salt, rtcp, &mut salt[4..]);
        Self::of_session(key, u128::from_be_bytes(salt))
    }

    /// From the session keys themselves; the salt has 96 bits.
    pub(crate) fn of_session(key: &[u8], salt: u128) -> Option<Self> {
        let cipher = Cipher::new(key)?;
        let mut hash_key = Block::default();
        cipher.encrypt_block(&mut hash_key);
        Some(Self { salt, hash: GHash::new(&hash_key), cipher })
    }

    /// Reads what the next packet will need.
    #[inline]
    pub(crate) fn warm(&self) {
        std::hint::black_box(self.salt);
        self.cipher.warm();
    }

    /// Encrypts a payload and gives the tag of it and the associated data.
    #[inline]
    pub(crate) fn seal(
        &self,
        ssrc: u32,
        index: u64,
        associated: &[u8],
        payload: &mut [u8],
    ) -> [u8; TAG_BYTES] {
        let first = self.first_counter(ssrc, index);
        let chunk = self.first_chunk(first, payload.len());
        self.mix(first, &chunk, payload);
        self.tag(&chunk[0], associated, payload)
    }

    /// Decrypts a payload whose tag is right; `false` leaves it as it is.
    #[inline]
    pub(crate) fn open(
        &self,
        ssrc: u32,
        index: u64,
        associated: &[u8],
        payload: &mut [u8],
        tag: &[u8],
    ) -> bool {
        let first = self.first_counter(ssrc, index);
        let chunk = self.first_chunk(first, payload.len());
        let right = is_same(&self.tag(&chunk[0], associated, payload), tag);
        if right {
            self.mix(first, &chunk, payload);
        }
        right
    }

    /// The counter block whose key stream masks the tag. Spec: RFC 7714 §8.1, §9.1.
    #[inline]
    fn first_counter(&self, ssrc: u32, index: u64) -> u128 {
        let nonce = self.salt ^ (u128::from(ssrc) << 48) ^ u128::from(index);
        nonce << 32 | 1
    }

    #[inline]
    fn first_chunk(&self, first: u128, payload_bytes: usize) -> Chunk {
        let mut chunk = Chunk::default();
        let blocks = 1 + payload_bytes.min(FIRST_BYTES).div_ceil(BLOCK_BYTES);
        self.cipher.key_stream(first, &mut chunk[..blocks]);
        chunk
    }

    #[inline]
    fn mix(&self, first: u128, chunk: &Chunk, payload: &mut [u8]) {
        let (near, far) = payload.split_at_mut(payload.len().min(FIRST_BYTES));
        xor(near, &chunk[1..]);
        if !far.is_empty() {
            self.cipher.apply(first.wrapping_add(CHUNK_BLOCKS as u128), far);
        }
    }

    #[inline]
    fn tag(&self, mask: &Block, associated: &[u8], payload: &[u8]) -> [u8; TAG_BYTES] {
        let mut hash = self.hash.clone();
        hash.update_padded(associated);
        hash.update_padded(payload);
        let bits = (associated.len() as u128) << 67 | (payload.len() as u128) << 3;
        hash.update(&[bits.to_be_bytes().into()]);
        let hashed = u128::from_be_bytes(hash.finalize().into());
        (hashed ^ u128::from_be_bytes((*mask).into())).to_be_bytes()
    }
}
