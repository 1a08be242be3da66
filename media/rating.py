"""What the speech of one direction sounded like, window by window.

A score for a whole call would be made of its total loss, and one bad minute would stand in it for
an hour. So every ten seconds have a score of their own, about as long as what listeners judge in
the tests that the scale comes from (ITU-T P.800), and the call has the last, the mean and the
worst of them.
"""

from copy import copy
from typing import NamedTuple

from media.quality import Conditions, codec_name, is_listed, mean_opinion_score
from media.statistics import Reception, burst_ratio
from media.types import SpeechQuality

WINDOW_LOOKS = 10
"""How many looks, one a second, a window has at least."""
WINDOW_PACKETS = 100
"""How many packets a window has at least: pauses in speech make it longer."""


class Path(NamedTuple):
    """What a look needs to know besides the packets."""

    clock_hz: int
    """The RTP clock."""
    delay_ms: float
    """From one phone to the other, as far as it is known."""


class Ratings:
    """The scores of the windows so far, and the window that is open."""

    __slots__ = ("_codec", "_last", "_sum", "_window", "_windows", "_worst")

    def __init__(self) -> None:
        self._last = 0.0
        self._worst = 0.0
        self._sum = 0.0
        self._windows = 0
        self._codec: int | None = None
        self._window = _Window()

    def look(self, reception: Reception, path: Path) -> None:
        """Takes note of one more second, and of its score when that ends a window."""
        window = self._window
        window.look(reception)
        if window.looks >= WINDOW_LOOKS:
            score = window.score(reception, path)
            if score is not None:
                self._count(score, window)
                self._window = _Window(reception)

    def report(self, reception: Reception, path: Path) -> SpeechQuality | None:
        """The scores with that of the open window, if it has enough packets."""
        every, window = copy(self), copy(self._window)
        if not window.looks:
            window.look(reception)
        score = window.score(reception, path)
        if score is not None:
            every._count(score, window)
        if not every._windows:
            return None
        return SpeechQuality(
            last=every._last,
            mean=every._sum / every._windows,
            worst=every._worst,
            windows=every._windows,
            codec=codec_name(every._codec),
        )

    def _count(self, score: float, window: "_Window") -> None:
        self._worst = min(self._worst, score) if self._windows else score
        self._last = score
        self._sum += score
        self._windows += 1
        self._codec = window.codec


class _Window:
    """The totals when the window began, and what was seen at the looks since."""

    __slots__ = ("_expected", "_jitter_sum", "_received", "_runs", "codec", "looks")

    def __init__(self, begins: Reception | None = None) -> None:
        self._expected = 0 if begins is None else begins.expected
        self._received = 0 if begins is None else begins.received
        self._runs = 0 if begins is None else begins.bursts.runs
        self._jitter_sum = 0.0
        self.looks = 0
        self.codec: int | None = None

    def look(self, reception: Reception) -> None:
        self.looks += 1
        self._jitter_sum += reception.jitter_ticks
        # A key press or comfort noise has a type of its own, and is no other codec.
        if is_listed(reception.payload_type):
            self.codec = reception.payload_type

    def score(self, reception: Reception, path: Path) -> float | None:
        """What it sounds like, after a look at least; None with too few packets."""
        expected = reception.expected - self._expected
        if expected < WINDOW_PACKETS:
            return None
        received = reception.received - self._received
        lost = max(0, expected - received)
        runs = max(0, reception.bursts.runs - self._runs)
        jitter_ticks = self._jitter_sum / self.looks
        return mean_opinion_score(
            Conditions(
                codec=self.codec,
                loss=lost / expected,
                burst_ratio=burst_ratio(runs, lost, received),
                jitter_ms=jitter_ticks * 1e3 / max(path.clock_hz, 1),
                delay_ms=path.delay_ms,
            )
        )
