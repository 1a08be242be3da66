"""SRTP with keys from the SDP.

Spec: RFC 3711, RFC 4568 §6.1, RFC 7714 §14.2.
"""

from dataclasses import dataclass, field

import pylibsrtp

_PROFILES = {
    "AES_CM_128_HMAC_SHA1_80": (pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 30),
    "AES_CM_128_HMAC_SHA1_32": (pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32, 30),
    "AEAD_AES_128_GCM": (pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 28),
    "AEAD_AES_256_GCM": (pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 44),
}
KEY_BYTES = {suite: length for suite, (_, length) in _PROFILES.items()}
"""Bytes of master key and salt by suite, as SDP names the suites."""


@dataclass(frozen=True, slots=True)
class SdesKey:
    """The master key of one direction, as an ``a=crypto`` line gives it."""

    suite: str
    key_and_salt: bytes = field(repr=False)

    @property
    def usable(self) -> bool:
        """Whether the suite is known and the key is as long as it needs."""
        return KEY_BYTES.get(self.suite) == len(self.key_and_salt)


class Protection:
    """Both directions of one SRTP stream; keys must be usable."""

    def __init__(self, send: SdesKey, receive: SdesKey) -> None:
        self.send_key, self.receive_key = send, receive
        self._outbound = _session(send, pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
        self._inbound = _session(receive, pylibsrtp.Policy.SSRC_ANY_INBOUND)

    def protect(self, rtp: bytes) -> bytes:
        """Make SRTP of an RTP packet."""
        return self._outbound.protect(rtp)

    def protect_rtcp(self, rtcp: bytes) -> bytes:
        """Make SRTCP of an RTCP packet."""
        return self._outbound.protect_rtcp(rtcp)

    def unprotect_untrusted(self, srtp: bytes) -> bytes | None:
        """Make RTP of an SRTP packet; None when it is forged, replayed or no SRTP."""
        try:
            return self._inbound.unprotect(srtp)
        except (pylibsrtp.Error, ValueError):
            return None

    def unprotect_rtcp_untrusted(self, srtcp: bytes) -> bytes | None:
        """Make RTCP of an SRTCP packet; None when it is forged, replayed or no SRTCP."""
        try:
            return self._inbound.unprotect_rtcp(srtcp)
        except (pylibsrtp.Error, ValueError):
            return None


def _session(key: SdesKey, direction: int) -> pylibsrtp.Session:
    profile, _ = _PROFILES[key.suite]
    return pylibsrtp.Session(
        pylibsrtp.Policy(key=key.key_and_salt, ssrc_type=direction, srtp_profile=profile)
    )
