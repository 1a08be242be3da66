"""What a datagram on a media port is, by its first bytes.

Total functions over bytes from strangers: they answer, they never raise.
"""

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct

RTP_HEADER_BYTES = 12
RTCP_HEADER_BYTES = 8
"""The common header and the sender's SSRC: as much as SRTCP leaves readable."""

_RTP = Struct("!xxHII")
_EXTENSION = Struct("!xxH")
_LENGTH = Struct("!xxH")
_SSRC = Struct("!4xI")

RtpFields = tuple[int, int, int]
"""Sequence number, timestamp in RTP clock ticks, SSRC."""


class PacketKind(IntEnum):
    """The protocols that share a media port.

    Spec: RFC 7983 §7, RFC 5761 §4.
    """

    RTP = 0
    RTCP = 1
    STUN = 2
    DTLS = 3
    OTHER = 4
    """ZRTP, TURN channels, empty keep-alives (RFC 6263 §4.1) and junk."""


def classify_untrusted(data: bytes) -> PacketKind:
    """Tells the protocol of a datagram, whatever its bytes.

    Spec: RFC 7983 §7 (first byte), RFC 5761 §4 (RTCP has 192 to 223 in its second byte).
    """
    if len(data) < 2:
        return PacketKind.OTHER
    first = data[0]
    if 128 <= first <= 191:
        return PacketKind.RTCP if 192 <= data[1] <= 223 else PacketKind.RTP
    if first <= 3:
        return PacketKind.STUN
    if 20 <= first <= 63:
        return PacketKind.DTLS
    return PacketKind.OTHER


def read_rtp_untrusted(data: bytes) -> RtpFields | None:
    """Reads the RTP header, or None when the datagram is too short for what it claims.

    Padding is not judged: under SRTP it is encrypted.

    Spec: RFC 3550 §5.1, §5.3.1, A.1.
    """
    size = len(data)
    if size < RTP_HEADER_BYTES:
        return None
    first = data[0]
    if first != 0x80:
        if first & 0xC0 != 0x80:
            return None
        end = RTP_HEADER_BYTES + 4 * (first & 0x0F)
        if first & 0x10:
            if size < end + 4:
                return None
            end += 4 + 4 * _EXTENSION.unpack_from(data, end)[0]
        if size < end:
            return None
    sequence, timestamp, ssrc = _RTP.unpack_from(data)
    return sequence, timestamp, ssrc


def read_rtcp_untrusted(data: bytes) -> int | None:
    """Reads the sender's SSRC of a possibly encrypted RTCP packet, or None when it is none.

    Spec: RFC 3550 §6.1, RFC 3711 §3.4 (the first eight bytes stay in the clear).
    """
    if len(data) < RTCP_HEADER_BYTES or data[0] & 0xC0 != 0x80:
        return None
    ssrc: int = _SSRC.unpack_from(data)[0]
    return ssrc


def split_rtcp_untrusted(data: bytes) -> Iterator[bytes]:
    """The packets of plain compound RTCP, each with its header at least; ends where there is none.

    Spec: RFC 3550 §6.1.
    """
    size = len(data)
    offset = 0
    while size - offset >= 4 and data[offset] & 0xC0 == 0x80:
        end = offset + 4 + 4 * _LENGTH.unpack_from(data, offset)[0]
        if end > size:
            return
        yield data[offset:end]
        offset = end


def is_compound_rtcp_untrusted(data: bytes) -> bool:
    """Whether plain RTCP is a chain of packets whose lengths fill the datagram exactly.

    The first packet may be of any type: reduced-size RTCP (RFC 5506) has no report in front.

    Spec: RFC 3550 A.2.
    """
    size = len(data)
    offset = 0
    while offset < size:
        if size - offset < 4 or data[offset] & 0xC0 != 0x80:
            return False
        offset += 4 + 4 * _LENGTH.unpack_from(data, offset)[0]
    return offset == size and size >= RTCP_HEADER_BYTES
