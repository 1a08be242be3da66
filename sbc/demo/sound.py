"""Sound that can be recognised after a trip through the network, and the ear that does it.

The test signal is a melody: short notes in an order that never repeats for seconds. What comes
back is judged by ear, not by counting packets: which notes arrived, how late, how loud.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul

from sbc.demo.g711 import FRAME_SAMPLES, SAMPLE_RATE_HZ

NOTES_HZ = (350, 500, 700, 900, 1150, 1500, 1900, 2400)
"""Within the telephone band, and no two that one 20 ms frame could confuse."""
NOTE_SAMPLES = 4 * FRAME_SAMPLES
MELODY_NOTES = 128
"""The melody repeats after this many notes (10.24 s): longer than any delay worth hearing."""
AMPLITUDE = 8000
_EDGE_SAMPLES = 40
_SILENCE = 200.0
"""Root mean square below which a frame counts as silent."""


def melody(notes: int = MELODY_NOTES, seed: int = 1) -> list[int]:
    """The order of the notes as indices into `NOTES_HZ`; no note follows itself."""
    order: list[int] = []
    state = seed
    for _ in range(notes):
        # A multiplicative congruential generator (Park and Miller): any machine, same melody.
        state = state * 48271 % 0x7FFFFFFF
        note = (state >> 8) % len(NOTES_HZ)
        if order and order[-1] == note:
            note = (note + 1) % len(NOTES_HZ)
        order.append(note)
    return order


def tone(frequency_hz: float, samples: int, amplitude: int = AMPLITUDE) -> list[int]:
    """A sine of so many 16-bit samples, its ends softened so that it does not click."""
    step = 2 * math.pi * frequency_hz / SAMPLE_RATE_HZ
    edge = min(_EDGE_SAMPLES, samples // 2)
    wave = [0] * samples
    for index in range(samples):
        from_end = min(index, samples - 1 - index)
        level = amplitude * (from_end / edge if from_end < edge else 1.0)
        wave[index] = int(level * math.sin(step * index))
    return wave


def play_melody(order: Sequence[int]) -> list[int]:
    """The melody as 16-bit samples."""
    wave: list[int] = []
    notes = [tone(frequency, NOTE_SAMPLES) for frequency in NOTES_HZ]
    for note in order:
        wave.extend(notes[note])
    return wave


def tone_energy(samples: Sequence[int], frequency_hz: float) -> float:
    """The share of the samples' energy that lies at one frequency, 0 to 1 (Goertzel)."""
    energy = float(sum(map(mul, samples, samples)))
    if energy == 0:
        return 0.0
    coefficient = 2 * math.cos(2 * math.pi * frequency_hz / SAMPLE_RATE_HZ)
    before = before_that = 0.0
    for sample in samples:
        before, before_that = sample + coefficient * before - before_that, before
    power = before * before + before_that * before_that - coefficient * before * before_that
    return min(1.0, 2 * power / (len(samples) * energy))


def rms(samples: Sequence[int]) -> float:
    """Root mean square of 16-bit samples."""
    return math.sqrt(sum(map(mul, samples, samples)) / len(samples)) if samples else 0.0


def note_of(samples: Sequence[int]) -> int | None:
    """Which note a stretch of sound is; None for silence and for anything that is no note."""
    if rms(samples) < _SILENCE:
        return None
    shares = [tone_energy(samples, frequency) for frequency in NOTES_HZ]
    best = max(range(len(shares)), key=shares.__getitem__)
    return best if shares[best] > 0.5 else None


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of a melody on its way."""

    notes: int
    """How many notes were expected back: those whose whole length was recorded."""
    right: int
    """How many of those were the right note in the right place."""
    delay_samples: int
    """How much later than sent, in samples at 8000 Hz; negative when the recording began late."""
    likeness: float
    """Normalised correlation of the waveforms at that delay, -1 to 1; 1 is the same sound."""
    level_db: float
    """Loudness against what was sent."""

    @property
    def share(self) -> float:
        """The share of notes that came back right, 0 to 1."""
        return self.right / self.notes if self.notes else 0.0


NOTHING_HEARD = Heard(notes=0, right=0, delay_samples=0, likeness=0.0, level_db=-math.inf)


def compare(sent: Sequence[int], heard: Sequence[int]) -> Heard:
    """Find a played melody in a recording and judge it note by note.

    Args:
        sent: 16-bit samples, a whole number of notes.
        heard: 16-bit samples of the recording; gaps filled with silence.
    """
    delay = _coarse_delay(sent, heard)
    if delay is None:
        return NOTHING_HEARD
    delay = _fine_delay(sent, heard, delay)
    notes = right = 0
    for start in range(0, len(sent) - NOTE_SAMPLES + 1, NOTE_SAMPLES):
        there = start + delay
        if there < 0 or there + NOTE_SAMPLES > len(heard):
            continue
        notes += 1
        expected = note_of(sent[start : start + NOTE_SAMPLES])
        right += expected == note_of(heard[there : there + NOTE_SAMPLES])
    ours, theirs = _overlap(sent, heard, delay)
    loudness = rms(theirs) / (rms(ours) or 1.0)
    return Heard(
        notes=notes,
        right=right,
        delay_samples=delay,
        likeness=_correlation(ours, theirs),
        level_db=20 * math.log10(loudness) if loudness else -math.inf,
    )


def _frames(samples: Sequence[int], size: int) -> list[Sequence[int]]:
    return [samples[at : at + size] for at in range(0, len(samples) - size + 1, size)]


def _coarse_delay(sent: Sequence[int], heard: Sequence[int]) -> int | None:
    """The delay to within a frame, from the order of the notes alone; None if none was heard."""
    played = [note_of(frame) for frame in _frames(sent, FRAME_SAMPLES)]
    recorded = [note_of(frame) for frame in _frames(heard, FRAME_SAMPLES)]
    best_lag, best_score = 0, 0
    for lag in range(-len(played) + 1, len(recorded)):
        score = sum(
            1
            for at in range(max(0, -lag), min(len(played), len(recorded) - lag))
            if played[at] is not None and played[at] == recorded[at + lag]
        )
        if score > best_score:
            best_lag, best_score = lag, score
    return best_lag * FRAME_SAMPLES if best_score else None


def _fine_delay(sent: Sequence[int], heard: Sequence[int], coarse: int) -> int:
    """The delay to the sample: where the waveforms lie on each other best."""
    window = 2 * NOTE_SAMPLES
    lags = range(coarse - FRAME_SAMPLES, coarse + FRAME_SAMPLES + 1)
    first = max(0, -lags.start)
    last = min(len(sent), len(heard) - lags.stop) - window
    if last < first:
        return coarse
    # The loudest stretch of the overlap: a gap in the recording must not be what we align by.
    start = max(
        range(first, last + 1, window),
        key=lambda at: rms(heard[at + coarse : at + coarse + window]),
    )
    ours = sent[start : start + window]
    return max(lags, key=lambda lag: sum(map(mul, ours, heard[start + lag : start + lag + window])))


def _overlap(
    sent: Sequence[int], heard: Sequence[int], delay: int
) -> tuple[Sequence[int], Sequence[int]]:
    start = max(0, -delay)
    end = min(len(sent), len(heard) - delay)
    return sent[start:end], heard[start + delay : end + delay]


def _correlation(ours: Sequence[int], theirs: Sequence[int]) -> float:
    energy = math.sqrt(sum(map(mul, ours, ours)) * sum(map(mul, theirs, theirs)))
    return sum(map(mul, ours, theirs)) / energy if energy else 0.0
