"""What a datagram is, by its first bytes."""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from media.packet import (
    PacketKind,
    classify_untrusted,
    is_compound_rtcp_untrusted,
    read_rtcp_untrusted,
    read_rtp_untrusted,
    split_rtcp_untrusted,
)

HEADER = struct.pack("!BBHII", 0x80, 0, 7, 160, 0xCAFE)


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        (0, 0, PacketKind.STUN),
        (3, 255, PacketKind.STUN),
        (4, 0, PacketKind.OTHER),
        (16, 0, PacketKind.OTHER),
        (20, 254, PacketKind.DTLS),
        (63, 0, PacketKind.DTLS),
        (64, 0, PacketKind.OTHER),
        (127, 0, PacketKind.OTHER),
        (128, 0, PacketKind.RTP),
        (191, 127, PacketKind.RTP),
        (128, 191, PacketKind.RTP),
        (128, 192, PacketKind.RTCP),
        (129, 223, PacketKind.RTCP),
        (128, 224, PacketKind.RTP),
        (192, 0, PacketKind.OTHER),
    ],
)
def test_the_first_bytes_tell_the_protocol(first: int, second: int, kind: PacketKind) -> None:
    assert classify_untrusted(bytes([first, second])) is kind


@pytest.mark.parametrize("data", [b"", b"\x80"])
def test_next_to_nothing_is_nothing(data: bytes) -> None:
    assert classify_untrusted(data) is PacketKind.OTHER


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        (HEADER, (7, 160, 0xCAFE)),
        (HEADER + b"sound", (7, 160, 0xCAFE)),
        (HEADER[:-1], None),
        (b"\x40" + HEADER[1:], None),
        (b"\x82" + HEADER[1:] + bytes(8), (7, 160, 0xCAFE)),
        (b"\x82" + HEADER[1:] + bytes(7), None),
        (b"\x90" + HEADER[1:] + bytes(3), None),
        (b"\x90" + HEADER[1:] + b"\xbe\xde\x00\x01" + bytes(4), (7, 160, 0xCAFE)),
        (b"\x90" + HEADER[1:] + b"\xbe\xde\x00\x02" + bytes(4), None),
        (b"\x91" + HEADER[1:] + bytes(4) + b"\xbe\xde\x00\x00", (7, 160, 0xCAFE)),
        (b"\xa0" + HEADER[1:], (7, 160, 0xCAFE)),
    ],
)
def test_an_rtp_header_is_as_long_as_it_claims(
    data: bytes, fields: tuple[int, int, int] | None
) -> None:
    assert read_rtp_untrusted(data) == fields


REPORT = struct.pack("!BBHI", 0x80, 201, 1, 0xCAFE)
FEEDBACK = struct.pack("!BBHII", 0x81, 206, 2, 0xCAFE, 1)


@pytest.mark.parametrize(
    ("data", "ssrc", "compound"),
    [
        (REPORT, 0xCAFE, True),
        (FEEDBACK, 0xCAFE, True),
        (REPORT + FEEDBACK, 0xCAFE, True),
        (REPORT + b"\x81\xcb\x00\x00", 0xCAFE, True),
        (REPORT + b"\x81", 0xCAFE, False),
        (REPORT + b"\x01\xcb\x00\x00", 0xCAFE, False),
        (REPORT + b"tag1", 0xCAFE, False),
        (REPORT[:4], None, False),
        (b"", None, False),
        (b"\x00" + REPORT[1:], None, False),
        (struct.pack("!BBHI", 0x80, 201, 0, 0xCAFE), 0xCAFE, False),
    ],
)
def test_rtcp_fills_its_datagram(data: bytes, ssrc: int | None, compound: bool) -> None:
    assert read_rtcp_untrusted(data) == ssrc
    assert is_compound_rtcp_untrusted(data) is compound


def test_compound_rtcp_falls_into_its_packets_up_to_the_first_that_is_none() -> None:
    assert list(split_rtcp_untrusted(REPORT + FEEDBACK)) == [REPORT, FEEDBACK]
    assert list(split_rtcp_untrusted(REPORT + FEEDBACK[:-1])) == [REPORT]
    assert list(split_rtcp_untrusted(REPORT + b"\x00" + FEEDBACK[1:])) == [REPORT]


@given(st.binary(max_size=64) | st.binary(max_size=40).map(lambda tail: b"\x90\xc8" + tail))
@example(b"\x9f" + bytes(11))
def test_any_bytes_get_an_answer(data: bytes) -> None:
    kind = classify_untrusted(data)
    fields, ssrc = read_rtp_untrusted(data), read_rtcp_untrusted(data)
    assert kind in PacketKind
    assert fields is None or len(data) >= 12
    assert ssrc is None or len(data) >= 8
    whole = is_compound_rtcp_untrusted(data)
    packets = b"".join(split_rtcp_untrusted(data))
    assert data.startswith(packets)
    assert whole is (packets == data and len(data) >= 8)
