"""Transports on loopback, and what they told."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import trio

from sbc.routing.model import Listener, Network
from sbc.routing.tls import NetworkTls
from sbc.routing.websocket import WebSocketRules
from sbc.sip.flow import Address, Flow, Transport
from sbc.sip.parser import DEFAULT, Limits
from sbc.transport.doorkeeper import Doorkeeper
from sbc.transport.limits import TransportLimits
from sbc.transport.tls.contexts import TlsContexts
from sbc.transport.transports import Transports
from tests.kit.patience import PATIENCE_S

OPTIONS = (
    b"OPTIONS sip:sbc SIP/2.0\r\n"
    b"Via: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK-0123456789abcdef\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n"
    b"Content-Length: 0\r\n\r\n"
)


def network(
    name: str = "public",
    transport: Transport = "udp",
    host: str = "127.0.0.1",
    port: int = 0,
    dscp: int = 24,
    trusted: bool = False,
    *,
    beside: tuple[Transport, ...] = (),
    tls: NetworkTls | None = None,
    websocket: WebSocketRules | None = None,
) -> Network:
    """A network with one listener on a free port, which the transports `beside` it share."""
    family: Literal[4, 6] = 6 if ":" in host else 4
    return Network(
        name,
        tuple(Listener(one, family, host, port, host) for one in (transport, *beside)),
        (),
        (20000, 20010),
        trusted,
        signalling_dscp=dscp,
        tls=tls,
        websocket=websocket,
    )


@dataclass
class Edge:
    """Transports and everything that their callbacks got."""

    networks: tuple[Network, ...]
    limits: TransportLimits = field(default_factory=TransportLimits)
    messages: list[tuple[Flow, bytes]] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    failures: list[tuple[Flow, str]] = field(default_factory=list)
    closed: list[Flow] = field(default_factory=list)
    troubles: list[tuple[Flow, str, int]] = field(default_factory=list)
    contexts: TlsContexts | None = None
    echo: bool = False
    message_limits: Limits = DEFAULT
    doorkeeper: Doorkeeper | None = None

    def __post_init__(self) -> None:
        self._told = trio.Event()
        self.transports = Transports(
            self.networks,
            on_messages=self._messages,
            on_failure=self._failure,
            on_connection_closed=self._closed,
            on_trouble=self._trouble,
            doorkeeper=self.doorkeeper,
            contexts=self.contexts,
            limits=self.limits,
            message_limits=self.message_limits,
        )

    @property
    def flow(self) -> Flow:
        """The flow of the last message."""
        return self.messages[-1][0]

    def address(self, name: str = "public", host: str = "127.0.0.1") -> Address:
        """Where the listener of that network is bound that could reach `host`.

        The port is the kernel's choice, which nobody but a test has to ask for.
        """
        for listener in (*self.transports._udp.values(), *self.transports._tcp.values()):
            if listener.network == name and (":" in listener.local[0]) == (":" in host):
                return listener.local
        raise LookupError(name)

    async def until(self, happened: Callable[[], bool]) -> None:
        """Wait until what was told makes the condition true."""
        with trio.fail_after(PATIENCE_S):
            while not happened():
                self._told = trio.Event()
                await self._told.wait()

    def _messages(self, batch: list[tuple[Flow, bytes]]) -> None:
        self.batches.append(len(batch))
        self.messages += batch
        if self.echo:
            for flow, data in batch:
                self.transports.send(flow, data)
        self._told.set()

    def _failure(self, flow: Flow, why: str) -> None:
        self.failures.append((flow, why))
        self._told.set()

    def _trouble(self, flow: Flow, why: str, untold: int) -> None:
        self.troubles.append((flow, why, untold))
        self._told.set()

    def _closed(self, flow: Flow, why: str) -> None:
        self.closed.append(flow)
        self._told.set()


async def stranger(host: str = "127.0.0.1") -> trio.socket.SocketType:
    """A bound UDP socket that is not ours."""
    family = trio.socket.AF_INET6 if ":" in host else trio.socket.AF_INET
    sock = trio.socket.socket(family, trio.socket.SOCK_DGRAM)
    await sock.bind((host, 0))
    return sock
