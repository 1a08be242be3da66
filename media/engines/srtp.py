"""SRTP and SRTCP of one direction, by libsrtp.

Spec: RFC 3711, RFC 7714, RFC 4568 §6.2.
"""

from pylibsrtp import Error, Policy, Session

from media.errors import MediaRefused
from media.types import (
    MOST_SRTCP_PACKETS,
    MOST_SRTP_PACKETS,
    DropReason,
    SrtpAbilities,
    SrtpKeys,
    SrtpSuite,
)

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

ABILITIES = SrtpAbilities(frozenset(_PROFILES), mki=False)
"""What libsrtp's wrapper offers: libsrtp itself could do more."""

_REPLAYS = frozenset(
    {
        "replay check failed (bad index)",
        "replay check failed (index too old)",
        "packet index is too old to consider",
    }
)


class SrtpReceiver:
    """Opens what one leg protects under one master key.

    Raises:
        MediaRefused: The wrapper cannot do what the key asks for.
    """

    __slots__ = ("_rtcp_left", "_rtp_left", "_session", "_ssrcs")

    def __init__(self, keys: SrtpKeys) -> None:
        self._session = _session(keys, Policy.SSRC_ANY_INBOUND)
        self._ssrcs: set[int] = set()
        self._rtp_left, self._rtcp_left = _lifetimes(keys)

    def open_rtp_untrusted(self, packet: bytes, ssrc: int) -> bytes | DropReason:
        """The plain RTP packet, or why there is none.

        Args:
            packet: An SRTP packet with a valid RTP header.
            ssrc: The SSRC in that header.
        """
        refusal = self._refusal(packet, ssrc, self._rtp_left)
        if refusal is not None:
            return refusal
        try:
            clear = self._session.unprotect(packet)
        except Error as error:
            return _reason(error)
        self._ssrcs.add(ssrc)
        self._rtp_left -= 1
        return clear

    def open_rtcp_untrusted(self, packet: bytes, ssrc: int) -> bytes | DropReason:
        """The plain RTCP packet, or why there is none; as `open_rtp_untrusted`."""
        refusal = self._refusal(packet, ssrc, self._rtcp_left)
        if refusal is not None:
            return refusal
        try:
            clear = self._session.unprotect_rtcp(packet)
        except Error as error:
            return _reason(error)
        self._ssrcs.add(ssrc)
        self._rtcp_left -= 1
        return clear

    def _refusal(self, packet: bytes, ssrc: int, left: int) -> DropReason | None:
        if len(packet) > MAX_PROTECTED_BYTES:
            return DropReason.TOO_LONG
        if len(self._ssrcs) >= MAX_SSRCS and ssrc not in self._ssrcs:
            return DropReason.SSRC_LIMIT
        return None if left else DropReason.KEY_EXPIRED


class SrtpSender:
    """Protects what is sent to one leg under one master key.

    Raises:
        MediaRefused: The wrapper cannot do what the key asks for.
    """

    __slots__ = ("_rtcp_left", "_rtp_left", "_session", "_ssrcs")

    def __init__(self, keys: SrtpKeys) -> None:
        self._session = _session(keys, Policy.SSRC_ANY_OUTBOUND)
        self._ssrcs: set[int] = set()
        self._rtp_left, self._rtcp_left = _lifetimes(keys)

    def protect_rtp(self, packet: bytes, ssrc: int) -> bytes | DropReason:
        """The SRTP packet, or why there is none.

        A sequence number that this key protected before is refused as a replay: two packets
        under one index would betray both.
        """
        refusal = self._refusal(packet, ssrc, self._rtp_left)
        if refusal is not None:
            return refusal
        try:
            protected = self._session.protect(packet)
        except Error as error:
            return _reason(error)
        self._rtp_left -= 1
        return protected

    def protect_rtcp(self, packet: bytes, ssrc: int) -> bytes | DropReason:
        """The SRTCP packet, or why there is none."""
        refusal = self._refusal(packet, ssrc, self._rtcp_left)
        if refusal is not None:
            return refusal
        try:
            protected = self._session.protect_rtcp(packet)
        except Error as error:
            return _reason(error)
        self._rtcp_left -= 1
        return protected

    def _refusal(self, packet: bytes, ssrc: int, left: int) -> DropReason | None:
        if len(packet) > MAX_PLAIN_BYTES:
            return DropReason.TOO_LONG
        if ssrc not in self._ssrcs:
            if len(self._ssrcs) >= MAX_SSRCS:
                return DropReason.SSRC_LIMIT
            self._ssrcs.add(ssrc)
        return None if left else DropReason.KEY_EXPIRED


def _session(keys: SrtpKeys, ssrc_type: int) -> Session:
    profile = _PROFILES.get(keys.suite)
    if profile is None:
        raise MediaRefused(
            f"the media engine in Python cannot do {keys.suite.value}: use the native one, or "
            "another suite"
        )
    if keys.mki:
        raise MediaRefused(
            "the media engine in Python cannot do keys with an identifier (MKI): use the native "
            "one, or a key without"
        )
    return Session(Policy(keys.key_and_salt, ssrc_type, 0, profile))


def _lifetimes(keys: SrtpKeys) -> tuple[int, int]:
    """How many SRTP and how many SRTCP packets the key may be used for."""
    lifetime = keys.lifetime_packets or MOST_SRTP_PACKETS
    return lifetime, min(lifetime, MOST_SRTCP_PACKETS)


def _reason(error: Error) -> DropReason:
    if str(error) in _REPLAYS:
        return DropReason.SRTP_REPLAY
    return DropReason.SRTP_AUTHENTICATION
