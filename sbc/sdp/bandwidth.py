"""How much of a line a description takes, as `b=` says or else as its codecs need at most.

Counted is one direction at the IP layer: payload with IPv4, UDP and RTP headers at 50 packets per
second, without RTCP, SRTP tags and layers below. Of several formats the widest counts.

Spec: RFC 8866 §5.8 (AS, with headers), RFC 3890 (TIAS, without), RFC 3551 §4.5.
"""

from collections.abc import Iterable
from typing import Final

from sbc.sdp.description import MediaDescription, SessionDescription

HEADERS_KBPS: Final = 16
"""40 bytes, 50 times a second."""
UNKNOWN_AUDIO_KBPS: Final = 80
"""An audio stream of which nothing is known counts as G.711."""
UNKNOWN_KBPS: Final = 1024
"""So does any other, as video for a small picture."""
MOST_KBPS: Final = 1_000_000
"""What one stream counts at most, whatever somebody writes."""

_PAYLOAD_KBPS: Final = {
    "PCMU": 64, "PCMA": 64, "G722": 64, "OPUS": 64, "L16": 706, "G729": 8, "GSM": 13, "G723": 7,
    "ILBC": 16, "G728": 16, "AMR": 13, "AMR-WB": 24, "SPEEX": 25, "G726-16": 16, "G726-24": 24,
    "G726-32": 32, "G726-40": 40, "EVS": 128,
}  # fmt: skip
_NOT_SPEECH: Final = frozenset({"TELEPHONE-EVENT", "CN", "RED"})


def kbps_of(description: SessionDescription) -> int:
    """Kilobits per second of all its streams; a rejected one takes nothing."""
    streams = [media for media in description.media if not media.rejected]
    total = sum(map(_stream_kbps, streams))
    said = _said(description.bandwidth)
    return total if said is None else min(total, said)


def _stream_kbps(media: MediaDescription) -> int:
    said = _said(media.bandwidth)
    if said is not None:
        return said
    if media.kind != "audio":
        return UNKNOWN_KBPS
    rates = [_payload_kbps(media, one) for one in media.formats]
    widest = max((rate for rate in rates if rate is not None), default=None)
    return UNKNOWN_AUDIO_KBPS if widest is None else widest + HEADERS_KBPS


def _payload_kbps(media: MediaDescription, payload_type: str) -> int | None:
    """What a format takes; None of one that carries no speech of its own."""
    codec = media.codec(payload_type)
    if codec is None:
        return UNKNOWN_AUDIO_KBPS - HEADERS_KBPS
    if codec.name in _NOT_SPEECH:
        return None
    return _PAYLOAD_KBPS.get(codec.name, UNKNOWN_AUDIO_KBPS - HEADERS_KBPS)


def _said(lines: Iterable[str]) -> int | None:
    """What AS says, else TIAS; None where neither does, or nothing that can be read."""
    said = dict[str, int]()
    for line in lines:
        kind, _, value = line.partition(":")
        if value.isascii() and value.isdigit():
            said.setdefault(kind, int(value[:10]))
    if "AS" in said:
        return min(said["AS"], MOST_KBPS)
    if "TIAS" in said:
        return min(-(-said["TIAS"] // 1000) + HEADERS_KBPS, MOST_KBPS)
    return None
