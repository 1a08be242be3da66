"""SIP over UDP and over TLS for a load generator: sockets that never wait.

A stream's bytes become whole messages here, and what TLS cannot take at once is kept.
"""

import re
import socket
import ssl
from pathlib import Path
from typing import Protocol

from tests.bench.load import HOST

_READ_BYTES = 65_536
_BUFFER_BYTES = 4_000_000
_SHAKE_S = 5.0
_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*:[ \t]*(\d+)", re.IGNORECASE)
_BLANK = b"\r\n\r\n"


class Wire(Protocol):
    """One socket that carries SIP messages."""

    name: str
    """As Via names the transport."""
    sock: socket.socket

    def send(self, message: bytes) -> None:
        """Send one message to whom the socket belongs with."""

    def receive(self) -> list[bytes]:
        """All messages that have come."""


class Datagrams:
    """A UDP socket; it answers whoever sent last."""

    name = "UDP"

    def __init__(self, port: int, peer: tuple[str, int] = ("", 0)) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self.sock.bind((HOST, port))
        self.sock.setblocking(False)
        self._peer = peer

    def send(self, message: bytes) -> None:
        self.sock.sendto(message, self._peer)

    def receive(self) -> list[bytes]:
        found = []
        try:
            while True:
                data, self._peer = self.sock.recvfrom(_READ_BYTES)
                found.append(data)
        except BlockingIOError:
            return found


class Secured:
    """A TLS connection after its handshake."""

    name = "TLS"

    def __init__(self, sock: ssl.SSLSocket) -> None:
        sock.settimeout(_SHAKE_S)
        sock.do_handshake()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        self.sock = sock
        self._came = bytearray()
        self._waits = bytearray()

    def send(self, message: bytes) -> None:
        self._waits += message
        self._flush()

    def _flush(self) -> None:
        try:
            while self._waits:
                del self._waits[: self.sock.send(self._waits)]
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass  # whatever comes next takes it along

    def receive(self) -> list[bytes]:
        self._flush()
        try:
            while data := self.sock.recv(_READ_BYTES):
                self._came += data
        except ssl.SSLWantReadError:
            return self._whole()
        raise ConnectionError("the system closed a connection")

    def _whole(self) -> list[bytes]:
        found = []
        while (head := self._came.find(_BLANK)) >= 0:
            length = _LENGTH.search(self._came, 0, head + 2)
            end = head + len(_BLANK) + (int(length[1]) if length else 0)
            if len(self._came) < end:
                break
            found.append(bytes(self._came[:end]))
            del self._came[:end]
        return found


def connect(port: int) -> Secured:
    """Open a connection to the system. What the bench is about is not whom it reaches."""
    context = client_context()
    sock = socket.create_connection((HOST, port), _SHAKE_S)
    return Secured(context.wrap_socket(sock, do_handshake_on_connect=False))


def client_context(version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """A client that believes everybody, of one version or any; it never resumes a session."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


class Listener:
    """Where the system connects to."""

    def __init__(self, port: int, certificate: Path, key: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self.sock = socket.create_server((HOST, port))

    def accept(self) -> Secured:
        """Take the connection that has come."""
        sock, _ = self.sock.accept()
        return Secured(
            self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        )
