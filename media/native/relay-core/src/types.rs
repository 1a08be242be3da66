//! The relay's vocabulary: names of streams and ports, suites, ranks, drop reasons.
//!
//! Mirrors `media/types.py` one to one where both have a word.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// Nanoseconds of a clock that never goes back; the caller reads it, this crate has none.
pub type Nanoseconds = u64;

/// The place of a stream in its relay, and which stream of those that had the place it is.
///
/// The caller chooses both: `slot` dense and small, because every table is indexed by it,
/// `generation` different each time a slot is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey {
    /// Index into the relay's table, below `Limits::streams`.
    pub slot: u32,
    /// Tells streams apart that had the same slot one after the other.
    pub generation: u32,
}

impl StreamKey {
    /// A key.
    pub const fn new(slot: u32, generation: u32) -> Self {
        Self { slot, generation }
    }

    /// One of the four ports of the stream.
    pub const fn port(self, side: SideName, component: Component) -> PortId {
        PortId(self.slot * 4 + side as u32 * 2 + component as u32)
    }
}

/// One port of ours: slot · 4 + side · 2 + component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(pub u32);

impl PortId {
    /// The slot of the stream that the port belongs to.
    pub const fn slot(self) -> u32 {
        self.0 >> 2
    }

    /// Which leg the port faces.
    pub const fn side(self) -> SideName {
        if self.0 & 2 == 0 { SideName::A } else { SideName::B }
    }

    /// Which of the side's two ports it is.
    pub const fn component(self) -> Component {
        if self.0 & 1 == 0 { Component::Rtp } else { Component::Rtcp }
    }
}

/// Which leg a port of ours faces: `A` called us, `B` is whom we called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum SideName {
    /// The caller's leg.
    A = 0,
    /// The callee's leg.
    B = 1,
}

impl SideName {
    /// The side that packets of this one go to.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Which of a side's two ports is meant; with rtcp-mux RTCP uses the `Rtp` one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Component {
    /// The even port.
    Rtp = 0,
    /// The odd one.
    Rtcp = 1,
}

/// A host and a UDP port, without the flow label and scope that IPv6 socket addresses carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Endpoint {
    /// The numeric host.
    pub host: IpAddr,
    /// The UDP port.
    pub port: u16,
}

impl Endpoint {
    /// An endpoint.
    pub const fn new(host: IpAddr, port: u16) -> Self {
        Self { host, port }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::new(address.ip(), address.port())
    }
}

impl From<Endpoint> for SocketAddr {
    fn from(endpoint: Endpoint) -> Self {
        Self::new(endpoint.host, endpoint.port)
    }
}

/// SRTP crypto suites by their SDES name.
///
/// Spec: RFC 4568 §6.2, RFC 6188 §4, RFC 7714 §14.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SrtpSuite {
    /// `AES_CM_128_HMAC_SHA1_80`
    AesCm128HmacSha1_80,
    /// `AES_CM_128_HMAC_SHA1_32`; its SRTCP tag has 80 bits all the same.
    AesCm128HmacSha1_32,
    /// `AES_192_CM_HMAC_SHA1_80`
    AesCm192HmacSha1_80,
    /// `AES_192_CM_HMAC_SHA1_32`
    AesCm192HmacSha1_32,
    /// `AES_256_CM_HMAC_SHA1_80`
    AesCm256HmacSha1_80,
    /// `AES_256_CM_HMAC_SHA1_32`
    AesCm256HmacSha1_32,
    /// `AEAD_AES_128_GCM`
    AeadAes128Gcm,
    /// `AEAD_AES_256_GCM`
    AeadAes256Gcm,
}

/// How much a learned source is worth; a better one always wins back.
///
/// Ordered by proof, not by arrival. Spec: RFC 7362 §4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum LatchRank {
    /// Nothing learned; media goes to the SDP address.
    None = 0,
    /// A source that nothing announced; only while the SDP address is unroutable from here.
    Other = 1,
    /// The host that the leg's signalling comes from.
    SignallingHost = 2,
    /// The host of the SDP address, another port.
    SdpHost = 3,
    /// Exactly the SDP address.
    SdpExact = 4,
    /// Any source whose packets carry a valid SRTP tag under this leg's keys.
    SrtpAuthenticated = 5,
}

/// Why a source was not learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// Nothing announced this source.
    NotAnnounced,
    /// It proves no more than the source in use.
    NoBetterProof,
    /// Unannounced sources are learned only shortly after signalling.
    WindowClosed,
    /// It is a port of this relay.
    RelayLoop,
}

/// Why a datagram was not relayed. Numbers are metric labels: never reused, never renumbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum DropReason {
    /// Neither RTP, RTCP, STUN nor DTLS by RFC 7983, or too short for what it claims.
    NotRtp = 1,
    /// A source that the latch does not accept.
    UnknownSource = 2,
    /// The SRTP or SRTCP tag is wrong under this side's keys.
    SrtpAuthentication = 3,
    /// An SRTP index that was seen before or is too old.
    SrtpReplay = 4,
    /// The other side has neither announced nor shown an address yet.
    NoDestination = 5,
    /// Above the side's bit-rate limit, or a source's limit of handshake datagrams.
    OverRate = 6,
    /// STUN or DTLS on a side that negotiated neither, RTP on an RTCP port, or RTCP on the RTP
    /// port of a side without rtcp-mux.
    UnexpectedProtocol = 7,
    /// The operating system did not take the packet.
    SendFailed = 8,
    /// The packet came from one of the relay's own ports.
    RelayLoop = 9,
    /// Longer than the engine takes, or than it may become by protection.
    TooLong = 10,
    /// One more SSRC than a side may use under one key.
    SsrcLimit = 11,
    /// RTP for a leg that announced that it does not receive (hold).
    NotWanted = 12,
    /// The key has protected or opened as many packets as it may.
    KeyExpired = 13,
    /// The kernel's queue of the port was full before we read it.
    QueueFull = 14,
}

impl DropReason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 14] = [
        Self::NotRtp,
        Self::UnknownSource,
        Self::SrtpAuthentication,
        Self::SrtpReplay,
        Self::NoDestination,
        Self::OverRate,
        Self::UnexpectedProtocol,
        Self::SendFailed,
        Self::RelayLoop,
        Self::TooLong,
        Self::SsrcLimit,
        Self::NotWanted,
        Self::KeyExpired,
        Self::QueueFull,
    ];

    /// The number that stands for it in counters and metrics.
    pub const fn number(self) -> u8 {
        self as u8
    }
}
