"""Opening the sockets of the listeners."""

import contextlib
import errno
import socket

from sbc.routing.model import Listener, Network

_SO_RCVBUFFORCE = 33
"""Linux: a larger buffer than `net.core.rmem_max`, for a process that may administer the net."""

_ACCEPT_BACKLOG = 512


class ListenFailed(Exception):
    """A listener cannot be opened; the text says which one, why, and what to do."""


def open_udp(network: Network, listener: Listener, receive_buffer: int) -> socket.socket:
    """A bound non-blocking datagram socket whose ICMP errors can be read.

    Raises:
        ListenFailed: the address is taken, not ours, or not allowed.
    """
    sock = _bound(network, listener, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, receive_buffer)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    return sock


def receive_buffer_of(sock: socket.socket) -> int:
    """Bytes the socket really holds; Linux reports twice what was asked for."""
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2


def open_tcp_listener(network: Network, listener: Listener) -> socket.socket:
    """A bound non-blocking listening socket.

    Raises:
        ListenFailed: the address is taken, not ours, or not allowed.
    """
    sock = _bound(network, listener, socket.SOCK_STREAM)
    sock.listen(_ACCEPT_BACKLOG)
    return sock


def tune_stream(sock: socket.socket, dscp: int) -> None:
    """What every connection gets, accepted or opened: not blocking, not delaying, marked."""
    sock.setblocking(False)
    # A connection that is dead already answers EINVAL to some of these; reading it says so too.
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        mark(sock, dscp)


def mark(sock: socket.socket, dscp: int) -> None:
    """Set the DiffServ code point. Spec: RFC 2474 §3."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, dscp << 2)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)


def _bound(network: Network, listener: Listener, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET6 if listener.family == 6 else socket.AF_INET
    sock = socket.socket(family, kind)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            # One socket per family: IPv4 peers of a "::" socket would look like IPv6 ones.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        mark(sock, network.signalling_dscp)
        sock.bind((listener.bind, listener.port))
    except OSError as error:
        sock.close()
        raise ListenFailed(_explanation(network, listener, error)) from error
    return sock


def _explanation(network: Network, listener: Listener, error: OSError) -> str:
    host = f"[{listener.bind}]" if listener.family == 6 else listener.bind
    what = f"{listener.transport} {host}:{listener.port} of network {network.name!r}"
    hints = {
        errno.EADDRINUSE: "another program has this port; `ss -lnp` shows which",
        errno.EADDRNOTAVAIL: "this host has no such address; `ip address` shows those it has",
        errno.EACCES: "a port below 1024 needs CAP_NET_BIND_SERVICE",
    }
    why = hints.get(error.errno or 0, error.strerror or str(error))
    return f"cannot listen on {what}: {why}"
