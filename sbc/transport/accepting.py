"""Accepting TCP connections.

Spec: RFC 3261 §18.2.1.
"""

import errno
import socket
from collections.abc import Callable

import trio

from sbc.sip.flow import Address, Transport
from sbc.transport.addresses import canonical_socket_address
from sbc.transport.limits import TransportStatistics

ACCEPTS_PER_TURN = 16

_ACCEPT_PAUSE_S = 0.2


class TcpListener:
    """One listening socket, of one transport or of several that are told apart later."""

    __slots__ = (
        "_accepted",
        "_may_accept",
        "_socket",
        "_statistics",
        "local",
        "network",
        "transports",
    )

    def __init__(
        self,
        network: str,
        sock: socket.socket,
        transports: frozenset[Transport],
        *,
        statistics: TransportStatistics,
        may_accept: Callable[[str, Address, float], bool],
        accepted: Callable[["TcpListener", socket.socket, Address], None],
    ) -> None:
        """Take over `sock`, which listens and does not block.

        Args:
            may_accept: Whether a connection to this network from this address, now, may be
                accepted.
            accepted: Takes over each new socket.
        """
        self.network = network
        self.transports = transports
        self.local: Address = canonical_socket_address(sock.getsockname())
        self._socket = sock
        self._statistics = statistics
        self._may_accept = may_accept
        self._accepted = accepted

    async def run(self) -> None:
        """Accept for ever."""
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            if not self._accept_some():
                # Out of files or memory: trying again at once would spin.
                await trio.sleep(_ACCEPT_PAUSE_S)

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def _accept_some(self) -> bool:
        """Accept what waits, within a budget; False if the system has no room for more."""
        for _ in range(ACCEPTS_PER_TURN):
            try:
                sock, address = self._socket.accept()
            except BlockingIOError:
                return True
            except OSError as error:
                self._statistics.accept_errors += 1
                if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}:
                    return False
                continue  # that one connection was gone before we took it
            remote = canonical_socket_address(address)
            if not self._may_accept(self.network, remote, trio.current_time()):
                sock.close()
                continue
            self._statistics.accepted += 1
            self._accepted(self, sock, remote)
        return True
