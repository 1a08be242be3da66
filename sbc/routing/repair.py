"""What peers are known to do wrong: the quirks that can be repaired, by the names a file has."""

from typing import Final, Literal

Quirk = Literal[
    "contact-private",
    "progress-without-sdp",
    "ringing-with-sdp",
    "rtpmap-missing",
    "savp-no-crypto",
    "session-timer-broken",
]

QUIRKS: Final[dict[Quirk, str]] = {
    "contact-private": "Its Contact names a private address that it does not send from, and it "
    "wants requests to name the one that it does: Contact is taken to be that.",
    "progress-without-sdp": "It says 183 while the phone rings and no media comes: the caller is "
    "told 180, so that it hears ringing.",
    "ringing-with-sdp": "It says 180 with a description while it sends an announcement: the "
    "caller is told 183, so that it listens.",
    "rtpmap-missing": "It leaves out what payload types stand for: static ones get their rtpmap, "
    "events theirs, and what nobody can know is taken out.",
    "savp-no-crypto": "It says RTP/SAVP without any key and means RTP: it is taken for RTP/AVP, "
    "and refused where SRTP is required.",
    "session-timer-broken": "It agrees to session timers and then fails at them: neither side is "
    "told of the other's (RFC 4028).",
}
"""What each is, and what is done about it."""

NO_QUIRKS: Final[frozenset[Quirk]] = frozenset()
