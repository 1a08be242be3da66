"""What keeps a pinhole open on the SIP port: STUN Binding on datagrams, CRLF everywhere.

Sans-IO: bytes in, bytes out.

Spec: RFC 5626 §3.5 and §4.4 (keep-alives), RFC 8489 §6, §14 (STUN), RFC 5389 §7.3.
"""

import ipaddress
import struct
import zlib

from sbc.sip.flow import Address

PING = b"\r\n\r\n"
"""What the peer sends on a stream to ask whether we are there. Spec: RFC 5626 §3.5.1."""

PONG = b"\r\n"
"""Our answer to `PING`."""

_MAGIC_COOKIE = 0x2112A442
_HEADER = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")

_BINDING_REQUEST = 0x0001
_BINDING_SUCCESS = 0x0101
_BINDING_ERROR = 0x0111

_ERROR_CODE = 0x0009
_UNKNOWN_ATTRIBUTES = 0x000A
_XOR_MAPPED_ADDRESS = 0x0020
_FINGERPRINT = 0x8028
_FINGERPRINT_XOR = 0x5354554E

_UNDERSTOOD = frozenset({0x0006, 0x0008, 0x001C, 0x0014, 0x0015, 0x0020, 0x0001})
"""Attributes below 0x8000 that we may ignore: a keep-alive is not authenticated, so USERNAME,
REALM, NONCE and both kinds of MESSAGE-INTEGRITY say nothing to us; nor do addresses in a
request."""

_MAX_REQUEST_BYTES = 548
"""Longer than any keep-alive; RFC 8489 §6.1 bids clients to stay below it on unknown paths."""

_MAX_UNKNOWN = 8
"""How many unknown attributes an error names, so that it stays smaller than the request."""


def is_stun(data: bytes) -> bool:
    """Whether a datagram on the SIP port is STUN: no SIP message begins with such an octet.

    Spec: RFC 7983 §7, RFC 8489 §5.
    """
    return len(data) >= _HEADER.size and data[0] < 4 and data[4:8] == b"\x21\x12\xa4\x42"


def is_crlf_keepalive(data: bytes) -> bool:
    """Whether a datagram is only padding that keeps a pinhole open: CRLFs or zero octets.

    Many phones send these over UDP though RFC 5626 knows CRLF on streams only; nothing is
    answered.
    """
    return len(data) <= 8 and not data.strip(b"\r\n\0 ")


def answer_stun_untrusted(data: bytes, source: Address) -> bytes | None:
    """The answer to a STUN Binding request, or None where silence is right.

    Silence is right for everything that is not a well-formed Binding request: other methods,
    indications, responses, a wrong length or a wrong FINGERPRINT.

    Args:
        data: One datagram as received.
        source: Where it came from, as our socket saw it; this is what the client learns.

    Spec: RFC 8489 §6.3.1, §14.2 (XOR-MAPPED-ADDRESS), RFC 5626 §8.
    """
    if not is_stun(data) or len(data) > _MAX_REQUEST_BYTES:
        return None
    kind, length, _, transaction = _HEADER.unpack_from(data)
    if kind != _BINDING_REQUEST or length % 4 or length != len(data) - _HEADER.size:
        return None
    attributes = _attributes(data)
    if attributes is None:
        return None
    fingerprinted = _FINGERPRINT in attributes
    if fingerprinted and not _fingerprint_is_right(data):
        return None
    unknown = [kind for kind in attributes if kind < 0x8000 and kind not in _UNDERSTOOD]
    if unknown:
        return _message(_BINDING_ERROR, transaction, _error_420(unknown), fingerprinted)
    mapped = _xor_mapped_address(source, transaction)
    return _message(_BINDING_SUCCESS, transaction, mapped, fingerprinted)


def _attributes(data: bytes) -> list[int] | None:
    """The types of all attributes in order, None if they do not fill the message exactly."""
    kinds: list[int] = []
    at = _HEADER.size
    while at < len(data):
        if len(data) - at < _ATTRIBUTE.size:
            return None
        kind, length = _ATTRIBUTE.unpack_from(data, at)
        at += _ATTRIBUTE.size + (length + 3) // 4 * 4
        if at > len(data):
            return None
        kinds.append(kind)
    return kinds


def _fingerprint_is_right(data: bytes) -> bool:
    """Whether FINGERPRINT stands last and matches. Spec: RFC 8489 §14.7."""
    return len(data) >= _HEADER.size + 8 and data[-8:] == _fingerprint(data[:-8])


def _fingerprint(covered: bytes) -> bytes:
    return struct.pack("!HHI", _FINGERPRINT, 4, zlib.crc32(covered) ^ _FINGERPRINT_XOR)


def _message(kind: int, transaction: bytes, attributes: bytes, fingerprinted: bool) -> bytes:
    length = len(attributes) + (8 if fingerprinted else 0)
    message = _HEADER.pack(kind, length, _MAGIC_COOKIE, transaction) + attributes
    return message + _fingerprint(message) if fingerprinted else message


def _xor_mapped_address(source: Address, transaction: bytes) -> bytes:
    address = ipaddress.ip_address(source[0])
    mask = _MAGIC_COOKIE.to_bytes(4, "big") + transaction
    packed = bytes(octet ^ key for octet, key in zip(address.packed, mask, strict=False))
    family = 1 if address.version == 4 else 2
    port = source[1] ^ (_MAGIC_COOKIE >> 16)
    value = struct.pack("!BBH", 0, family, port) + packed
    return _attribute(_XOR_MAPPED_ADDRESS, value)


def _error_420(unknown: list[int]) -> bytes:
    """ERROR-CODE 420 and UNKNOWN-ATTRIBUTES. Spec: RFC 8489 §6.3.1, §14.8, §14.9."""
    code = struct.pack("!HBB", 0, 4, 20) + b"Unknown Attribute"
    named = b"".join(kind.to_bytes(2, "big") for kind in unknown[:_MAX_UNKNOWN])
    return _attribute(_ERROR_CODE, code) + _attribute(_UNKNOWN_ATTRIBUTES, named)


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(kind, len(value)) + value + b"\0" * (-len(value) % 4)
