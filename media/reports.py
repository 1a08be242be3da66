"""What a leg's RTCP tells of the packets it receives, and how far away it is.

Spec: RFC 3550 §6.4.1, §6.4.2.
"""

import struct
from typing import NamedTuple

from media.packet import split_rtcp_untrusted
from media.types import PeerView

_SENDER_REPORT = 200
_RECEIVER_REPORT = 201
_SENDER_BYTES = 28
"""Header, SSRC, NTP timestamp, RTP timestamp, two counts; blocks follow."""
_RECEIVER_BYTES = 8
"""Header and SSRC; blocks follow."""
_BLOCK = struct.Struct("!IIIIII")
_REMEMBERED = 2
"""Sender reports that an answer may still be about."""
_LONGEST_ROUND_TRIP_MS = 60_000.0
"""A round trip that is longer is a mistake."""
_CLOCK_ERROR_MS = 10.0
"""A leg whose clock runs fast may seem to have held a report a little longer than it had it; a
round trip that is further below zero is a mistake."""


class _SentReport(NamedTuple):
    """A sender report that went to the leg: the middle of its NTP timestamp, and when."""

    stamp: int
    at: float


class PeerReports:
    """The view of one leg."""

    __slots__ = ("_sent", "round_trip_ms", "view")

    def __init__(self) -> None:
        self.view: PeerView | None = None
        """What the leg said last of the source that is relayed to it."""
        self.round_trip_ms: float | None = None
        """Time to the leg and back."""
        self._sent: list[_SentReport] = []

    def note_sent_untrusted(self, data: bytes, now: float) -> None:
        """Notes the sender reports of plain compound RTCP that goes to the leg.

        Args:
            data: The compound packet.
            now: Monotonic seconds.
        """
        for packet in split_rtcp_untrusted(data):
            if packet[1] == _SENDER_REPORT and len(packet) >= _SENDER_BYTES:
                # The middle of the eight bytes of the NTP timestamp.
                stamp = int.from_bytes(packet[10:14], "big")
                self._sent = [_SentReport(stamp, now), *self._sent[: _REMEMBERED - 1]]

    def read_untrusted(self, data: bytes, heard: int, now: float) -> None:
        """Reads the report blocks of plain compound RTCP that comes from the leg.

        Args:
            data: The compound packet.
            heard: The SSRC that is relayed to the leg, -1 for none. What it says of another one
                counts for nothing: it is out of date, or not ours.
            now: Monotonic seconds.
        """
        for packet in split_rtcp_untrusted(data):
            if packet[1] == _SENDER_REPORT:
                begin = _SENDER_BYTES
            elif packet[1] == _RECEIVER_REPORT:
                begin = _RECEIVER_BYTES
            else:
                continue
            there = max(0, len(packet) - begin) // _BLOCK.size
            for number in range(min(packet[0] & 0x1F, there)):
                block = _BLOCK.unpack_from(packet, begin + number * _BLOCK.size)
                ssrc, loss, _, jitter_ticks, last_report, delay = block
                if ssrc == heard:
                    self.view = PeerView(ssrc, loss >> 24, _signed(loss & 0xFFFFFF), jitter_ticks)
                self._measure(last_report, delay, now)

    def _measure(self, last_report: int, delay: int, now: float) -> None:
        """The round trip by LSR and DLSR of a block; no LSR is zero.

        The time a report went out is what our clock said, so the leg's NTP clock may be wrong.
        """
        if not last_report:
            return
        for sent in self._sent:
            if sent.stamp == last_report:
                # The delay is in units of 1/65536 s.
                round_trip_ms = (now - sent.at - delay / 65536) * 1e3
                if -_CLOCK_ERROR_MS <= round_trip_ms <= _LONGEST_ROUND_TRIP_MS:
                    self.round_trip_ms = max(0.0, round_trip_ms)
                return


def _signed(value: int) -> int:
    """24 bits with a sign."""
    return value - (1 << 24) if value & 0x800000 else value
