//! What two legs need relayed, as plain data: one stream of `media/plan.py`.

use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::types::{Component, Endpoint, SideName, SrtpSuite};

/// The longest master key identifier. Spec: RFC 4568 §6.1.
pub const MAX_MKI_BYTES: usize = 128;

/// The master key of one direction.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SrtpKeys {
    /// How it protects.
    pub suite: SrtpSuite,
    /// Master key followed by master salt, `suite.key_length()` bytes.
    pub key_and_salt: Vec<u8>,
    /// The master key identifier that every packet carries; empty for none.
    pub mki: Vec<u8>,
    /// Most packets under this key; `None` for what the RFC allows. Spec: RFC 4568 §6.1.
    pub lifetime_packets: Option<u64>,
}

impl SrtpKeys {
    /// A key without an identifier, that lives as long as the RFC allows.
    pub fn new(suite: SrtpSuite, key_and_salt: &[u8]) -> Self {
        Self { suite, key_and_salt: key_and_salt.to_vec(), mki: Vec::new(), lifetime_packets: None }
    }

    /// Whether packets under both belong to one key stream, whatever is said of its lifetime.
    ///
    /// What protected or opened under a key goes on: begun anew, its indices would be used twice
    /// and replays taken (RFC 3711 §9.1). So a lifetime holds as it was first said.
    pub(crate) fn is_same_key(&self, other: &Self) -> bool {
        (self.suite, &self.key_and_salt, &self.mki)
            == (other.suite, &other.key_and_salt, &other.mki)
    }

    fn check(&self) -> Result<(), PlanError> {
        if self.key_and_salt.len() != self.suite.key_length() {
            let length = self.key_and_salt.len();
            return Err(PlanError::KeyLength { suite: self.suite, length });
        }
        if self.mki.len() > MAX_MKI_BYTES {
            return Err(PlanError::MkiLength(self.mki.len()));
        }
        Ok(())
    }

    pub(crate) fn is_usable(&self) -> bool {
        self.check().is_ok()
    }
}

impl fmt::Debug for SrtpKeys {
    /// Says which suite, never which key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SrtpKeys").field("suite", &self.suite).finish_non_exhaustive()
    }
}

/// One port pair of ours and the leg it faces.
///
/// Spec: RFC 3605 (rtcp), RFC 5761 (rtcp-mux), RFC 7362 (latching), RFC 4568 (keys).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact of the SDP")]
pub struct SidePlan {
    /// The RTP address we are bound to.
    pub local: Endpoint,
    /// The RTCP address we are bound to; unused while `rtcp_mux`.
    pub local_rtcp: Endpoint,
    /// Where the leg's SDP says RTP goes; `None` before it said.
    pub remote: Option<Endpoint>,
    /// Where the leg's SDP says RTCP goes; `None` before it said, and with `rtcp_mux`.
    pub remote_rtcp: Option<Endpoint>,
    /// Whether RTCP comes and goes by the RTP port.
    pub rtcp_mux: bool,
    /// What the leg protects its packets with; `None` for plain RTP.
    pub receive_keys: Option<SrtpKeys>,
    /// What we protect packets to the leg with; `None` for plain RTP.
    pub send_keys: Option<SrtpKeys>,
    /// The host the leg's SIP comes from; a source there ranks above a stranger.
    pub signalling_host: Option<IpAddr>,
    /// Whether a source that nothing announced may be learned.
    pub learn_any: bool,
    /// Whether the leg announced that it sends (RFC 3264 §5.1): silence is then a fault.
    pub sending: bool,
    /// Whether the leg wants media.
    pub receiving: bool,
    /// Whether STUN and DTLS from the leg are handed up instead of dropped.
    pub handshakes: bool,
    /// Most kilobits per second accepted from the leg; `None` for no limit.
    pub max_kbps: Option<u32>,
}

