//! Session keys from a master key. Spec: RFC 3711 §4.3, RFC 6188 §3, RFC 7714 §11.

use super::cipher::Cipher;
use super::suite::SuiteFacts;

const MASTER_SALT_BYTES: usize = 14;

/// What a session key is for; RTCP's labels are three higher. Spec: RFC 3711 §4.3.2.
#[derive(Clone, Copy)]
pub(crate) enum Label {
    Encryption = 0,
    Authentication = 1,
    Salt = 2,
}

/// The pseudo-random function under one master key, with a key derivation rate of zero.
pub(crate) struct Derivation {
    master: Cipher,
    salt: u128,
}

impl Derivation {
    /// From master key followed by master salt; `None` when their length does not fit.
    pub(crate) fn new(facts: &SuiteFacts, key_and_salt: &[u8]) -> Option<Self> {
        let (key, salt) = key_and_salt.split_at_checked(facts.key_bytes)?;
        if salt.len() != facts.salt_bytes {
            return None;
        }
        // A salt of 96 bits is followed by zeros, as if it had 112.
        let mut bytes = [0; 16];
        bytes.get_mut(..salt.len().min(MASTER_SALT_BYTES))?.copy_from_slice(salt);
        Some(Self { master: Cipher::new(key)?, salt: u128::from_be_bytes(bytes) })
    }

    /// Fills `key` with the session key for a use.
    pub(crate) fn fill(&self, label: Label, rtcp: bool, key: &mut [u8]) {
        let label = label as u128 + if rtcp { 3 } else { 0 };
        // The label stands above 48 bits of index, and both above 16 bits of block counter.
        key.fill(0);
        self.master.apply(self.salt ^ (label << 64), key);
    }
}
