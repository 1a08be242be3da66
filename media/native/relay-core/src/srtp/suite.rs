//! What the suites consist of.

use crate::types::SrtpSuite;

/// Lengths and kind of one suite.
///
/// Spec: RFC 4568 §6.2, RFC 6188 §4, RFC 7714 §12 and §14.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SuiteFacts {
    /// The SDES name.
    pub(crate) name: &'static str,
    /// Bytes of the master key, and of the session keys.
    pub(crate) key_bytes: usize,
    /// Bytes of the master salt, and of the session salts.
    pub(crate) salt_bytes: usize,
    /// Bytes of the SRTP tag.
    pub(crate) rtp_tag_bytes: usize,
    /// Bytes of the SRTCP tag.
    pub(crate) rtcp_tag_bytes: usize,
    /// Whether it is AES-GCM and not counter mode with HMAC-SHA1.
    pub(crate) aead: bool,
}

const fn counter_mode(name: &'static str, key_bytes: usize, rtp_tag_bytes: usize) -> SuiteFacts {
    SuiteFacts { name, key_bytes, salt_bytes: 14, rtp_tag_bytes, rtcp_tag_bytes: 10, aead: false }
}

const fn gcm(name: &'static str, key_bytes: usize) -> SuiteFacts {
    SuiteFacts {
        name,
        key_bytes,
        salt_bytes: 12,
        rtp_tag_bytes: 16,
        rtcp_tag_bytes: 16,
        aead: true,
    }
}

impl SrtpSuite {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::AesCm128HmacSha1_80,
        Self::AesCm128HmacSha1_32,
        Self::AesCm192HmacSha1_80,
        Self::AesCm192HmacSha1_32,
        Self::AesCm256HmacSha1_80,
        Self::AesCm256HmacSha1_32,
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
    ];

    pub(crate) const fn facts(self) -> SuiteFacts {
        match self {
            Self::AesCm128HmacSha1_80 => counter_mode("AES_CM_128_HMAC_SHA1_80", 16, 10),
            Self::AesCm128HmacSha1_32 => counter_mode("AES_CM_128_HMAC_SHA1_32", 16, 4),
            Self::AesCm192HmacSha1_80 => counter_mode("AES_192_CM_HMAC_SHA1_80", 24, 10),
            Self::AesCm192HmacSha1_32 => counter_mode("AES_192_CM_HMAC_SHA1_32", 24, 4),
            Self::AesCm256HmacSha1_80 => counter_mode("AES_256_CM_HMAC_SHA1_80", 32, 10),
            Self::AesCm256HmacSha1_32 => counter_mode("AES_256_CM_HMAC_SHA1_32", 32, 4),
            Self::AeadAes128Gcm => gcm("AEAD_AES_128_GCM", 16),
            Self::AeadAes256Gcm => gcm("AEAD_AES_256_GCM", 32),
        }
    }

    /// Bytes of master key followed by master salt, as the SDES inline parameter has them.
    pub const fn key_length(self) -> usize {
        let facts = self.facts();
        facts.key_bytes + facts.salt_bytes
    }

    /// Its name in an SDP crypto attribute.
    pub const fn sdes_name(self) -> &'static str {
        self.facts().name
    }

    /// The suite of that name.
    pub fn from_sdes_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.sdes_name() == name)
    }
}
