"""What is measured of the packets that arrive: loss, jitter, and the bit rate that is allowed.

Pure arithmetic: the arrival time is an argument.

Spec: RFC 3550 A.1, A.3, A.8.
"""

_SEQUENCE_MODULUS = 1 << 16
_MAX_DROPOUT = 3000
_MAX_MISORDER = 100
_HALF_TIMESTAMP = 1 << 31
_TIMESTAMP_MASK = (1 << 32) - 1

_BURST_SECONDS = 0.25
_LEAST_BURST_BYTES = 6000
"""Four full Ethernet frames: a video frame or a phone's catch-up after Wi-Fi silence fits."""


class Reception:
    """Loss and jitter of the RTP that one side sends, over all the SSRCs it used.

    The source itself is judged elsewhere (latch, SRTP), so counting starts with its first packet
    and not, as in A.1, with the second in sequence.
    """

    __slots__ = (
        "_bad",
        "_base",
        "_cycles",
        "_jitter",
        "_lost_before",
        "_received",
        "_transit",
        "highest",
        "ssrc",
    )

    def __init__(self) -> None:
        self.ssrc = -1
        """The SSRC in use; -1 before the first packet."""
        self.highest = 0
        """The highest sequence number of that SSRC, without cycles."""
        self._base = 0
        self._bad = _SEQUENCE_MODULUS + 1
        self._cycles = 0
        self._received = 0
        self._lost_before = 0
        self._transit = 0.0
        self._jitter = 0.0

    def receive(self, sequence: int, timestamp: int, ssrc: int, arrival_ticks: float) -> None:
        """Counts one packet.

        Args:
            sequence: The RTP sequence number.
            timestamp: The RTP timestamp, in ticks of the RTP clock.
            ssrc: The synchronisation source.
            arrival_ticks: When it arrived, in ticks of the RTP clock from any fixed moment.
        """
        transit = arrival_ticks - timestamp
        if ssrc != self.ssrc:
            self._start(sequence)
            self.ssrc = ssrc
            self._transit = transit
            return
        ahead = (sequence - self.highest) & 0xFFFF
        if ahead < _MAX_DROPOUT:
            if sequence < self.highest:
                self._cycles += _SEQUENCE_MODULUS
            self.highest = sequence
        elif ahead <= _SEQUENCE_MODULUS - _MAX_MISORDER:
            if sequence != self._bad:
                self._bad = (sequence + 1) & 0xFFFF
                return
            self._start(sequence)
            self._transit = transit
            return
        self._received += 1
        change = transit - self._transit
        if change >= _HALF_TIMESTAMP or change < -_HALF_TIMESTAMP:
            # The timestamp wrapped between the two packets.
            change = (change + _HALF_TIMESTAMP) % (_TIMESTAMP_MASK + 1) - _HALF_TIMESTAMP
        self._transit = transit
        self._jitter += (abs(change) - self._jitter) / 16.0

    def is_newer(self, sequence: int, ssrc: int) -> bool:
        """Whether a packet is ahead of everything seen of its SSRC; a new SSRC always is."""
        if ssrc != self.ssrc:
            return True
        return 0 < (sequence - self.highest) & 0xFFFF < _SEQUENCE_MODULUS // 2

    @property
    def lost(self) -> int:
        """Packets missing so far; duplicates never make it negative."""
        return self._lost_before + self._lost_now()

    @property
    def jitter_ticks(self) -> float:
        """Smoothed interarrival jitter in ticks of the RTP clock."""
        return self._jitter

    def _start(self, sequence: int) -> None:
        self._lost_before += self._lost_now()
        self._base = self.highest = sequence
        self._bad = _SEQUENCE_MODULUS + 1
        self._cycles = 0
        self._received = 1

    def _lost_now(self) -> int:
        if self.ssrc < 0:
            return 0
        expected = self._cycles + self.highest - self._base + 1
        return max(0, expected - self._received)


class BitRateLimit:
    """A token bucket that lets a quarter of a second's worth through at once."""

    __slots__ = ("_bytes_per_s", "_capacity", "_level", "_updated")

    def __init__(self, max_kbps: int, now: float) -> None:
        self._bytes_per_s = max_kbps * 125.0
        self._capacity = max(self._bytes_per_s * _BURST_SECONDS, float(_LEAST_BURST_BYTES))
        self._level = self._capacity
        self._updated = now

    def admits(self, octets: int, now: float) -> bool:
        """Takes `octets` from the bucket, or says that they are too many.

        Args:
            octets: UDP payload bytes.
            now: Monotonic seconds.
        """
        level = min(self._capacity, self._level + (now - self._updated) * self._bytes_per_s)
        self._updated = now
        if level < octets:
            self._level = level
            return False
        self._level = level - octets
        return True
