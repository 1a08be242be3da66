"""RTP and RTCP packets, and what a receiver knows of a stream.

Spec: RFC 3550 §5.1 (RTP header), §6.4 (reports), A.1, A.3, A.8 (sequence, loss, jitter).
"""

import struct
from dataclasses import dataclass
from typing import NamedTuple

from sbc.demo.g711 import SAMPLE_RATE_HZ
from sbc.sip.errors import ParseError

_RTP_HEADER = struct.Struct("!BBHII")
_SENDER_INFO = struct.Struct("!BBHIIIIII")
_REPORT_BLOCK = struct.Struct("!IIIIII")
_NTP_EPOCH = 2_208_988_800
"""Seconds from 1900 to 1970."""
SENDER_REPORT, RECEIVER_REPORT, SOURCE_DESCRIPTION = 200, 201, 202


class RtpPacket(NamedTuple):
    """One RTP packet without extensions of ours; those of others are skipped."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False

    def __bytes__(self) -> bytes:
        return (
            _RTP_HEADER.pack(
                0x80,
                self.marker << 7 | self.payload_type,
                self.sequence & 0xFFFF,
                self.timestamp & 0xFFFFFFFF,
                self.ssrc,
            )
            + self.payload
        )


def parse_rtp_untrusted(data: bytes) -> RtpPacket:
    """Read one RTP packet.

    Raises:
        ParseError: the bytes are no RTP version 2 packet.

    Spec: RFC 3550 §5.1, §5.3.1.
    """
    if len(data) < _RTP_HEADER.size or data[0] >> 6 != 2:
        raise ParseError("not an RTP version 2 packet")
    first, second, sequence, timestamp, ssrc = _RTP_HEADER.unpack_from(data)
    start = _RTP_HEADER.size + 4 * (first & 0x0F)
    if first & 0x10:
        if len(data) < start + 4:
            raise ParseError("the header extension is cut short", start)
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4])
    end = len(data) - (data[-1] if first & 0x20 else 0)
    if start > end:
        raise ParseError("header and padding are longer than the packet", start)
    return RtpPacket(second & 0x7F, sequence, timestamp, ssrc, data[start:end], bool(second >> 7))


@dataclass(slots=True)
class Reception:
    """The statistics of one received stream; a new SSRC begins them anew."""

    ssrc: int = 0
    packets: int = 0
    jitter_ticks: float = 0.0
    """Interarrival jitter in ticks of the 8000 Hz clock."""
    _first: int = 0
    _highest: int = 0
    _transit: float | None = None

    def count(self, packet: RtpPacket, now: float) -> int:
        """Take one packet in; returns its extended sequence number (RFC 3550 A.1)."""
        if not self.packets or packet.ssrc != self.ssrc:
            self.ssrc, self.packets, self.jitter_ticks = packet.ssrc, 0, 0.0
            self._first = self._highest = packet.sequence
            self._transit = None
        ahead = (packet.sequence - self._highest + 0x8000 & 0xFFFF) - 0x8000
        extended = self._highest + ahead
        self._highest = max(self._highest, extended)
        self.packets += 1
        transit = now * SAMPLE_RATE_HZ - packet.timestamp
        if self._transit is not None:
            self.jitter_ticks += (abs(transit - self._transit) - self.jitter_ticks) / 16
        self._transit = transit
        return extended

    @property
    def expected(self) -> int:
        """How many packets the sequence numbers say were sent."""
        return self._highest - self._first + 1 if self.packets else 0

    @property
    def lost(self) -> int:
        """Packets missing from the sequence, never negative."""
        return max(0, self.expected - self.packets)

    @property
    def jitter_ms(self) -> float:
        """Interarrival jitter in milliseconds."""
        return self.jitter_ticks * 1000 / SAMPLE_RATE_HZ

    def report_block(self) -> bytes:
        """What a report says of this stream; fraction lost is over its whole life."""
        fraction = min(255, 256 * self.lost // self.expected) if self.packets else 0
        return _REPORT_BLOCK.pack(
            self.ssrc,
            fraction << 24 | min(self.lost, 0x7FFFFF),
            self._highest & 0xFFFFFFFF,
            int(self.jitter_ticks),
            0,
            0,
        )


def sender_report(
    ssrc: int,
    *,
    cname: str,
    wall_clock: float,
    timestamp: int,
    sent_packets: int,
    sent_octets: int,
    heard: Reception,
) -> bytes:
    """A compound packet: sender report with at most one block, then our name.

    Args:
        wall_clock: seconds since 1970.
        timestamp: the RTP timestamp of the same moment.

    Spec: RFC 3550 §6.1, §6.4.1, §6.5.
    """
    blocks = heard.report_block() if heard.packets else b""
    words = (_SENDER_INFO.size + len(blocks)) // 4 - 1
    seconds = int(wall_clock)
    report = _SENDER_INFO.pack(
        0x80 | bool(blocks),
        SENDER_REPORT,
        words,
        ssrc,
        (seconds + _NTP_EPOCH) & 0xFFFFFFFF,
        int((wall_clock - seconds) * 2**32) & 0xFFFFFFFF,
        timestamp & 0xFFFFFFFF,
        sent_packets & 0xFFFFFFFF,
        sent_octets & 0xFFFFFFFF,
    )
    name = cname.encode()[:255]
    chunk = struct.pack("!IBB", ssrc, 1, len(name)) + name
    # The item list ends with at least one zero byte, at a multiple of four.
    chunk += bytes(4 - len(chunk) % 4)
    return report + blocks + struct.pack("!BBH", 0x81, SOURCE_DESCRIPTION, len(chunk) // 4) + chunk


def is_report_untrusted(data: bytes) -> bool:
    """Whether bytes begin as a compound RTCP packet must: with a report (RFC 3550 §6.1)."""
    return (
        len(data) >= 8
        and data[0] >> 6 == 2
        and data[1] in (SENDER_REPORT, RECEIVER_REPORT)
        and 4 * (int.from_bytes(data[2:4]) + 1) <= len(data)
    )
