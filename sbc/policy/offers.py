"""What a request offers of media, as far as rules ask for it.

Spec: RFC 3264 §5 (the offer), RFC 4568 (SDES), RFC 5763 (DTLS-SRTP).
"""

from typing import Final, NamedTuple

from sbc.policy.codecs import codec_names
from sbc.sdp.description import MediaDescription, SessionDescription
from sbc.sdp.errors import SdpError
from sbc.sdp.parser import parse_sdp_untrusted
from sbc.sip.message import Request

_SDP_TYPE: Final = "application/sdp"


class Offered(NamedTuple):
    """What an offer holds; lower case."""

    is_there: bool
    """Whether there is one that can be read."""
    media: frozenset[str]
    """Kinds of its live m-lines."""
    codecs: frozenset[str]
    srtp: frozenset[str]
    """How its live RTP streams are protected: ``none``, ``sdes``, ``dtls``."""


NO_OFFER: Final = Offered(False, frozenset(), frozenset(), frozenset())


def offer_of_untrusted(request: Request | None) -> Offered:
    """What a request offers; nothing for what cannot be read, which is refused later."""
    if request is None or not request.body or request.headers.has("content-encoding"):
        return NO_OFFER
    if request.content_type != _SDP_TYPE:
        return NO_OFFER
    try:
        description = parse_sdp_untrusted(request.body)
    except SdpError:
        return NO_OFFER
    live = [media for media in description.media if not media.rejected]
    streams = [media for media in live if media.is_rtp]
    return Offered(
        True,
        frozenset(media.kind for media in live),
        frozenset(name for media in streams for name in codec_names(media)),
        frozenset(_protection(media, description) for media in streams),
    )


def _protection(media: MediaDescription, description: SessionDescription) -> str:
    if "SAVP" not in media.protocol.upper():
        return "none"
    by_dtls = "TLS" in media.protocol.upper() or media.has("fingerprint")
    return "dtls" if by_dtls or description.has("fingerprint") else "sdes"
