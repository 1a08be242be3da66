"""SRTP keys in the session description (`a=crypto`), known as SDES.

Spec: RFC 4568 §6 and §9.2; RFC 6188 §4 and RFC 7714 §14 (more suites). A line that breaks a rule
is invalid as a whole (§6.1) and must not be chosen; the others of its stream stay usable.
"""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from sbc.sdp.errors import SdpError

CRYPTO = "crypto"

_MOST_KEYS = 16
_MOST_PARAMETERS = 16
_LONGEST_LIFETIME = 1 << 48
"""SRTP packets that one master key may protect (RFC 3711 §9.2)."""
_SMALLEST_WINDOW = 64

_LINE = re.compile(r"[ \t]*([0-9]{1,9})[ \t]+([A-Za-z0-9_]{1,64})[ \t]+([!-~]+)((?:[ \t]+[!-~]+)*)")
_KEY_AND_SALT = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_POWER = re.compile(r"2\^(0|[1-9][0-9]?)")
_NUMBER = re.compile(r"[1-9][0-9]{0,14}")
_MKI = re.compile(r"([1-9][0-9]{0,38}|0):([1-9][0-9]{0,2})")


class CryptoSuite(NamedTuple):
    """What a suite's name says about its keys."""

    name: str
    key_bytes: int
    salt_bytes: int

    @property
    def key_and_salt_bytes(self) -> int:
        """Bytes that the inline parameter carries."""
        return self.key_bytes + self.salt_bytes


CRYPTO_SUITES: dict[str, CryptoSuite] = {
    suite.name: suite
    for suite in (
        CryptoSuite("AES_CM_128_HMAC_SHA1_80", 16, 14),
        CryptoSuite("AES_CM_128_HMAC_SHA1_32", 16, 14),
        CryptoSuite("F8_128_HMAC_SHA1_80", 16, 14),
        CryptoSuite("AES_192_CM_HMAC_SHA1_80", 24, 14),
        CryptoSuite("AES_192_CM_HMAC_SHA1_32", 24, 14),
        CryptoSuite("AES_256_CM_HMAC_SHA1_80", 32, 14),
        CryptoSuite("AES_256_CM_HMAC_SHA1_32", 32, 14),
        CryptoSuite("AEAD_AES_128_GCM", 16, 12),
        CryptoSuite("AEAD_AES_256_GCM", 32, 12),
    )
}
"""Every suite whose key length we know, by its name."""


@dataclass(frozen=True, slots=True)
class MasterKey:
    """One `inline:` parameter."""

    key_and_salt: bytes = field(repr=False)
    lifetime_packets: int | None = None
    """None: the default of the suite."""
    mki: int | None = None
    mki_bytes: int | None = None
    """Length of the MKI in each packet, 1 to 128; set exactly when `mki` is."""

    @property
    def identifier(self) -> bytes:
        """The MKI as packets carry it; empty without one."""
        return b"" if self.mki is None else self.mki.to_bytes(self.mki_bytes or 0, "big")

    def __str__(self) -> str:
        text = "inline:" + b2a_base64(self.key_and_salt, newline=False).decode("ascii")
        if self.lifetime_packets is not None:
            text += f"|{_lifetime_text(self.lifetime_packets)}"
        return text if self.mki is None else f"{text}|{self.mki}:{self.mki_bytes}"


