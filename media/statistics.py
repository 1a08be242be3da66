"""What is measured of the packets that arrive: loss, jitter, and the bit rate that is allowed.

Pure arithmetic: the arrival time is an argument.

Spec: RFC 3550 A.1, A.3, A.8.
"""

from copy import copy

from media.types import BurstLoss, IntervalLoss

_SEQUENCE_MODULUS = 1 << 16
_MAX_DROPOUT = 3000
_MAX_MISORDER = 100
_LEAP_TICKS = 90_000.0
"""A packet that is so much earlier or later than the one before was not held up by a network: its
sender began its clock anew. One second at the fastest clock, that of video."""
_LEAST_PACKETS = 10
"""With fewer packets, as in a pause in speech, the share of a second that is lost says nothing."""
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
        "_expected_before",
        "_expected_prior",
        "_jitter",
        "_lost_before",
        "_received",
        "_received_before",
        "_received_prior",
        "_runs",
        "_transit",
        "highest",
        "interval",
        "payload_type",
        "ssrc",
    )

    def __init__(self) -> None:
        self.ssrc = -1
        """The SSRC in use; -1 before the first packet."""
        self.highest = 0
        """The highest sequence number of that SSRC, without cycles."""
        self.payload_type = -1
        """The payload type of the last packet, for whoever sees it; -1 before there was one."""
        self.interval = IntervalLoss()
        """The interval that ended last, and the worst one."""
        self._base = 0
        self._bad = _SEQUENCE_MODULUS + 1
        self._cycles = 0
        self._received = 0
        self._lost_before = 0
        self._expected_before = 0
        self._received_before = 0
        self._expected_prior = 0
        self._received_prior = 0
        self._runs = _LossRuns()
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
            if ahead > 1:
                self._runs.lose((self.highest + 1) & 0xFFFF, ahead - 1)
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
        else:
            self._runs.find(sequence)
        self._received += 1
        self._take_jitter(transit)

    def is_newer(self, sequence: int, ssrc: int) -> bool:
        """Whether a packet is ahead of everything seen of its SSRC; a new SSRC always is."""
        if ssrc != self.ssrc:
            return True
        return 0 < (sequence - self.highest) & 0xFFFF < _SEQUENCE_MODULUS // 2

    def end_interval(self) -> None:
        """Ends an interval. Spec: RFC 3550 A.3 (fraction lost)."""
        expected, received = self.expected, self.received
        due = max(0, expected - self._expected_prior)
        lost = max(0, due - (received - self._received_prior))
        self._expected_prior, self._received_prior = expected, received
        worst = self.interval.worst_permille
        if due >= _LEAST_PACKETS:
            worst = max(worst, lost * 1000 // due)
        self.interval = IntervalLoss(due, lost, worst)

    @property
    def bursts(self) -> BurstLoss:
        """Runs of lost packets so far."""
        every = copy(self._runs)
        every.close()
        ratio = burst_ratio(every.runs, self.lost, self.received)
        return BurstLoss(every.runs, every.longest, ratio)

    @property
    def expected(self) -> int:
        """Packets that should have arrived, by their sequence numbers."""
        return self._expected_before + self._expected_now()

    @property
    def received(self) -> int:
        """Packets that arrived, with duplicates."""
        return self._received_before + self._received

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
        self._expected_before += self._expected_now()
        self._received_before += self._received
        self._base = self.highest = sequence
        self._bad = _SEQUENCE_MODULUS + 1
        self._cycles = 0
        self._received = 1
        self._runs.close()

    def _take_jitter(self, transit: float) -> None:
        change = abs(transit - self._transit)
        self._transit = transit
        if change > _LEAP_TICKS:
            # Unless the timestamp only wrapped between the two packets.
            change = abs((change + _HALF_TIMESTAMP) % (_TIMESTAMP_MASK + 1) - _HALF_TIMESTAMP)
            if change > _LEAP_TICKS:
                return
        self._jitter += (change - self._jitter) / 16.0

    def _expected_now(self) -> int:
        return 0 if self.ssrc < 0 else self._cycles + self.highest - self._base + 1

    def _lost_now(self) -> int:
        return max(0, self._expected_now() - self._received)


def burst_ratio(runs: int, lost: int, received: int) -> float:
    """Mean length of a run of lost packets against the one that loss by chance would have.

    1 is chance, more is burstier. By the two-state Markov model, 1 / (p + q): p is how often a
    loss follows a packet, q how often a packet follows a loss.

    Spec: ITU-T G.107 §7.5 (`BurstR`).
    """
    if not runs or not lost or not received:
        return 1.0
    return 1.0 / (runs / received + runs / lost)


class _LossRuns:
    """Packets lost one after the other, with the last run still open to late packets."""

    __slots__ = ("_first", "_length", "_missing", "longest", "runs")

    def __init__(self) -> None:
        self.runs = 0
        self.longest = 0
        self._first = 0
        self._length = 0
        self._missing = 0

    def lose(self, first: int, length: int) -> None:
        self.close()
        self._first, self._length, self._missing = first, length, length

    def find(self, sequence: int) -> None:
        """A packet of the open run may have come late."""
        if (sequence - self._first) & 0xFFFF < self._length:
            self._missing = max(0, self._missing - 1)

    def close(self) -> None:
        if self._missing:
            self.runs += 1
            self.longest = max(self.longest, self._missing)
        self._length = self._missing = 0


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
