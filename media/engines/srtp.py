"""SRTP and SRTCP of one direction, by libsrtp.

Spec: RFC 3711, RFC 7714, RFC 4568 §6.2.
"""

from pylibsrtp import Error, Policy, Session

from media.types import DropReason, SrtpKeys, SrtpSuite

MAX_PLAIN_BYTES = 1352
"""The longest packet that libsrtp's wrapper protects: its buffer less the longest trailer."""
MAX_PROTECTED_BYTES = 1500
MAX_SSRCS = 64
"""How many SSRCs one key may protect. A context may not be dropped and made again under the same
key (its counter would repeat, or its replay window forget), so there must be an end to them."""

_PROFILES = {
    SrtpSuite.AES_CM_128_HMAC_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    SrtpSuite.AES_CM_128_HMAC_SHA1_32: Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    SrtpSuite.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    SrtpSuite.AEAD_AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}

_REPLAYS = frozenset(
    {
        "replay check failed (bad index)",
        "replay check failed (index too old)",
        "packet index is too old to consider",
    }
)


class SrtpReceiver:
    """Opens what one leg protects under one master key."""

    __slots__ = ("_session", "_ssrcs")

    def __init__(self, keys: SrtpKeys) -> None:
        self._session = _session(keys, Policy.SSRC_ANY_INBOUND)
        self._ssrcs: set[int] = set()

    def open_rtp_untrusted(self, packet: bytes, ssrc: int) -> bytes | DropReason:
        """The plain RTP packet, or why there is none.

        Args:
            packet: An SRTP packet with a valid RTP header.
            ssrc: The SSRC in that header.
        """
        refusal = self._refusal(packet, ssrc)
        if refusal is not None:
            return refusal
        try:
            clear = self._session.unprotect(packet)
        except Error as error:
            return _reason(error)
        self._ssrcs.add(ssrc)
        return clear

    def open_rtcp_untrusted(self, packet: bytes, ssrc: int) -> bytes | DropReason:
        """The plain RTCP packet, or why there is none; as `open_rtp_untrusted`."""
        refusal = self._refusal(packet, ssrc)
        if refusal is not None:
            return refusal
        try:
            clear = self._session.unprotect_rtcp(packet)
        except Error as error:
            return _reason(error)
        self._ssrcs.add(ssrc)
        return clear

    def _refusal(self, packet: bytes, ssrc: int) -> DropReason | None:
        if len(packet) > MAX_PROTECTED_BYTES:
            return DropReason.TOO_LONG
        if len(self._ssrcs) >= MAX_SSRCS and ssrc not in self._ssrcs:
            return DropReason.SSRC_LIMIT
        return None


class SrtpSender:
    """Protects what is sent to one leg under one master key."""

    __slots__ = ("_session", "_ssrcs")

    def __init__(self, keys: SrtpKeys) -> None:
        self._session = _session(keys, Policy.SSRC_ANY_OUTBOUND)
        self._ssrcs: set[int] = set()

    def protect_rtp(self, packet: bytes, ssrc: int) -> bytes | DropReason:
        """The SRTP packet, or why there is none.

        A sequence number that this key protected before is refused as a replay: two packets
        under one index would betray both.
        """
        refusal = self._refusal(packet, ssrc)
        if refusal is not None:
            return refusal
        try:
            return self._session.protect(packet)
        except Error as error:
            return _reason(error)

    def protect_rtcp(self, packet: bytes, ssrc: int) -> bytes | DropReason:
        """The SRTCP packet, or why there is none."""
        refusal = self._refusal(packet, ssrc)
        if refusal is not None:
            return refusal
        try:
            return self._session.protect_rtcp(packet)
        except Error as error:
            return _reason(error)

    def _refusal(self, packet: bytes, ssrc: int) -> DropReason | None:
        if len(packet) > MAX_PLAIN_BYTES:
            return DropReason.TOO_LONG
        if ssrc not in self._ssrcs:
            if len(self._ssrcs) >= MAX_SSRCS:
                return DropReason.SSRC_LIMIT
            self._ssrcs.add(ssrc)
        return None


def _session(keys: SrtpKeys, ssrc_type: int) -> Session:
    return Session(Policy(keys.key_and_salt, ssrc_type, 0, _PROFILES[keys.suite]))


def _reason(error: Error) -> DropReason:
    if str(error) in _REPLAYS:
        return DropReason.SRTP_REPLAY
    return DropReason.SRTP_AUTHENTICATION