@dataclass(frozen=True, slots=True)
class CryptoAttribute:
    """One `a=crypto` line whose suite is known and whose parameters keep every rule."""

    tag: int
    suite: str
    keys: tuple[MasterKey, ...]
    key_derivation_rate: int | None = None
    """The exponent of `KDR=`, 1 to 24."""
    unencrypted_srtp: bool = False
    unencrypted_srtcp: bool = False
    unauthenticated_srtp: bool = False
    fec_order: str | None = None
    """``"FEC_SRTP"`` or ``"SRTP_FEC"``."""
    fec_keys: tuple[MasterKey, ...] = ()
    window_size_hint: int | None = None

    @property
    def is_plain(self) -> bool:
        """Whether one key and the suite's defaults are all it asks for; the key may have an MKI.

        An SRTP stack without key derivation rate, FEC and reduced protection can serve only these
        lines. A window size is but a hint (RFC 4568 §6.3.6), and FEC_SRTP the default.
        """
        reduced = self.unencrypted_srtp or self.unencrypted_srtcp or self.unauthenticated_srtp
        if reduced or len(self.keys) != 1:
            return False
        fec = self.fec_order == "SRTP_FEC" or bool(self.fec_keys)
        return self.key_derivation_rate is None and not fec

    @property
    def has_mki(self) -> bool:
        """Whether its packets carry a master key identifier."""
        return self.keys[0].mki is not None

    def __str__(self) -> str:
        words = [str(self.tag), self.suite, _keys_text(self.keys)]
        if self.key_derivation_rate is not None:
            words.append(f"KDR={self.key_derivation_rate}")
        if self.unencrypted_srtp:
            words.append("UNENCRYPTED_SRTP")
        if self.unencrypted_srtcp:
            words.append("UNENCRYPTED_SRTCP")
        if self.unauthenticated_srtp:
            words.append("UNAUTHENTICATED_SRTP")
        if self.fec_order is not None:
            words.append(f"FEC_ORDER={self.fec_order}")
        if self.fec_keys:
            words.append(f"FEC_KEY={_keys_text(self.fec_keys)}")
        if self.window_size_hint is not None:
            words.append(f"WSH={self.window_size_hint}")
        return " ".join(words)


def parse_crypto_untrusted(value: str) -> CryptoAttribute:
    """Read the value of `a=crypto`.

    Raises:
        SdpError: 488, when the suite is unknown or anything in the line is invalid by RFC 4568;
            the error shows the line without its keys.
    """
    match = _LINE.fullmatch(value)
    if match is None:
        raise SdpError("a crypto line needs a tag, a suite and key parameters", value)
    # The grammar's literals are case-insensitive (RFC 5234 §2.3); we write them as registered.
    suite = CRYPTO_SUITES.get(match.group(2).upper())
    if suite is None:
        raise SdpError("the crypto suite is unknown", value)
    try:
        keys = _master_keys(match.group(3), suite)
        return _with_parameters(int(match.group(1)), suite, keys, match.group(4).split())
    except SdpError as error:
        raise SdpError(error.reason, value) from None


def valid_crypto_untrusted(attributes: Iterable[tuple[str, str | None]]) -> list[CryptoAttribute]:
    """The `a=crypto` lines among attributes that can be chosen, in the order of preference.

    Invalid and unknown ones are left out, as is a second line with a tag that was used before
    (RFC 4568 §4.1): an answer that names the tag could mean either.
    """
    found: dict[int, CryptoAttribute] = {}
    for name, value in attributes:
        if name != CRYPTO or value is None:
            continue
        try:
            crypto = parse_crypto_untrusted(value)
        except SdpError:
            continue
        found.setdefault(crypto.tag, crypto)
    return list(found.values())


def _master_keys(text: str, suite: CryptoSuite) -> tuple[MasterKey, ...]:
    parts = text.split(";")
    if len(parts) > _MOST_KEYS:
        raise SdpError(f"more than {_MOST_KEYS} keys in one crypto line")
    keys = tuple(_master_key(part, suite) for part in parts)
    if len(keys) > 1:
        if any(key.mki is None for key in keys):
            raise SdpError("several keys in one crypto line need an MKI each")
        if len({key.mki_bytes for key in keys}) > 1:
            raise SdpError("the MKI lengths in one crypto line differ")
        if len({key.mki for key in keys}) < len(keys):
            raise SdpError("two keys in one crypto line have the same MKI")
    return keys


def _master_key(text: str, suite: CryptoSuite) -> MasterKey:
    method, colon, info = text.partition(":")
    if not colon or method.lower() != "inline":
        raise SdpError("the only key method is inline")
    encoded, *rest = info.split("|")
    if len(rest) > 2:
        raise SdpError("more than a key, a lifetime and an MKI in a key parameter")
    key_and_salt = _decoded(encoded)
    if len(key_and_salt) != suite.key_and_salt_bytes:
        raise SdpError(f"{suite.name} needs {suite.key_and_salt_bytes} bytes of key and salt")
    # Only the MKI has a colon, so that either field may stand alone (RFC 4568 §6.1).
    lifetime = _lifetime(rest.pop(0)) if rest and ":" not in rest[0] else None
    if not rest:
        return MasterKey(key_and_salt, lifetime)
    match = _MKI.fullmatch(rest[0]) if len(rest) == 1 else None
    if match is None:
        raise SdpError("the MKI needs a number and a length")
    mki, mki_bytes = int(match.group(1)), int(match.group(2))
    if mki_bytes > 128 or mki >= 1 << 8 * mki_bytes:
        raise SdpError("the MKI does not fit its length, or that is above 128 bytes")
    return MasterKey(key_and_salt, lifetime, mki, mki_bytes)


