//! AES as a generator of key stream.

use aes::cipher::array::Array;
use aes::cipher::typenum::U16;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Aes192Enc, Aes256Enc};

pub(crate) const BLOCK_BYTES: usize = 16;
/// How many blocks are made at once: enough for 20 ms of G.711 and the block that masks a tag.
pub(crate) const CHUNK_BLOCKS: usize = 16;

pub(crate) type Block = Array<u8, U16>;

/// Key stream for the beginning of a packet.
pub(crate) type Chunk = [Block; CHUNK_BLOCKS];

/// A key schedule, for encryption only: counter modes need no other.
#[derive(Clone)]
pub(crate) enum Cipher {
    Aes128(Aes128Enc),
    Aes192(Aes192Enc),
    Aes256(Aes256Enc),
}

impl Cipher {
    /// The schedule of a key of 16, 24 or 32 bytes; `None` for any other length.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        match key.len() {
            16 => Aes128Enc::new_from_slice(key).ok().map(Self::Aes128),
            24 => Aes192Enc::new_from_slice(key).ok().map(Self::Aes192),
            32 => Aes256Enc::new_from_slice(key).ok().map(Self::Aes256),
            _ => None,
        }
    }

    pub(crate) fn encrypt_block(&self, block: &mut Block) {
        match self {
            Self::Aes128(aes) => aes.encrypt_block(block),
            Self::Aes192(aes) => aes.encrypt_block(block),
            Self::Aes256(aes) => aes.encrypt_block(block),
        }
    }

    #[inline]
    fn encrypt_blocks(&self, blocks: &mut [Block]) {
        match self {
            Self::Aes128(aes) => aes.encrypt_blocks(blocks),
            Self::Aes192(aes) => aes.encrypt_blocks(blocks),
            Self::Aes256(aes) => aes.encrypt_blocks(blocks),
        }
    }

    /// Fills `blocks` with the key stream of the counters from `first` on.
    #[inline]
    pub(crate) fn key_stream(&self, first: u128, blocks: &mut [Block]) {
        let mut counter = first;
        for block in &mut *blocks {
            *block = counter.to_be_bytes().into();
            counter = counter.wrapping_add(1);
        }
        self.encrypt_blocks(blocks);
    }

    /// Encrypts or decrypts `data` with the key stream of the counters from `first` on.
    ///
    /// Spec: RFC 3711 §4.1.1.
    #[inline]
    pub(crate) fn apply(&self, first: u128, data: &mut [u8]) {
        let mut chunk = Chunk::default();
        let mut counter = first;
        for part in data.chunks_mut(CHUNK_BLOCKS * BLOCK_BYTES) {
            let blocks = &mut chunk[..part.len().div_ceil(BLOCK_BYTES)];
            self.key_stream(counter, blocks);
            xor(part, blocks);
            counter = counter.wrapping_add(CHUNK_BLOCKS as u128);
        }
    }
}

/// Mixes key stream into `data`; `blocks` must be at least as long.
#[inline]
pub(crate) fn xor(data: &mut [u8], blocks: &[Block]) {
    for (bytes, block) in data.chunks_mut(BLOCK_BYTES).zip(blocks) {
        for (byte, mask) in bytes.iter_mut().zip(block) {
            *byte ^= mask;
        }
    }
}
