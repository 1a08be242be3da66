"""What a call that has not begun may bring, as the caps of peers count it."""

from sbc.sdp.bandwidth import UNKNOWN_AUDIO_KBPS, kbps_of
from sbc.sdp.errors import SdpError
from sbc.sdp.parser import parse_sdp_untrusted
from sbc.sip.message import Request


def offered_kbps(invite: Request) -> int:
    """Kilobits per second of its offer, or of a plain voice call where it has none.

    What cannot be read counts nothing: the call will be refused for it.
    """
    if not invite.body:
        return UNKNOWN_AUDIO_KBPS
    try:
        return kbps_of(parse_sdp_untrusted(invite.body))
    except SdpError:
        return 0
