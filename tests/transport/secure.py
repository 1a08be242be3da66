"""Networks and peers with certificates, and who speaks TLS with them."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from sbc.config.certificates import read_certificate, read_trust
from sbc.routing.model import Network, Peer
from sbc.routing.tls import Certificate, NetworkTls, PeerTls, Trust
from sbc.routing.websocket import WebSocketRules
from sbc.sip.flow import Transport
from sbc.transport.tls.contexts import TlsContexts
from tests.kit.certificates import Authority, Identity, client_context, server_context
from tests.transport.edge import Edge, network

NOW = 1.7e9


@dataclass
class Secure:
    """An authority that vouches for us and for a carrier, and files for all of it."""

    directory: Path
    authority: Authority
    opened: list[trio.socket.SocketType] = field(default_factory=list)

    def certificate(self, identity: Identity, stem: str) -> Certificate:
        found, complaints = read_certificate(*identity.write(self.directory, stem), "server", NOW)
        assert found is not None, complaints
        return found

    @property
    def trust(self) -> Trust:
        found, complaints = read_trust(self.authority.write(self.directory), NOW)
        assert found is not None, complaints
        return found

    def network(
        self,
        *beside: Transport,
        transport: Transport = "tls",
        origins: tuple[str, ...] | None = None,
        trusted: bool = False,
        **rules: Any,
    ) -> Network:
        """The network ``public`` with one listening socket, and our certificate."""
        ours = self.certificate(self.authority.issue("sbc.example.com"), "ours")
        return network(
            transport=transport,
            beside=beside,
            trusted=trusted,
            tls=NetworkTls((ours,), trust=self.trust, **rules),
            websocket=None if origins is None else WebSocketRules(origins),
        )

    def carrier(self, **rules: Any) -> Peer:
        """The peer ``carrier``, whose certificate must be for ``carrier.example.com``."""
        tls = PeerTls(("carrier.example.com",), "carrier.example.com", self.trust, **rules)
        return Peer("carrier", "trunk", "public", tls=tls)

    def contexts(self, *parts: Network | Peer) -> TlsContexts:
        return TlsContexts(
            [part for part in parts if isinstance(part, Network)],
            [part for part in parts if isinstance(part, Peer)],
        )

    def client(self, identity: Identity | None = None, **versions: Any) -> ssl.SSLContext:
        files = None if identity is None else identity.write(self.directory, "client")
        return client_context(self.authority, files, **versions)

    def server(self, identity: Identity, **rules: Any) -> ssl.SSLContext:
        return server_context(identity.write(self.directory, "carrier"), **rules)

    async def raw(self, edge: Edge, host: str = "127.0.0.1") -> trio.SocketStream:
        """A TCP client from one of the addresses of loopback."""
        sock = trio.socket.socket()
        self.opened.append(sock)
        await sock.bind((host, 0))
        await sock.connect(edge.address())
        return trio.SocketStream(sock)

    async def dial(
        self, edge: Edge, context: ssl.SSLContext, host: str = "127.0.0.1"
    ) -> trio.SSLStream[trio.SocketStream]:
        """A TLS client, which has shaken hands."""
        stream = trio.SSLStream(await self.raw(edge, host), context, https_compatible=True)
        await stream.do_handshake()
        return stream

    def close(self) -> None:
        """Close what tests left open."""
        for sock in self.opened:
            sock.close()
