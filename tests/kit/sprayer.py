"""A host that attacks: datagrams in any number, from its own address or in anybody's name."""

import select
import socket
import struct
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType

from media.types import Endpoint
from tests.kit.hosts import Host, NeverHappened
from tests.kit.patience import PATIENCE_S

_IN_FLIGHT = 200
"""How many datagrams are sent before the target's host must have seen them all: fewer than any
queue on the way holds, so that none is lost and each can be counted."""


class Sprayer(AbstractContextManager["Sprayer"]):
    """Sends from `host`, through no more than the queues on the way to `target` hold."""

    def __init__(self, host: Host, target: Host, *, port: int = 4666) -> None:
        """Opens its sockets; nothing is sent yet.

        Args:
            host: The attacker's.
            target: Whose ports it will attack; the first address of it must be reachable.
            port: Its own, where it would hear what is bled to it.
        """
        self._stack = ExitStack()
        self.own = self._stack.enter_context(host.udp_socket(host.ip, port))
        self.own.settimeout(PATIENCE_S)
        with host.entered():
            self._raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self._stack.callback(self._raw.close)
        self._fence = self._stack.enter_context(target.udp_socket(target.ip))
        self._sent = 0

    @property
    def place(self) -> str:
        """Its own address and port, as the border writes them."""
        host, port = self.own.getsockname()
        return f"{host}:{port}"

    def sends(self, data: bytes, to: Endpoint) -> None:
        """Send under its own address."""
        self.own.sendto(data, to)
        self._go_on()

    def forges(self, data: bytes, source: Endpoint, to: Endpoint) -> None:
        """Send one unfragmented datagram under the address of somebody else."""
        length = 8 + len(data)
        head = struct.pack(
            "!BBHHHBBH4s4s",
            *(0x45, 0, 20 + length, 0, 0, 64, socket.IPPROTO_UDP, 0),
            *(socket.inet_aton(source.host), socket.inet_aton(to.host)),
        )
        # IPv4 lets UDP go without a checksum (RFC 768); the kernel fills in that of the header.
        udp = struct.pack("!HHHH", source.port, to.port, length, 0)
        self._raw.sendto(head + udp + data, (to.host, 0))
        self._go_on()

    def hears(self) -> bytes:
        """The next datagram that arrives at its own port and is no opener.

        Raises:
            TimeoutError: None does.
        """
        while not (data := self.own.recv(65535)):
            continue
        return data

    def heard(self) -> list[bytes]:
        """Everything that has arrived at its own port and that nobody waited for."""
        found = []
        while select.select([self.own], [], [], 0)[0]:
            found.append(self.own.recv(65535))
        return found

    def waits_for_delivery(self) -> None:
        """Wait until the target's host has everything that was sent.

        Raises:
            NeverHappened: what was sent to see that did not arrive.
        """
        self.own.sendto(b"fence", self._fence.getsockname())
        if not select.select([self._fence], [], [], PATIENCE_S)[0]:
            raise NeverHappened(f"not within {PATIENCE_S:g} s: the sprayer's fence")
        self._fence.recv(100)
        self._sent = 0

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _go_on(self) -> None:
        self._sent += 1
        if self._sent >= _IN_FLIGHT:
            self.waits_for_delivery()
