"""UDP sockets and numeric addresses, as the engine in Python needs them."""

import socket
import struct
from functools import lru_cache

from media.errors import MediaRefused
from media.types import Endpoint

_SO_MEMINFO = 55
"""A socket option of Linux that Python has no name for."""
_MEMINFO_DROPS = struct.Struct("=32xI")
"""The ninth of its values (SK_MEMINFO_DROPS)."""

SocketAddress = tuple[str, int] | tuple[str, int, int, int]
"""An address as the socket module gives it: IPv6 with flow label and scope."""


def open_socket(local: Endpoint, dscp: int) -> socket.socket:
    """A non-blocking UDP socket bound to exactly `local`, marking what it sends.

    No address is shared: a port that another program holds is refused, never stolen.

    Spec: RFC 2474 §3 (the DSCP is the upper six bits of the octet).

    Raises:
        MediaRefused: It cannot be had; the text says which address and why.
    """
    canonical_host(local.host, local.host)  # A name would be looked up, and block.
    ipv6 = ":" in local.host
    family = socket.AF_INET6 if ipv6 else socket.AF_INET
    try:
        opened = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    except OSError as error:
        raise MediaRefused(f"no socket for {_text(local)}: {error.strerror}") from error
    try:
        if ipv6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if dscp:
            _mark(opened, ipv6, dscp)
        opened.bind(local)
    except (OSError, OverflowError) as error:
        opened.close()
        why = error.strerror if isinstance(error, OSError) else "no such port"
        raise MediaRefused(f"cannot bind {_text(local)}: {why}") from error
    return opened


def queue_drops(opened: socket.socket) -> int:
    """How many datagrams the kernel dropped because the socket's queue was full.

    Those whose checksum was wrong are counted with them. 32 bits that wrap; 0 where the kernel does
    not say.
    """
    try:
        told = opened.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO_DROPS.size)
        dropped: int = _MEMINFO_DROPS.unpack(told)[0]
    except (OSError, struct.error):
        return 0
    return dropped


def mark(opened: socket.socket, local: Endpoint, dscp: int) -> None:
    """Changes the DSCP of what a socket sends from now on."""
    _mark(opened, ":" in local.host, dscp)


def _mark(opened: socket.socket, ipv6: bool, dscp: int) -> None:
    if ipv6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, dscp << 2)
    else:
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)


@lru_cache(maxsize=4096)
def canonical_host(host: str, like: str) -> str:
    """A numeric host as the socket module spells it.

    Args:
        host: The host to spell.
        like: A host of ours; both must be of one family.

    Raises:
        MediaRefused: It is a name, or of the other family.
    """
    family = socket.AF_INET6 if ":" in like else socket.AF_INET
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, host))
    except (OSError, ValueError) as error:
        version = "IPv6" if ":" in like else "IPv4"
        raise MediaRefused(
            f"{host!r} is no {version} address, and media leaves from {like}"
        ) from error


@lru_cache(maxsize=4096)
def is_unicast(host: str) -> bool:
    """Whether a canonical host is one that media may be sent to.

    The unspecified, multicast, broadcast and link-local IPv6 addresses are not: an SDP may name
    them (hold by ``0.0.0.0``), and a stranger may name them to have us shout.
    """
    if ":" in host:
        packed = socket.inet_pton(socket.AF_INET6, host)
        link_local = packed[0] == 0xFE and packed[1] & 0xC0 == 0x80
        mapped = packed.startswith(bytes(10) + b"\xff\xff")
        return packed != bytes(16) and packed[0] != 0xFF and not link_local and not mapped
    first = int(host.partition(".")[0])
    return 0 < first < 224


def _text(endpoint: Endpoint) -> str:
    host, port = endpoint
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
