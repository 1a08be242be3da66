"""Addresses in session descriptions.

Spec: RFC 8866 §5.7 (c=), §9 (grammar); RFC 3264 §8.4 and RFC 6157 §5 (addresses that mean none).
"""

import re
from ipaddress import IPv6Address
from typing import NamedTuple

from sbc.sdp.errors import SdpError

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IP4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_NUMERIC = re.compile(r"[0-9.]+")
_IP6_CHARACTERS = re.compile(r"[0-9A-Fa-f:.]{2,45}")
_NAME = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z.-]{0,253}[0-9A-Za-z.])?")
_SUFFIX = re.compile(r"[0-9]{1,3}(?:/[0-9]{1,5})?")
_ADDRESS_TYPES = {"IP4": "IP4", "IP6": "IP6", "ip4": "IP4", "ip6": "IP6"}


class Connection(NamedTuple):
    """Where media is wanted: a `c=` line, or the address part of `a=rtcp`."""

    host: str
    """An address (IPv6 without brackets) or a name, as written."""
    address_type: str = "IP4"
    """``"IP4"`` or ``"IP6"``."""
    network_type: str = "IN"
    suffix: str = ""
    """What follows the address after a slash: multicast TTL and count, ``"127"`` or ``"127/3"``."""

    @property
    def is_null(self) -> bool:
        """Whether the address means "send me nothing": 0.0.0.0, :: or a name under .invalid."""
        return is_null_host(self.host)

    def __str__(self) -> str:
        text = f"{self.network_type} {self.address_type} {self.host}"
        return f"{text}/{self.suffix}" if self.suffix else text


def is_null_host(host: str) -> bool:
    """Whether nothing can be sent to a host, which is how old phones say hold.

    Spec: RFC 3264 §8.4 (0.0.0.0), RFC 6157 §5 (names under .invalid take its place in IPv6); the
    unspecified IPv6 address is not blessed by any RFC but is what dual-stack phones send.
    """
    if host == "0.0.0.0":
        return True
    if ":" in host:
        return not host.strip("0:.")
    return host.lower().rstrip(".").endswith(".invalid")


def parse_connection_untrusted(value: str) -> Connection:
    """Read what follows `c=`, or the port in `a=rtcp`.

    Raises:
        SdpError: 488, when it is not an Internet address or name of the family it claims.
    """
    fields = value.split()
    if len(fields) != 3:
        raise SdpError("a connection needs a network type, an address type and an address")
    network_type, address_type, address = fields
    known = _ADDRESS_TYPES.get(address_type)
    if known is None or (network_type != "IN" and network_type.upper() != "IN"):
        raise SdpError("only the address types IN IP4 and IN IP6 can be used")
    # Old phones write a TTL after unicast addresses (RFC 2327 habits): kept, never used.
    host, slash, suffix = address.partition("/")
    if slash and not _SUFFIX.fullmatch(suffix):
        raise SdpError("what follows the slash of the address is no number")
    if not _is_host(known, host):
        raise SdpError(f"the address is neither {known} nor a host name")
    return Connection(host, known, "IN", suffix)


def _is_host(address_type: str, text: str) -> bool:
    """Whether a text is an address of the family or a name; nothing else may reach a resolver."""
    if address_type == "IP4" and _IP4.fullmatch(text):
        return True
    if address_type == "IP6" and ":" in text:
        return _is_ip6(text)
    # A name of digits and dots only is a mistyped address that some resolvers would still take.
    return _NAME.fullmatch(text) is not None and _NUMERIC.fullmatch(text) is None


def _is_ip6(text: str) -> bool:
    """Whether a text is an IPv6 address without a zone (a zone means nothing to another host)."""
    if not _IP6_CHARACTERS.fullmatch(text):
        return False
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True
