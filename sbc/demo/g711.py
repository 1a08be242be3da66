"""G.711: 16-bit linear samples to and from one byte each.

Spec: ITU-T G.711; RFC 3551 §4.5.14 (PCMU is payload type 0, PCMA is 8, 8000 Hz).
"""

from collections.abc import Sequence

SAMPLE_RATE_HZ = 8000
FRAME_SAMPLES = 160
"""Samples of one 20 ms packet (RFC 3551 §4.2)."""

_ULAW_BIAS = 0x84
_ULAW_CLIP = 32635


def _ulaw_code(sample: int) -> int:
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), _ULAW_CLIP) + _ULAW_BIAS
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | magnitude >> exponent + 3 & 0x0F) & 0xFF


def _ulaw_sample(code: int) -> int:
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + _ULAW_BIAS << (code >> 4 & 7)) - _ULAW_BIAS
    return -magnitude if code & 0x80 else magnitude


def _alaw_code(sample: int) -> int:
    sign = 0x80 if sample >= 0 else 0
    magnitude = sample if sample >= 0 else -sample - 1
    exponent = max(0, magnitude.bit_length() - 8)
    mantissa = magnitude >> (exponent + 3 if exponent else 4) & 0x0F
    return (sign | exponent << 4 | mantissa) ^ 0x55


def _alaw_sample(code: int) -> int:
    code ^= 0x55
    exponent = code >> 4 & 7
    magnitude = ((code & 0x0F) << 4) + 8
    if exponent:
        magnitude = magnitude + 0x100 << exponent - 1
    return magnitude if code & 0x80 else -magnitude


class Codec:
    """One law of G.711 as lookup tables."""

    __slots__ = ("_codes", "_samples", "name", "payload_type", "silence")

    def __init__(self, name: str, payload_type: int, codes: bytes, samples: Sequence[int]) -> None:
        self.name = name
        self.payload_type = payload_type
        self._codes = codes
        self._samples = tuple(samples)
        self.silence = codes[1 << 13]
        """The byte that means no sound."""

    def encode(self, samples: Sequence[int]) -> bytes:
        """One byte per 16-bit sample; a sample beyond 16 bits is clipped."""
        codes = self._codes
        return bytes(
            [codes[(max(-32768, min(32767, sample)) >> 2) + (1 << 13)] for sample in samples]
        )

    def decode(self, payload: bytes) -> list[int]:
        """One 16-bit sample per byte."""
        samples = self._samples
        return [samples[code] for code in payload]


# Both laws quantize to 14 bits or fewer, so a table over the upper 14 is exact enough.
_LINEAR_14_BIT = [value << 2 for value in range(-(1 << 13), 1 << 13)]

PCMU = Codec(
    "PCMU", 0, bytes(map(_ulaw_code, _LINEAR_14_BIT)), [_ulaw_sample(code) for code in range(256)]
)
PCMA = Codec(
    "PCMA", 8, bytes(map(_alaw_code, _LINEAR_14_BIT)), [_alaw_sample(code) for code in range(256)]
)
CODECS = {codec.payload_type: codec for codec in (PCMU, PCMA)}
