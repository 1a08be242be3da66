"""The packets of the load, and the check of those that come back."""

import struct

import pytest

from tests.bench.media.modes import (
    CM_80,
    MODES,
    Mode,
    RelayedCall,
    made_key,
    peer_key,
    plain_packet,
    sent_packets,
    wrong_packets,
)
from tests.bench.media.wires import ip_header

BOTH_SECURE = Mode("both", (CM_80, CM_80), 1.0)
UNTOUCHED = RelayedCall((1, 1), (peer_key(BOTH_SECURE, 1), peer_key(BOTH_SECURE, 0)))
"""A call whose relay uses the phones' own keys, so that what a phone sends is right as it is."""


@pytest.mark.parametrize("mode", MODES.values(), ids=lambda mode: mode.name)
def test_packets_of_one_side_have_one_length(mode: Mode) -> None:
    for side in (0, 1):
        assert len({len(packet) for packet in sent_packets(mode, side, 10)}) == 1


def test_packets_under_the_right_key_are_right() -> None:
    samples = [(0, 0, packet) for packet in sent_packets(BOTH_SECURE, 1, 3)]
    assert wrong_packets(BOTH_SECURE, [UNTOUCHED], samples) == 0


def test_packets_under_another_key_are_wrong() -> None:
    call = RelayedCall((1, 1), (made_key(CM_80, "another"), None))
    samples = [(0, 0, packet) for packet in sent_packets(BOTH_SECURE, 1, 3)]
    assert wrong_packets(BOTH_SECURE, [call], samples) == 3


def test_a_packet_of_the_wrong_side_is_wrong() -> None:
    plain = MODES["rtp_rtp"]
    calls = [RelayedCall((1, 1), (None, None))]
    samples = [(0, 0, plain_packet(1, 7)), (0, 0, plain_packet(0, 7))]
    assert wrong_packets(plain, calls, samples) == 1


def test_an_ip_header_sums_to_all_ones() -> None:
    total = sum(struct.unpack("!10H", ip_header("10.99.1.2", "10.99.1.1", 182)))
    assert (total >> 16) + (total & 0xFFFF) == 0xFFFF
