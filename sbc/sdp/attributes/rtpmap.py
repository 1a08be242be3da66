"""Which codec an RTP payload type stands for (`a=rtpmap` and the static table).

Spec: RFC 8866 §6.6, RFC 3551 §6.
"""

import re
from typing import NamedTuple

from sbc.remembered import remembered
from sbc.sdp.errors import SdpError

_RTPMAP = re.compile(
    r" *([0-9]{1,3}) +([!#$%&'*+\-.0-9A-Z^_`a-z{|}~]{1,64})/([0-9]{1,9})(?:/([!-~]{1,32}))?"
)


class Codec(NamedTuple):
    """What a payload type stands for."""

    name: str
    """Upper case: encoding names are compared without case (RFC 8866 §6.6)."""
    clock_hz: int
    channels: int = 1


STATIC_CODECS: dict[str, Codec] = {
    "0": Codec("PCMU", 8000),
    "3": Codec("GSM", 8000),
    "4": Codec("G723", 8000),
    "5": Codec("DVI4", 8000),
    "6": Codec("DVI4", 16000),
    "7": Codec("LPC", 8000),
    "8": Codec("PCMA", 8000),
    "9": Codec("G722", 8000),
    "10": Codec("L16", 44100, 2),
    "11": Codec("L16", 44100),
    "12": Codec("QCELP", 8000),
    "13": Codec("CN", 8000),
    "14": Codec("MPA", 90000),
    "15": Codec("G728", 8000),
    "16": Codec("DVI4", 11025),
    "17": Codec("DVI4", 22050),
    "18": Codec("G729", 8000),
    "25": Codec("CELB", 90000),
    "26": Codec("JPEG", 90000),
    "28": Codec("NV", 90000),
    "31": Codec("H261", 90000),
    "32": Codec("MPV", 90000),
    "33": Codec("MP2T", 90000),
    "34": Codec("H263", 90000),
}
"""Payload types that need no `a=rtpmap`, by their text in the m-line."""


@remembered
def parse_rtpmap_untrusted(value: str) -> tuple[str, Codec]:
    """Read the value of `a=rtpmap` into a payload type and its codec.

    Raises:
        SdpError: 488, when it is malformed.
    """
    match = _RTPMAP.fullmatch(value)
    if match is None or int(match.group(1)) > 127 or int(match.group(3)) == 0:
        raise SdpError("an rtpmap needs a payload type, a name and a clock rate", value)
    # What follows the clock is a channel count for audio and free for other media.
    extra = match.group(4) or ""
    channels = int(extra) if extra.isascii() and extra.isdigit() and len(extra) <= 2 else 1
    codec = Codec(match.group(2).upper(), int(match.group(3)), channels or 1)
    return str(int(match.group(1))), codec
