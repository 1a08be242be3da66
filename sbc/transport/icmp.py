"""ICMP errors about our datagrams, believed only with proof.

Anybody can send us an ICMP error that claims a datagram of ours to the PBX came back, and each
believed one would fail the calls in progress. So an error counts only if it quotes a whole top
Via line, with its unguessable branch, that we sent there a moment ago. A router that quotes less
leaves the matter to the transaction timers.

Spec: RFC 3261 §18.4 (which errors are transport errors), RFC 5927 (attacks with ICMP).
"""

import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterator

import trio

from sbc.sip.flow import Address
from sbc.transport.addresses import canonical_socket_address
from sbc.transport.limits import TransportStatistics

# Linux numbers that the socket module of Python 3.11 does not name.
_IP_RECVERR = 11
_IPV6_RECVERR = 25
_MSG_ERRQUEUE = 0x2000
_ORIGIN_ICMP = 2
_ORIGIN_ICMP6 = 3
_EXTENDED_ERROR = struct.Struct("=IBBBBII")

_V4_UNREACHABLE = 3
_V4_FRAGMENTATION_NEEDED = 4
_V4_PARAMETER_PROBLEM = 12
_V6_UNREACHABLE = 1
_V6_PARAMETER_PROBLEM = 4

_REMEMBERED_DATAGRAMS = 512
_ERRORS_PER_TURN = 32
_QUOTE_BYTES = 2048


class IcmpErrors:
    """Reads the error queue of one datagram socket."""

    __slots__ = ("_budget", "_limit", "_recent", "_report", "_second", "_socket", "_statistics")

    def __init__(
        self,
        sock: socket.socket,
        limit: int,
        statistics: TransportStatistics,
        report: Callable[[Address, str], None],
    ) -> None:
        """Ask the system to queue errors for `sock`; at most `limit` per second reach `report`."""
        self._socket = sock
        self._limit = limit
        self._statistics = statistics
        self._report = report
        self._recent: deque[tuple[Address, bytes]] = deque(maxlen=_REMEMBERED_DATAGRAMS)
        self._second = 0
        self._budget = limit
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)

    def sent(self, remote: Address, data: bytes) -> None:
        """Remember a datagram so that an error can prove itself by quoting it."""
        self._recent.append((remote, data))

    def read(self) -> None:
        """Empty the error queue, within a budget, and report what is proven."""
        for remote, why, quote in self._queued():
            if not self._proven(remote, quote):
                self._statistics.icmp_unproven += 1
            elif not self._within_rate():
                self._statistics.icmp_suppressed += 1
            else:
                self._statistics.icmp_reported += 1
                self._report(remote, why)

    def _queued(self) -> Iterator[tuple[Address, str, bytes]]:
        for _ in range(_ERRORS_PER_TURN):
            try:
                quote, ancillary, _, address = self._socket.recvmsg(
                    _QUOTE_BYTES, 512, _MSG_ERRQUEUE
                )
            except OSError:  # EAGAIN: empty; and an error about errors leaves nothing to do
                return
            why = next(filter(None, map(_unreachable, ancillary)), None)
            if why is not None and address:
                yield canonical_socket_address(address), why, quote

    def _proven(self, remote: Address, quote: bytes) -> bool:
        branch = quote.find(b"branch=")
        if branch < 0 or quote.find(b"\r\n", branch) < 0:
            return False
        return any(to == remote and sent.startswith(quote) for to, sent in self._recent)

    def _within_rate(self) -> bool:
        second = int(trio.current_time())
        if second != self._second:
            self._second = second
            self._budget = self._limit
        self._budget -= 1
        return self._budget >= 0


def _unreachable(item: tuple[int, int, bytes]) -> str | None:
    """Why the datagram did not arrive, if this ancillary item says that it never will."""
    level, kind, data = item
    wanted = {(socket.IPPROTO_IP, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR)}
    if (level, kind) not in wanted or len(data) < _EXTENDED_ERROR.size:
        return None
    number, origin, icmp_type, code, _, _, _ = _EXTENDED_ERROR.unpack_from(data)
    if origin == _ORIGIN_ICMP:
        hard = icmp_type == _V4_PARAMETER_PROBLEM or (
            icmp_type == _V4_UNREACHABLE and code != _V4_FRAGMENTATION_NEEDED
        )
    else:
        hard = origin == _ORIGIN_ICMP6 and icmp_type in {_V6_UNREACHABLE, _V6_PARAMETER_PROBLEM}
    return f"ICMP: {os.strerror(number)}" if hard else None