impl SidePlan {
    /// A plain side that sends and receives, and of whose leg nothing is known yet.
    pub const fn new(local: Endpoint, local_rtcp: Endpoint) -> Self {
        Self {
            local,
            local_rtcp,
            remote: None,
            remote_rtcp: None,
            rtcp_mux: false,
            receive_keys: None,
            send_keys: None,
            signalling_host: None,
            learn_any: false,
            sending: true,
            receiving: true,
            handshakes: false,
            max_kbps: None,
        }
    }

    /// The address that a component is bound to.
    pub const fn local_of(&self, component: Component) -> Endpoint {
        match component {
            Component::Rtp => self.local,
            Component::Rtcp => self.local_rtcp,
        }
    }

    /// Where a component of the leg is, by its SDP.
    pub const fn remote_of(&self, component: Component) -> Option<Endpoint> {
        match component {
            Component::Rtcp if !self.rtcp_mux => self.remote_rtcp,
            _ => self.remote,
        }
    }
}

/// One m-line that both legs agreed on, or are agreeing on, and how it is watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamPlan {
    /// RTP clock of the first payload type, in Hz, for jitter.
    pub clock_hz: u32,
    /// Whether it carries speech, so that what it sounds like can be rated.
    pub speech: bool,
    /// Silence of a side that should be sending before `Event::MediaTimeout`; `None` for never.
    pub inactivity: Option<Duration>,
    /// Whether to send an opener when it becomes known where to, and to keep pinholes open.
    pub pinholes: bool,
    /// The caller's side.
    pub a: SidePlan,
    /// The callee's side.
    pub b: SidePlan,
}

impl StreamPlan {
    /// The side by its name.
    pub const fn side(&self, name: SideName) -> &SidePlan {
        match name {
            SideName::A => &self.a,
            SideName::B => &self.b,
        }
    }

    /// Whether a relay can do it; pure, so that it can be asked before anything is touched.
    ///
    /// # Errors
    /// What is wrong with it, and nothing was done.
    pub fn check(&self) -> Result<(), PlanError> {
        for side in [&self.a, &self.b] {
            side.check()?;
        }
        Ok(())
    }
}

impl SidePlan {
    fn check(&self) -> Result<(), PlanError> {
        let ipv6 = self.local.host.is_ipv6();
        let remotes = [Some(self.local_rtcp), self.remote, self.remote_rtcp];
        if remotes.iter().flatten().any(|endpoint| endpoint.host.is_ipv6() != ipv6) {
            return Err(PlanError::MixedFamilies);
        }
        for keys in [&self.receive_keys, &self.send_keys].into_iter().flatten() {
            keys.check()?;
        }
        Ok(())
    }
}

/// Why a relay did not do what it was told; nothing of it was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanError {
    /// The relay has as many streams as it may, or the slot lies beyond that.
    TooManyStreams,
    /// A stream is in that slot.
    AlreadyOpen,
    /// No such stream is open.
    NotOpen,
    /// Addresses of one side are of IPv4 and of IPv6.
    MixedFamilies,
    /// The key has not the length that its suite needs.
    KeyLength {
        /// The suite.
        suite: SrtpSuite,
        /// How many bytes there were.
        length: usize,
    },
    /// The master key identifier is longer than it may be.
    MkiLength(usize),
    /// The exported state does not fit the plan it came with.
    ForeignState(&'static str),
}

impl fmt::Display for PlanError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyStreams => formatter.write_str("there are as many streams as may be"),
            Self::AlreadyOpen => formatter.write_str("the stream is open already"),
            Self::NotOpen => formatter.write_str("the stream is not open"),
            Self::MixedFamilies => formatter.write_str("a side has both IPv4 and IPv6 addresses"),
            Self::KeyLength { suite, length } => write!(
                formatter,
                "{} needs {} bytes of key and salt, got {length}",
                suite.sdes_name(),
                suite.key_length()
            ),
            Self::MkiLength(length) => {
                write!(formatter, "a key identifier of {length} bytes is too long")
            }
            Self::ForeignState(what) => {
                write!(formatter, "the exported state does not fit: {what}")
            }
        }
    }
}

impl Error for PlanError {}
