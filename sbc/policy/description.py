"""What a session description may carry across the border.

An attribute passes only if it means the same on both sides. Addresses, keys, candidates,
fingerprints, identifiers and everything unknown stay behind.

Spec: RFC 5853 §3.1 and §3.2, RFC 8866 §6.
"""

from sbc.policy.codecs import objection
from sbc.routing.model import MediaRules
from sbc.sdp.attributes.crypto import CryptoAttribute, valid_crypto_untrusted
from sbc.sdp.description import Attribute, MediaDescription

_CARRIED = frozenset(
    {
        "rtpmap",
        "fmtp",
        "ptime",
        "maxptime",
        "rtcp-fb",
        "rtcp-rsize",
        "framerate",
        "framesize",
        "imageattr",
        "content",
        "silencesupp",
    }
)

_RTP_PROTOCOLS = frozenset({"RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF"})


def carried_attributes(media: MediaDescription) -> list[Attribute]:
    """The attributes of an m-line that may pass; a new list."""
    return [item for item in media.attributes if item[0].lower() in _CARRIED]


def offered_protocol(
    protocol: str, rules: MediaRules, agreed: MediaDescription | None, *, private: bool
) -> str:
    """The profile we offer to a leg for one that the other leg offered (RFC 3551, 4585, 3711).

    Args:
        agreed: The m-line as the leg has it now, if it has one: what is secured stays secured, and
            what is not is not put at risk by asking for more.
        private: Whether nobody on the way can read what we say to the leg.
    """
    feedback = "F" if protocol.endswith("F") else ""
    wanted = rules.srtp in ("prefer", "require") and may_key(rules, private=private)
    secure = wanted if agreed is None else "SAVP" in agreed.protocol
    return f"RTP/{'S' if secure else ''}AVP{feedback}"


def may_key(rules: MediaRules, *, private: bool) -> bool:
    """Whether keys may stand in the messages of a leg (RFC 4568 §7: only where they are safe)."""
    return private or rules.sdes_in_clear


def relayable(media: MediaDescription, rules: MediaRules, *, private: bool) -> str | None:
    """Why an m-line that a leg described cannot be relayed; None when it can.

    The text is for the Warning header and the journal.

    Args:
        private: Whether nobody on the way can read what the leg says.
    """
    if media.rejected:
        return f"{media.kind} is rejected (port 0)"
    if media.protocol not in _RTP_PROTOCOLS:
        return f"{media.kind} over {media.protocol} is not relayed"
    secure = "SAVP" in media.protocol
    if secure and rules.srtp == "off":
        return f"{media.kind} over {media.protocol}: SRTP is off for this peer"
    if not secure and rules.srtp == "require":
        return f"{media.kind} over {media.protocol}: this peer must use SRTP"
    if secure and not may_key(rules, private=private):
        return (
            f"{media.kind} over {media.protocol}: keys in clear signalling can be read on the way; "
            "signal by TLS"
        )
    if secure and not usable_cryptos(media, rules):
        return f"{media.kind} over {media.protocol} has no a=crypto line that can be served"
    return objection(media, rules.codecs)


def usable_cryptos(media: MediaDescription, rules: MediaRules) -> list[CryptoAttribute]:
    """The crypto lines of an m-line that the relay can serve under a peer's rules, in order."""
    return [
        crypto
        for crypto in valid_crypto_untrusted(media.attributes)
        if crypto.is_plain and crypto.suite in rules.suites and (rules.mki or not crypto.has_mki)
    ]
