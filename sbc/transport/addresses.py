"""Addresses as the sockets spell them, made one spelling.

Sans-IO.
"""

import ipaddress

from sbc.sip.flow import Address

_MAPPED = "::ffff:"


def canonical_host(host: str) -> str:
    """The one spelling of a numeric host: IPv4-mapped IPv6 becomes IPv4, IPv6 is compressed.

    Raises:
        ValueError: `host` is not numeric.

    Spec: RFC 4291 §2.5.5.2, RFC 5952.
    """
    address = ipaddress.ip_address(host)
    if address.version == 6 and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def canonical_socket_address(address: tuple[str, int] | tuple[str, int, int, int]) -> Address:
    """What a socket says of its peer, as an `Address`; a link-local host keeps its scope."""
    if len(address) == 2:
        return address
    host, port, _, scope = address
    if host.startswith(_MAPPED):
        return canonical_host(host), port
    if scope and "%" not in host:
        return f"{host}%{scope}", port
    return host, port
