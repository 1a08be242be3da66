//! What a datagram on a media port is, by its first bytes.
//!
//! Total functions over bytes from strangers: they answer, they never panic.

const RTP_HEADER_BYTES: usize = 12;
/// The common header and the sender's SSRC: as much as SRTCP leaves readable.
const RTCP_HEADER_BYTES: usize = 8;
const VERSION_MASK: u8 = 0xC0;
const VERSION_2: u8 = 0x80;

/// The protocols that share a media port. Spec: RFC 7983 §7, RFC 5761 §4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    /// RTP or SRTP.
    Rtp,
    /// RTCP or SRTCP.
    Rtcp,
    /// STUN.
    Stun,
    /// DTLS.
    Dtls,
    /// ZRTP, TURN channels, empty keep-alives (RFC 6263 §4.1) and junk.
    Other,
}

/// What the relay reads of an RTP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpHeader {
    /// The sequence number.
    pub sequence: u16,
    /// The timestamp, in ticks of the RTP clock.
    pub timestamp: u32,
    /// The synchronisation source.
    pub ssrc: u32,
    /// The payload type.
    pub payload_type: u8,
    /// Bytes of the header with its contributing sources and its extension.
    pub bytes: usize,
}

/// Tells the protocol of a datagram, whatever its bytes.
///
/// Spec: RFC 7983 §7 (first byte), RFC 5761 §4 (RTCP has 192 to 223 in its second byte).
#[inline]
pub fn classify_untrusted(data: &[u8]) -> PacketKind {
    match data {
        [128..=191, 192..=223, ..] => PacketKind::Rtcp,
        [128..=191, _, ..] => PacketKind::Rtp,
        [0..=3, _, ..] => PacketKind::Stun,
        [20..=63, _, ..] => PacketKind::Dtls,
        _ => PacketKind::Other,
    }
}

/// Reads the RTP header, or `None` when the datagram is too short for what it claims.
///
/// Padding is not judged: under SRTP it is encrypted. Spec: RFC 3550 §5.1, §5.3.1, A.1.
#[inline]
pub fn read_rtp_untrusted(data: &[u8]) -> Option<RtpHeader> {
    let fixed: &[u8; RTP_HEADER_BYTES] = data.first_chunk()?;
    let [first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = *fixed;
    Some(RtpHeader {
        sequence: u16::from_be_bytes([s0, s1]),
        timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
        ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
        payload_type: second & 0x7F,
        bytes: if first == VERSION_2 { RTP_HEADER_BYTES } else { header_bytes(first, data)? },
    })
}

fn header_bytes(first: u8, data: &[u8]) -> Option<usize> {
    if first & VERSION_MASK != VERSION_2 {
        return None;
    }
    let mut end = RTP_HEADER_BYTES + 4 * usize::from(first & 0x0F);
    if first & 0x10 != 0 {
        let [_, _, high, low] = *data.get(end..)?.first_chunk()?;
        end += 4 + 4 * usize::from(u16::from_be_bytes([high, low]));
    }
    (end <= data.len()).then_some(end)
}

/// Reads the sender's SSRC of a possibly encrypted RTCP packet, or `None` when it is none.
///
/// Spec: RFC 3550 §6.1, RFC 3711 §3.4 (the first eight bytes stay in the clear).
pub fn read_rtcp_untrusted(data: &[u8]) -> Option<u32> {
    let [first, _, _, _, ssrc @ ..] = data.first_chunk::<RTCP_HEADER_BYTES>()?;
    (first & VERSION_MASK == VERSION_2).then(|| u32::from_be_bytes(*ssrc))
}

/// Whether plain RTCP is a chain of packets whose lengths fill the datagram exactly.
///
/// The first packet may be of any type: reduced-size RTCP (RFC 5506) has no report in front.
///
/// Spec: RFC 3550 A.2.
pub fn is_compound_rtcp_untrusted(data: &[u8]) -> bool {
    let mut rest = data;
    while let Some((packet, behind)) = split_rtcp_untrusted(rest) {
        debug_assert!(!packet.is_empty(), "a packet has at least its header");
        rest = behind;
    }
    rest.is_empty() && data.len() >= RTCP_HEADER_BYTES
}

/// The first RTCP packet of a compound one and what is behind it; `None` when there is none.
pub(crate) fn split_rtcp_untrusted(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let [first, _, high, low] = *data.first_chunk()?;
    let length = 4 + 4 * usize::from(u16::from_be_bytes([high, low]));
    if first & VERSION_MASK != VERSION_2 {
        return None;
    }
    data.split_at_checked(length)
}
