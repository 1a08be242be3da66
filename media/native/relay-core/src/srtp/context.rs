//! A master key at work in one direction.

use serde::{Deserialize, Serialize};

use crate::buffer::PacketBuf;
use crate::packet::RtpHeader;
use crate::plan::SrtpKeys;
use crate::types::DropReason;

use super::derive::Derivation;
use super::protection::{PacketId, Protection, RtcpIndex};
use super::source::{Source, Sources};
use super::window::{MAX_INDEX, MAX_RTCP_INDEX, Stale};

/// The longest packet that is protected: what the other engine's library takes, so that a call
/// moved from one to the other keeps what it had.
const MAX_PLAIN_BYTES: usize = 1352;
const MAX_PROTECTED_BYTES: usize = 1500;

/// The running state of a context, as plain data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ContextState {
    pub(crate) keys: SrtpKeys,
    sources: Sources,
    rtp_left: u64,
    rtcp_left: u64,
}

impl ContextState {
    /// Whether it could have come from `export`.
    pub(crate) fn is_within_bounds(&self) -> bool {
        self.keys.is_usable() && self.sources.is_within_bounds()
    }
}

/// What a packet needs stands first, in the order it is needed.
#[repr(C, align(64))]
struct Context {
    sources: Sources,
    rtp_left: u64,
    rtp: Protection,
    mki: Box<[u8]>,
    rtcp_left: u64,
    rtcp: Protection,
    keys: SrtpKeys,
}

impl Context {
    fn new(keys: &SrtpKeys) -> Option<Box<Self>> {
        let facts = keys.suite.facts();
        let derivation = Derivation::new(&facts, &keys.key_and_salt)?;
        let lifetime = keys.lifetime_packets.unwrap_or(u64::MAX);
        Some(Box::new(Self {
            sources: Sources::default(),
            rtp_left: lifetime.min(MAX_INDEX + 1),
            rtp: Protection::new(&facts, &derivation, false)?,
            mki: keys.mki.clone().into(),
            rtcp_left: lifetime.min(u64::from(MAX_RTCP_INDEX) + 1),
            rtcp: Protection::new(&facts, &derivation, true)?,
            keys: keys.clone(),
        }))
    }

    #[inline]
    fn warm(&self) {
        std::hint::black_box(self.rtp_left);
        self.sources.warm();
        self.rtp.warm();
    }

    fn export(&self) -> ContextState {
        ContextState {
            keys: self.keys.clone(),
            sources: self.sources.clone(),
            rtp_left: self.rtp_left,
            rtcp_left: self.rtcp_left,
        }
    }

    fn restored(state: &ContextState) -> Option<Box<Self>> {
        let mut context = Self::new(&state.keys).filter(|_| state.is_within_bounds())?;
        context.sources = state.sources.clone();
        context.rtp_left = state.rtp_left;
        context.rtcp_left = state.rtcp_left;
        Some(context)
    }
}

impl From<Stale> for DropReason {
    fn from(stale: Stale) -> Self {
        match stale {
            Stale::Replayed => Self::SrtpReplay,
            Stale::Exhausted => Self::KeyExpired,
        }
    }
}

/// Opens what one leg protects under one master key.
pub(crate) struct Receiver(Box<Context>);

impl Receiver {
    /// A receiver; `None` when the key has not the length that its suite needs.
    pub(crate) fn new(keys: &SrtpKeys) -> Option<Self> {
        Context::new(keys).map(Self)
    }

    /// Reads what the next packet will need.
    #[inline]
    pub(crate) fn warm(&self) {
        self.0.warm();
    }

    pub(crate) fn export(&self) -> ContextState {
        self.0.export()
    }

    pub(crate) fn restored(state: &ContextState) -> Option<Self> {
        Context::restored(state).map(Self)
    }

    /// Makes the packet plain, or says why not and leaves it as it is.
    #[inline]
    pub(crate) fn open_rtp_untrusted(
        &mut self,
        packet: &mut PacketBuf<'_>,
        header: &RtpHeader,
    ) -> Result<(), DropReason> {
        let context = &mut *self.0;
        if packet.len() > MAX_PROTECTED_BYTES {
            return Err(DropReason::TooLong);
        }
        let known = context.sources.find(header.ssrc).copied();
        if known.is_none() && !context.sources.has_room() {
            return Err(DropReason::SsrcLimit);
        }
        if context.rtp_left == 0 {
            return Err(DropReason::KeyExpired);
        }
        if !context.rtp.has_mki(packet.data(), &context.mki) {
            return Err(DropReason::SrtpAuthentication);
        }
        let mut source = known.unwrap_or(Source { ssrc: header.ssrc, ..Source::default() });
        let index = source.rtp.check(header.sequence)?;
        let id = PacketId { ssrc: header.ssrc, index, mki: &context.mki };
        if !context.rtp.open_rtp_untrusted(packet, header.bytes, id) {
            return Err(DropReason::SrtpAuthentication);
        }
        source.rtp.note(index);
        context.rtp_left -= 1;
        context.sources.store(source);
        Ok(())
    }

