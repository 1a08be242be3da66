"""What a sprayer throws at a media port, and for which reason each of it must be dropped."""

import struct
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple
from zlib import crc32

from media.types import Component, DropReason, SrtpKeys, SrtpSuite
from tests.engine.kit import protecting, rtcp, rtp

_MAGIC_COOKIE = 0x2112A442
_FINGERPRINT_XOR = 0x5354554E


class Kind(Enum):
    """What a datagram looks like to the relay's demultiplexer, and how sound it is."""

    RTP = "RTP"
    RTCP = "RTCP"
    CUT_RTP = "RTP that is shorter than it claims"
    CUT_RTCP = "RTCP that is shorter than its header"
    ODD_RTCP = "RTCP whose lengths do not fill it, as those of SRTCP do not for a plain side"
    HANDSHAKE = "STUN or DTLS"
    JUNK = "nothing that shares a media port"
    TOO_LONG = "longer than the relay reads"


class Shot(NamedTuple):
    """One datagram."""

    kind: Kind
    data: bytes


def reason(kind: Kind, component: Component, *, secure: bool) -> DropReason:
    """Why a stranger's datagram is dropped at an open port of a side without rtcp-mux."""
    if kind is Kind.JUNK:
        return DropReason.NOT_RTP
    if kind is Kind.TOO_LONG:
        return DropReason.TOO_LONG
    mine = _AT_HOME[component].get(kind)
    if mine is None:
        return DropReason.UNEXPECTED_PROTOCOL
    return mine[secure]


_UNPROVEN = (DropReason.UNKNOWN_SOURCE, DropReason.SRTP_AUTHENTICATION)
"""On a plain side, and on one with SRTP."""
_NEVER = (DropReason.NOT_RTP, DropReason.NOT_RTP)
_AT_HOME = {
    Component.RTP: {Kind.RTP: _UNPROVEN, Kind.CUT_RTP: _NEVER},
    Component.RTCP: {
        Kind.RTCP: _UNPROVEN,
        Kind.CUT_RTCP: _NEVER,
        # Under SRTP its tag is looked at before its lengths.
        Kind.ODD_RTCP: (DropReason.NOT_RTP, DropReason.SRTP_AUTHENTICATION),
    },
}


def barrage(number: int, *, ssrc: int, sequence: int) -> list[Shot]:
    """One of everything, the `number`-th time, against a call whose stream is known.

    Args:
        number: Counts the barrages: their RTP goes on from one to the next as a stream does.
        ssrc: Of the phone's RTP.
        sequence: Of the phone's latest RTP packet.
    """
    return [
        *(Shot(Kind.RTP, data) for data in _rtp(number, ssrc, sequence)),
        Shot(Kind.RTCP, rtcp(0xBAD, number)),
        Shot(Kind.RTCP, goodbye(ssrc)),
        Shot(Kind.ODD_RTCP, protecting(wrong_key()).protect_rtcp(rtcp(0xBAD, number))),
        Shot(Kind.CUT_RTP, rtp(1)[:11]),
        Shot(Kind.CUT_RTP, b"\x8f" + rtp(1)[1:40]),
        Shot(Kind.CUT_RTP, b"\x90" + rtp(1)[1:12] + b"\xbe\xde\xff\xff"),
        Shot(Kind.CUT_RTCP, rtcp()[:7]),
        Shot(Kind.ODD_RTCP, struct.pack("!BBHI", 0x80, 201, 9, number) + bytes(20)),
        Shot(Kind.HANDSHAKE, binding_request(number)),
        Shot(Kind.HANDSHAKE, client_hello(number)),
        Shot(Kind.JUNK, b""),
        Shot(Kind.JUNK, b"\x80"),
        Shot(Kind.JUNK, b"\x40\x00\x00\x04turn"),
        Shot(Kind.JUNK, b"\xff" * 200),
        Shot(Kind.TOO_LONG, rtp(sequence + 1, bytes(2037), ssrc=ssrc)),
    ]


def _rtp(number: int, ssrc: int, sequence: int) -> Iterator[bytes]:
    """A stream as a phone's, packets like this call's next ones, and SRTP under a wrong key."""
    for step in range(4):
        yield rtp(number * 4 + step, b"injected".ljust(160), ssrc=0xBAD)
    yield rtp(sequence + 1, b"injected".ljust(160), ssrc=ssrc)
    yield rtp(sequence + 20000, b"injected".ljust(160), ssrc=ssrc)
    yield protecting(wrong_key()).protect(rtp(sequence + 2, b"injected".ljust(160), ssrc=ssrc))


def wrong_key() -> SrtpKeys:
    """An SRTP key that nobody in any call has, whatever its seed."""
    suite = SrtpSuite.AES_CM_128_HMAC_SHA1_80
    return SrtpKeys(suite, bytes(suite.key_length))


def goodbye(ssrc: int) -> bytes:
    """RTCP by which a source says that it ends (RFC 3550 §6.6), after an empty report."""
    report = struct.pack("!BBHI", 0x80, 201, 1, ssrc)
    return report + struct.pack("!BBHI", 0x81, 203, 1, ssrc)


def binding_request(number: int) -> bytes:
    """A STUN binding request as ICE sends it: USERNAME, PRIORITY, USE-CANDIDATE, FINGERPRINT.

    Spec: RFC 8489 §5, RFC 8445 §7.1.
    """
    body = struct.pack("!HH", 0x0006, 9) + b"call:them" + bytes(3)
    body += struct.pack("!HHI", 0x0024, 4, 0x6E7F00FF) + struct.pack("!HH", 0x0025, 0)
    head = struct.pack("!HHI", 1, len(body) + 8, _MAGIC_COOKIE) + number.to_bytes(12, "big")
    check = crc32(head + body) ^ _FINGERPRINT_XOR
    return head + body + struct.pack("!HHI", 0x8028, 4, check)


def client_hello(number: int) -> bytes:
    """A DTLS 1.2 ClientHello with use_srtp, without a cookie.

    Spec: RFC 6347 §4.2.1, RFC 5764 §4.1.1.
    """
    extensions = struct.pack("!HHHHB", 14, 5, 2, 1, 0)
    suites = struct.pack("!HHH", 4, 0xC02B, 0xC02F)
    random = number.to_bytes(32, "big")
    hello = b"\xfe\xfd" + random + b"\x00\x00" + suites + b"\x01\x00"
    hello += struct.pack("!H", len(extensions)) + extensions
    size = len(hello).to_bytes(3, "big")
    handshake = b"\x01" + size + b"\x00\x00" + bytes(3) + size + hello
    record = struct.pack("!BHHHIH", 22, 0xFEFD, 0, number >> 32 & 0xFFFF, number & 0xFFFFFFFF, 0)
    return record[:-2] + len(handshake).to_bytes(2, "big") + handshake
