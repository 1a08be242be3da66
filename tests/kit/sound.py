"""Sound as proof: tunes that are told apart by ear, G.711, WAV files, and listening.

Every party of a test plays its own tune, a row of notes a quarter of a second each. Whoever
hears it must hear those notes, in that order, without a foreign note or a hole in between:
silence, the wrong direction, one's own echo, noise and half a call all fail.
"""

import math
import struct
import wave
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.kit.wire import Datagram

RATE_HZ = 8000
NOTE_S = 0.25
_FRAME_S = 0.05
_AMPLITUDE = 9000
_FULL_SCALE = 32768.0
_AUDIBLE = 0.01
_PURE = 0.7

TUNES: dict[str, tuple[int, ...]] = {
    "caller": (425, 800, 600, 1300, 700),
    "callee": (500, 1000, 1500, 900, 1900),
    "third": (550, 1600, 1100, 2100, 1750),
}
"""Notes in hertz by who plays them; no two tunes share one."""

_ALL_NOTES = tuple(note for tune in TUNES.values() for note in tune)


def tune(notes: Sequence[int], seconds: float) -> list[int]:
    """The notes over and over for `seconds`, as 16-bit samples."""
    samples = []
    per_note = int(NOTE_S * RATE_HZ)
    for index in range(int(seconds * RATE_HZ)):
        note = notes[index // per_note % len(notes)]
        samples.append(int(_AMPLITUDE * math.sin(2 * math.pi * note * index / RATE_HZ)))
    return samples


def tone(frequency_hz: int, seconds: float) -> list[int]:
    """One steady tone as 16-bit samples."""
    return tune((frequency_hz,), seconds)


def loudness(samples: Sequence[int]) -> float:
    """Root mean square as a fraction of full scale."""
    if not samples:
        return 0.0
    return math.sqrt(sum(sample * sample for sample in samples) / len(samples)) / _FULL_SCALE


def share_of_tone(samples: Sequence[int], frequency_hz: float) -> float:
    """How much of the power of `samples` is at `frequency_hz`, 0 to 1 (Goertzel)."""
    power = sum(sample * sample for sample in samples)
    if not power:
        return 0.0
    turn = 2 * math.pi * frequency_hz / RATE_HZ
    coefficient, last, before = 2 * math.cos(turn), 0.0, 0.0
    for sample in samples:
        last, before = sample + coefficient * last - before, last
    at_frequency = last * last + before * before - coefficient * last * before
    return min(1.0, 2 * at_frequency / (len(samples) * power))


def notes_heard(samples: Sequence[int], among: Sequence[int] = _ALL_NOTES) -> list[int | None]:
    """What each 50 ms of a recording is: one of the notes, or None (silence, a mix, noise)."""
    size = int(_FRAME_S * RATE_HZ)
    heard: list[int | None] = []
    for start in range(0, len(samples) - size + 1, size):
        frame = samples[start : start + size]
        if loudness(frame) < _AUDIBLE:
            heard.append(None)
            continue
        shares = {note: share_of_tone(frame, note) for note in among}
        best = max(shares, key=lambda note: shares[note])
        heard.append(best if shares[best] >= _PURE else None)
    return heard


def seconds_of_tune(samples: Sequence[int], notes: Sequence[int]) -> float:
    """The longest unbroken stretch of the tune in a recording, in seconds.

    Unbroken: each note follows its predecessor of the tune after at most one 50 ms frame that
    straddles both, and no note is held longer than it is written (one frame of grace).
    """
    longest = 0
    length = 0
    held = 0
    current: int | None = None
    blurred = 0
    longest_note = round(NOTE_S / _FRAME_S) + 1
    for note in notes_heard(samples):
        follows = current is not None and note == notes[(notes.index(current) + 1) % len(notes)]
        if note is not None and note == current and held < longest_note:
            held, blurred, length = held + 1, 0, length + 1
        elif note is not None and follows:
            current, held, blurred, length = note, 1, 0, length + 1
        elif note is None and current is not None and blurred == 0:
            blurred, length = 1, length + 1
        elif note in notes:
            current, held, blurred, length = note, 1, 0, 1
        else:
            current, length = None, 0
        longest = max(longest, length)
    return longest * _FRAME_S


def share_of_note(samples: Sequence[int], frequency_hz: int) -> float:
    """How many of a recording's audible 50 ms frames are that tone, 0 to 1."""
    heard = notes_heard(samples, (frequency_hz,))
    size = int(_FRAME_S * RATE_HZ)
    audible = [
        note
        for index, note in enumerate(heard)
        if loudness(samples[index * size : (index + 1) * size]) >= _AUDIBLE
    ]
    return audible.count(frequency_hz) / len(audible) if audible else 0.0


def write_wav(path: Path, samples: Sequence[int]) -> None:
    """Write mono 16-bit samples at 8 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))


def read_wav(path: Path) -> list[int]:
    """Read mono 16-bit samples; a file whose writer was cut off is read as far as it goes."""
    data = path.read_bytes()
    start = data.find(b"data")
    if data[:4] != b"RIFF" or start < 0:
        return []
    payload = data[start + 8 :]
    count = len(payload) // 2
    return list(struct.unpack(f"<{count}h", payload[: count * 2]))


def ulaw_encode(samples: Iterable[int]) -> bytes:
    """PCMU of 16-bit samples.

    Spec: ITU-T G.711.
    """
    return bytes(_TO_ULAW[sample >> 2] for sample in samples)


def ulaw_decode(data: bytes) -> list[int]:
    """16-bit samples of PCMU.

    Spec: ITU-T G.711.
    """
    return [_FROM_ULAW[octet] for octet in data]


def is_rtp(payload: bytes) -> bool:
    """Whether a datagram is RTP with a payload, not RTCP, SIP or a keep-alive.

    Spec: RFC 5761 §4.
    """
    return len(payload) > 12 and payload[0] >> 6 == 2 and not 64 <= payload[1] & 0x7F <= 95


def heard_in_rtp(datagrams: Iterable[Datagram], *, payload_type: int = 0) -> list[int]:
    """The sound of captured PCMU packets, put in order by sequence number.

    A lost packet is 20 ms of silence; a duplicate is heard once. Several streams (by SSRC) are
    heard one after the other.

    Spec: RFC 3550 §5.1, RFC 3551 §4.5.14.
    """
    streams: dict[bytes, dict[int, bytes]] = {}
    first: dict[bytes, int] = {}
    for datagram in datagrams:
        payload = datagram.payload
        if not is_rtp(payload) or payload[1] & 0x7F != payload_type:
            continue
        source, sequence = payload[8:12], int.from_bytes(payload[2:4], "big")
        place = (sequence - first.setdefault(source, sequence) + 0x8000) & 0xFFFF
        coded = payload[12 + 4 * (payload[0] & 15) :]
        streams.setdefault(source, {})[place] = coded
    samples: list[int] = []
    for packets in streams.values():
        silence = b"\xff" * max(len(coded) for coded in packets.values())
        for place in range(min(packets), max(packets) + 1):
            samples += ulaw_decode(packets.get(place, silence))
    return samples


def _ulaw_value(octet: int) -> int:
    octet = ~octet & 0xFF
    magnitude = (((octet & 15) << 3) + 0x84 << (octet >> 4 & 7)) - 0x84
    return -magnitude if octet & 0x80 else magnitude


def _nearest_ulaw() -> dict[int, int]:
    """The octet for each 14-bit sample, by walking the sorted levels once."""
    levels = sorted((_ulaw_value(octet), octet) for octet in range(256) if octet != 0x7F)
    nearest, at = {}, 0
    for sample in range(-8192, 8192):
        value = sample << 2
        while at + 1 < len(levels) and abs(levels[at + 1][0] - value) <= abs(levels[at][0] - value):
            at += 1
        nearest[sample] = levels[at][1]
    return nearest


_FROM_ULAW = [_ulaw_value(octet) for octet in range(256)]
_TO_ULAW = _nearest_ulaw()