def _decoded(encoded: str) -> bytes:
    if not _KEY_AND_SALT.fullmatch(encoded):
        raise SdpError("the key is not base64")
    # Padding is discarded before decoding (RFC 4568 §6.1): some phones leave it out for GCM keys.
    bare = encoded.rstrip("=")
    try:
        return a2b_base64(bare + "=" * (-len(bare) % 4))
    except Base64Error:
        raise SdpError("the key is not base64") from None


def _lifetime(text: str) -> int:
    power = _POWER.fullmatch(text)
    if power is not None:
        packets = 1 << int(power.group(1))
    elif _NUMBER.fullmatch(text):
        packets = int(text)
    else:
        raise SdpError("the key's lifetime is no number of packets")
    if packets > _LONGEST_LIFETIME:
        raise SdpError("the key's lifetime is above 2^48 packets")
    return packets


def _lifetime_text(packets: int) -> str:
    exponent = packets.bit_length() - 1
    return f"2^{exponent}" if packets == 1 << exponent and packets > 9 else str(packets)


def _keys_text(keys: tuple[MasterKey, ...]) -> str:
    return ";".join([str(key) for key in keys])


class _Parameters:
    """Session parameters while they are being read."""

    __slots__ = ("fec_keys", "fec_order", "flags", "kdr", "window")

    def __init__(self) -> None:
        self.flags: set[str] = set()
        self.kdr: int | None = None
        self.fec_order: str | None = None
        self.fec_keys: tuple[MasterKey, ...] = ()
        self.window: int | None = None


_FLAGS = frozenset({"UNENCRYPTED_SRTP", "UNENCRYPTED_SRTCP", "UNAUTHENTICATED_SRTP"})


def _with_parameters(
    tag: int, suite: CryptoSuite, keys: tuple[MasterKey, ...], words: list[str]
) -> CryptoAttribute:
    if len(words) > _MOST_PARAMETERS:
        raise SdpError(f"more than {_MOST_PARAMETERS} session parameters in a crypto line")
    found = _Parameters()
    seen: set[str] = set()
    for word in words:
        name, equals, value = word.partition("=")
        name = name.upper()
        # A dash marks what may be ignored by those who do not know it (RFC 4568 §6.3.7).
        if name.startswith("-"):
            continue
        if name in seen:
            raise SdpError(f"the session parameter {name} is repeated")
        seen.add(name)
        if name in _FLAGS and not equals:
            found.flags.add(name)
        else:
            _read_parameter(found, name, value, suite)
    return CryptoAttribute(
        tag,
        suite.name,
        keys,
        found.kdr,
        "UNENCRYPTED_SRTP" in found.flags,
        "UNENCRYPTED_SRTCP" in found.flags,
        "UNAUTHENTICATED_SRTP" in found.flags,
        found.fec_order,
        found.fec_keys,
        found.window,
    )


def _read_parameter(found: _Parameters, name: str, value: str, suite: CryptoSuite) -> None:
    if name == "KDR":
        # The text says 1 to 24, the grammar 0 to 24; 2^0 would derive keys for each packet.
        if not _NUMBER.fullmatch(value) or int(value) > 24:
            raise SdpError("the key derivation rate is not between 1 and 24")
        found.kdr = int(value)
    elif name == "FEC_ORDER":
        if value.upper() not in {"FEC_SRTP", "SRTP_FEC"}:
            raise SdpError("the FEC order is neither FEC_SRTP nor SRTP_FEC")
        found.fec_order = value.upper()
    elif name == "FEC_KEY":
        found.fec_keys = _master_keys(value, suite)
    elif name == "WSH":
        if not _NUMBER.fullmatch(value) or int(value) < _SMALLEST_WINDOW:
            raise SdpError(f"the window size hint is below {_SMALLEST_WINDOW}")
        found.window = int(value)
    else:
        raise SdpError("a mandatory session parameter is unknown")
