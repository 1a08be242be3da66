"""What loss, jitter and delay do to speech: the E-model.

Reduced to what a relay can know. Everything about rooms, levels and echo stands at its default,
which makes the basic rating 93.2, and nothing is granted for the advantage of access. Delay is
that of the network and of a jitter buffer; what the phones themselves add is not known. Packets
that a phone's jitter buffer throws away because they come late count as received.

Spec: ITU-T G.107 (06/2015) §7, G.113 (11/2007) appendix I.
"""

from math import log2
from typing import NamedTuple

_BASIC_RATING = 93.2
_BUFFER_JITTERS = 2.0
"""What a jitter buffer adds, in multiples of the jitter."""
_HARMLESS_MS = 100.0
"""Below this one-way delay nobody is impaired."""
_MOST_BURST_RATIO = 8.0
"""The model knows bursts up to this ratio."""


class _Codec(NamedTuple):
    name: str
    impairment: float
    """Ie, what the codec itself costs."""
    robustness: float
    """Bpl, how well it conceals loss."""


_G711 = _Codec("G.711", 0.0, 25.1)
"""With concealment (G.711 appendix I)."""
_CODECS = {
    0: _G711,
    4: _Codec("G.723.1", 15.0, 16.1),
    8: _G711,
    18: _Codec("G.729A", 11.0, 19.0),
}
"""By static payload type (RFC 3551 §6). G.113 gives a robustness for these alone of those that have
one; the others, and all of a dynamic type, are taken for G.711."""

ASSUMED = "G.711 assumed"
"""The name of the figures for a codec that has none of its own."""


class Conditions(NamedTuple):
    """What is known of one direction."""

    codec: int | None
    """The static payload type of a codec that is listed; None to take it for G.711."""
    loss: float
    """Share of packets lost, 0 to 1."""
    burst_ratio: float
    """How the loss is spread, 1 for by chance."""
    jitter_ms: float
    """Interarrival jitter."""
    delay_ms: float
    """From one phone to the other, as far as it is known."""


def mean_opinion_score(conditions: Conditions) -> float:
    """The mean opinion score, 1 to 4.5."""
    return score_of_rating(_rating(conditions))


def is_listed(payload_type: int) -> bool:
    """Whether the codec of a static payload type has figures of its own."""
    return payload_type in _CODECS


def codec_name(payload_type: int | None) -> str:
    """Whose figures are used, in words."""
    codec = None if payload_type is None else _CODECS.get(payload_type)
    return ASSUMED if codec is None else codec.name


def delay_impairment(delay_ms: float) -> float:
    """Idd; the two other parts of Id are of echo, and none at their defaults.

    Spec: ITU-T G.107 §7.4.
    """
    if delay_ms <= _HARMLESS_MS:
        return 0.0
    x = log2(delay_ms / _HARMLESS_MS)
    sixth = 1.0 / 6.0
    return float(25.0 * ((1.0 + x**6) ** sixth - 3.0 * (1.0 + (x / 3.0) ** 6) ** sixth + 2.0))


def loss_impairment(conditions: Conditions) -> float:
    """Ie-eff. Loss more even than by chance is no better than chance to the model.

    Spec: ITU-T G.107 §7.5, G.113 appendix I.
    """
    codec = _G711 if conditions.codec is None else _CODECS.get(conditions.codec, _G711)
    percent = min(max(conditions.loss, 0.0), 1.0) * 100.0
    ratio = min(max(conditions.burst_ratio, 1.0), _MOST_BURST_RATIO)
    bursty = percent / ratio + codec.robustness
    return codec.impairment + (95.0 - codec.impairment) * percent / bursty


def score_of_rating(rating: float) -> float:
    """The mean opinion score of a transmission rating R. Spec: ITU-T G.107 annex B."""
    if rating <= 0.0:
        return 1.0
    if rating >= 100.0:
        return 4.5
    score = 1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6
    # Below a rating of 6.5 the polynomial dips under its own lower end.
    return max(score, 1.0)


def _rating(conditions: Conditions) -> float:
    delay_ms = conditions.delay_ms + _BUFFER_JITTERS * conditions.jitter_ms
    return _BASIC_RATING - delay_impairment(delay_ms) - loss_impairment(conditions)
