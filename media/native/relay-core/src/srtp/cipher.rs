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

/// A session key, for encryption only: counter modes need no other.
///
/// The key and not its schedule. Where the processor has wide instructions a schedule is 704 to 960
/// bytes; hundreds of calls do not keep that in the near caches, and to make it anew costs less
/// (20 ns) than to fetch it.
#[derive(Clone)]
pub(crate) enum Cipher {
    Aes128([u8; 16]),
    Aes192([u8; 24]),
    Aes256([u8; 32]),
}

impl Cipher {
    /// A key of 16, 24 or 32 bytes; `None` for any other length.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        match key.len() {
            16 => key.try_into().ok().map(Self::Aes128),
            24 => key.try_into().ok().map(Self::Aes192),
            32 => key.try_into().ok().map(Self::Aes256),
            _ => None,
        }
    }

    /// Reads what the next packet will need.
    #[inline]
    pub(crate) fn warm(&self) {
        std::hint::black_box(match self {
            Self::Aes128(key) => key[0],
            Self::Aes192(key) => key[0],
            Self::Aes256(key) => key[0],
        });
    }

    pub(crate) fn encrypt_block(&self, block: &mut Block) {
        match self {
            Self::Aes128(key) => Aes128Enc::new(key.into()).encrypt_block(block),
            Self::Aes192(key) => Aes192Enc::new(key.into()).encrypt_block(block),
            Self::Aes256(key) => Aes256Enc::new(key.into()).encrypt_block(block),
        }
    }

    #[inline]
    fn encrypt_blocks(&self, blocks: &mut [Block]) {
        match self {
            Self::Aes128(key) => Aes128Enc::new(key.into()).encrypt_blocks(blocks),
            Self::Aes192(key) => Aes192Enc::new(key.into()).encrypt_blocks(blocks),
            Self::Aes256(key) => Aes256Enc::new(key.into()).encrypt_blocks(blocks),
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