    /// Makes an RTCP packet plain, or says why not and leaves it as it is.
    pub(crate) fn open_rtcp_untrusted(
        &mut self,
        packet: &mut PacketBuf<'_>,
        ssrc: u32,
    ) -> Result<(), DropReason> {
        let context = &mut *self.0;
        if packet.len() > MAX_PROTECTED_BYTES {
            return Err(DropReason::TooLong);
        }
        let known = context.sources.find(ssrc).copied();
        if known.is_none() && !context.sources.has_room() {
            return Err(DropReason::SsrcLimit);
        }
        if context.rtcp_left == 0 {
            return Err(DropReason::KeyExpired);
        }
        let RtcpIndex { index, encrypted } = context
            .rtcp
            .read_rtcp_index_untrusted(packet.data(), context.mki.len())
            .filter(|_| context.rtcp.has_mki(packet.data(), &context.mki))
            .ok_or(DropReason::SrtpAuthentication)?;
        let mut source = known.unwrap_or(Source { ssrc, ..Source::default() });
        source.rtcp.check(index)?;
        let id = PacketId { ssrc, index: u64::from(index), mki: &context.mki };
        if !context.rtcp.open_rtcp_untrusted(packet, id, encrypted) {
            return Err(DropReason::SrtpAuthentication);
        }
        source.rtcp.note(index);
        context.rtcp_left -= 1;
        context.sources.store(source);
        Ok(())
    }
}

/// Protects what is sent to one leg under one master key.
pub(crate) struct Sender(Box<Context>);

impl Sender {
    /// A sender; `None` when the key has not the length that its suite needs.
    pub(crate) fn new(keys: &SrtpKeys) -> Option<Self> {
        Context::new(keys).map(Self)
    }

    /// Reads what the next packet will need.
    #[inline]
    pub(crate) fn warm(&self) {
        self.0.warm();
    }

    pub(crate) fn export(&self) -> ContextState {
        self.0.export()
    }

    pub(crate) fn restored(state: &ContextState) -> Option<Self> {
        Context::restored(state).map(Self)
    }

    /// Protects a packet in place.
    ///
    /// A sequence number that this key protected before is refused as a replay: two packets under
    /// one index would betray both.
    #[inline]
    pub(crate) fn protect_rtp(
        &mut self,
        packet: &mut PacketBuf<'_>,
        header: &RtpHeader,
    ) -> Result<(), DropReason> {
        let context = &mut *self.0;
        if packet.len() > MAX_PLAIN_BYTES {
            return Err(DropReason::TooLong);
        }
        let source = context.sources.find_or_add(header.ssrc).ok_or(DropReason::SsrcLimit)?;
        if context.rtp_left == 0 {
            return Err(DropReason::KeyExpired);
        }
        let index = source.rtp.check(header.sequence)?;
        let id = PacketId { ssrc: header.ssrc, index, mki: &context.mki };
        context.rtp.protect_rtp(packet, header.bytes, id)?;
        source.rtp.note(index);
        context.rtp_left -= 1;
        Ok(())
    }

    /// Protects an RTCP packet in place.
    pub(crate) fn protect_rtcp(
        &mut self,
        packet: &mut PacketBuf<'_>,
        ssrc: u32,
    ) -> Result<(), DropReason> {
        let context = &mut *self.0;
        if packet.len() > MAX_PLAIN_BYTES {
            return Err(DropReason::TooLong);
        }
        let source = context.sources.find_or_add(ssrc).ok_or(DropReason::SsrcLimit)?;
        if context.rtcp_left == 0 {
            return Err(DropReason::KeyExpired);
        }
        let index = u64::from(source.rtcp.next()?);
        let id = PacketId { ssrc, index, mki: &context.mki };
        context.rtcp.protect_rtcp(packet, id)?;
        context.rtcp_left -= 1;
        Ok(())
    }
}
