import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.demo.rtp import (
    Reception,
    RtpPacket,
    is_report_untrusted,
    parse_rtp_untrusted,
    sender_report,
)
from sbc.sip.errors import ParseError


def packet(sequence: int, timestamp: int = 0, ssrc: int = 7) -> RtpPacket:
    return RtpPacket(0, sequence & 0xFFFF, timestamp, ssrc, b"x")


@given(
    st.builds(
        RtpPacket,
        st.integers(0, 127),
        st.integers(0, 0xFFFF),
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**32 - 1),
        st.binary(max_size=40),
        st.booleans(),
    )
)
def test_a_packet_survives_the_wire(sent: RtpPacket) -> None:
    assert parse_rtp_untrusted(bytes(sent)) == sent


@given(st.binary(max_size=64))
def test_only_parse_errors_come_of_any_bytes(data: bytes) -> None:
    is_report_untrusted(data)
    try:
        parse_rtp_untrusted(data)
    except ParseError:
        pass


def test_sources_extension_and_padding_are_not_payload() -> None:
    head = struct.pack("!BBHII", 0x80 | 0x20 | 0x10 | 1, 0, 1, 2, 3)
    data = head + bytes(4) + struct.pack("!HH", 0xBEDE, 1) + bytes(4) + b"sound" + b"\x00\x00\x03"
    assert parse_rtp_untrusted(data).payload == b"sound"


@pytest.mark.parametrize(
    "data",
    [b"", b"\x80" * 11, b"\x00" * 12, b"\x90" + bytes(11), b"\xa0" + bytes(10) + b"\x05"],
    ids=["empty", "short", "version 0", "extension cut", "padding too long"],
)
def test_what_is_no_rtp_is_refused(data: bytes) -> None:
    with pytest.raises(ParseError):
        parse_rtp_untrusted(data)


def test_loss_is_what_is_missing_from_the_sequence() -> None:
    heard = Reception()
    for sequence in (65534, 65535, 0, 3, 2):
        heard.count(packet(sequence), now=0.0)
    assert (heard.packets, heard.expected, heard.lost) == (5, 6, 1)


def test_the_extended_sequence_goes_on_over_the_wrap() -> None:
    heard = Reception()
    assert [heard.count(packet(n), now=0.0) for n in (65535, 1, 0)] == [65535, 65537, 65536]


def test_a_new_source_begins_anew() -> None:
    heard = Reception()
    heard.count(packet(1), now=0.0)
    heard.count(packet(900, ssrc=8), now=0.0)
    assert (heard.ssrc, heard.packets, heard.lost) == (8, 1, 0)


def test_an_even_stream_has_no_jitter_and_an_uneven_one_has() -> None:
    even, uneven = Reception(), Reception()
    for n in range(50):
        even.count(packet(n, timestamp=160 * n), now=0.02 * n)
        uneven.count(packet(n, timestamp=160 * n), now=0.02 * n + (0.01 if n % 2 else 0.0))
    assert even.jitter_ms < 0.001
    assert 8 < uneven.jitter_ms < 10


def test_a_report_says_what_was_sent_and_heard() -> None:
    heard = Reception()
    heard.count(packet(5), now=0.0)
    heard.count(packet(7), now=0.02)
    data = sender_report(
        1, cname="phone", wall_clock=0.5, timestamp=9, sent_packets=3, sent_octets=480, heard=heard
    )
    assert is_report_untrusted(data)
    words = struct.unpack_from("!BBHIIIIII", data)
    assert words == (0x81, 200, 12, 1, 2_208_988_800, 2**31, 9, 3, 480)
    ssrc, loss, highest = struct.unpack_from("!III", data, 28)
    assert (ssrc, loss, highest) == (7, 85 << 24 | 1, 7)
    described = data[52:]
    assert described[1] == 202
    assert len(described) == 4 * (int.from_bytes(described[2:4]) + 1)
    assert b"phone\x00" in described


def test_rtp_is_no_report() -> None:
    assert not is_report_untrusted(bytes(packet(1)))
