"""SIP over UDP: one task per socket that drains it in batches.

Spec: RFC 3261 §18.
"""

import errno
import socket
from collections import deque
from collections.abc import Callable

import trio

from sbc.sip.flow import Address, Flow
from sbc.transport.addresses import canonical_socket_address
from sbc.transport.doorkeeper import Doorkeeper
from sbc.transport.icmp import IcmpErrors
from sbc.transport.keepalive import answer_stun_untrusted, is_crlf_keepalive, is_stun
from sbc.transport.limits import TransportLimits, TransportStatistics

DATAGRAMS_PER_TURN = 64
"""How many datagrams one socket may bring before the other tasks have their turn."""

TURNED_AWAY_PER_TURN = 512
"""How many more may be turned away meanwhile, each of which costs next to nothing."""

FLOOD_PAUSE_S = 0.002
"""How long a socket is left alone after most of what it brought was turned away.

To be woken costs ten times as much as to turn a datagram away, and a flood would wake us for each:
so it is let gather. The socket's buffer holds many times what comes in this time.
"""

STRANGERS_PER_TURN = 8
"""How many datagrams of strangers are handled before known sources are looked at again."""

STRANGERS_WAITING = 512
"""Datagrams of strangers that wait for their turn; more are shed."""

_DATAGRAM_BYTES = 65_535
_PENDING_ERRORS = 3
"""How many refusals in a row mean that it is this datagram that is refused."""

_FULL = frozenset({errno.EAGAIN, errno.ENOBUFS})

Batch = list[tuple[Flow, bytes]]


class UdpSocket:
    """One bound socket; `send` may be called whether or not `run` runs."""

    __slots__ = (
        "_doorkeeper",
        "_errors",
        "_family",
        "_limits",
        "_on_failure",
        "_on_messages",
        "_socket",
        "_statistics",
        "_stun_budget",
        "_stun_second",
        "_turned_away",
        "_waiting",
        "local",
        "network",
    )

    def __init__(
        self,
        network: str,
        sock: socket.socket,
        *,
        limits: TransportLimits,
        statistics: TransportStatistics,
        doorkeeper: Doorkeeper,
        on_messages: Callable[[Batch], None],
        on_failure: Callable[[Flow, str], None],
    ) -> None:
        """Take over `sock`, which is bound and does not block."""
        self.network = network
        self._socket = sock
        self._family = sock.family
        self._limits = limits
        self._statistics = statistics
        self._doorkeeper = doorkeeper
        self._on_messages = on_messages
        self._on_failure = on_failure
        self._stun_second = 0
        self._stun_budget = 0
        self._turned_away = 0
        self._waiting: deque[tuple[Flow, bytes]] = deque()
        self.local: Address = canonical_socket_address(sock.getsockname())
        self._errors = IcmpErrors(
            sock, limits.icmp_failures_per_second, statistics, self._unreachable
        )

    async def run(self) -> None:
        """Deliver what arrives, for ever.

        `wait_readable` always goes through the scheduler, so a flood on this socket costs the
        other tasks one batch at a time.
        """
        waiting = self._waiting
        while True:
            if waiting:
                await trio.lowlevel.checkpoint()
            else:
                await trio.lowlevel.wait_readable(self._socket)
            batch = self._drain()
            if batch:
                self._statistics.messages_in += len(batch)
                self._on_messages(batch)
            if waiting:
                turn = [waiting.popleft() for _ in range(min(len(waiting), STRANGERS_PER_TURN))]
                self._statistics.messages_in += len(turn)
                self._on_messages(turn)
            if self._turned_away > len(batch):
                await trio.sleep(FLOOD_PAUSE_S)

    def send(self, flow: Flow, data: bytes) -> None:
        """Send one datagram now, or lose it as the network would."""
        remote = flow.remote
        try:
            # A name here would stop the whole process for a DNS lookup.
            socket.inet_pton(self._family, remote[0].partition("%")[0])
        except OSError:
            self._statistics.send_errors += 1
            self._on_failure(flow, f"{remote[0]!r} is not an address of this socket's family")
            return
        error = self._send_once(data, remote)
        if error is not None:
            error = self._send_again(data, remote)
        if error is None:
            self._statistics.messages_out += 1
            self._errors.sent(remote, data)
        elif error.errno in _FULL:
            self._statistics.datagrams_unsent += 1
        else:
            self._statistics.send_errors += 1
            self._on_failure(flow, error.strerror or str(error))

    @property
    def socket(self) -> socket.socket:
        """What the system knows it by."""
        return self._socket

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _send_once(self, data: bytes, remote: Address) -> OSError | None:
        try:
            self._socket.sendto(data, remote)
        except OSError as error:
            return error
        return None

    def _send_again(self, data: bytes, remote: Address) -> OSError | None:
        """Send after a refusal, which may be an ICMP error about a datagram to somebody else.

        The system reports such an error once and does not send; asking again clears it. A
        refusal of this very datagram comes back every time.
        """
        error: OSError | None = None
        for _ in range(_PENDING_ERRORS):
            error = self._send_once(data, remote)
            if error is None or error.errno in _FULL:
                break
        return error

    def _drain(self) -> Batch:
        """Read what there is: what known sources sent, while strangers' datagrams wait."""
        batch: Batch = []
        waiting = self._waiting
        receive = self._socket.recvfrom
        admits, now = self._doorkeeper.admits_datagram, trio.current_time()
        network, local = self.network, self.local
        errors = False
        taken = turned_away = 0
        while taken < DATAGRAMS_PER_TURN and turned_away < TURNED_AWAY_PER_TURN:
            try:
                data, address = receive(_DATAGRAM_BYTES)
            except BlockingIOError:
                break
            except OSError:  # an ICMP error about an earlier datagram; its details are queued
                errors = True
                taken += 1
                continue
            remote = address if len(address) == 2 else canonical_socket_address(address)
            welcome = admits(network, remote, now)
            if welcome == "away":
                turned_away += 1
                continue
            taken += 1
            if (not data or data[0] <= 32) and self._answered_below_sip(data, remote):
                continue
            into: Batch | deque[tuple[Flow, bytes]] = batch
            if welcome == "stranger":
                if len(waiting) >= STRANGERS_WAITING:
                    self._statistics.datagrams_shed += 1
                    continue
                into = waiting
            into.append((Flow(network, "udp", local, remote), data))
        self._turned_away = turned_away
        if errors or not taken | turned_away:
            self._errors.read()
        return batch

    def _answered_below_sip(self, data: bytes, remote: Address) -> bool:
        if is_crlf_keepalive(data):
            self._statistics.keepalives_in += 1
            return True
        if not is_stun(data):
            return False
        answer = answer_stun_untrusted(data, remote) if self._may_answer_stun() else None
        if answer is None:
            self._statistics.stun_ignored += 1
            return True
        self._statistics.stun_answered += 1
        try:
            self._socket.sendto(answer, remote)
        except OSError:
            self._statistics.datagrams_unsent += 1
        return True

    def _may_answer_stun(self) -> bool:
        second = int(trio.current_time())
        if second != self._stun_second:
            self._stun_second = second
            self._stun_budget = self._limits.stun_answers_per_second
        self._stun_budget -= 1
        return self._stun_budget >= 0

    def _unreachable(self, remote: Address, why: str) -> None:
        self._on_failure(Flow(self.network, "udp", self.local, remote), why)
