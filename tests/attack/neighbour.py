"""An attacker who shares an address with honest users; it runs until it is ended, or by the clock.

python -m tests.attack.neighbour flood 203.0.113.1 --rate 300 --seconds 60 --ports 1
python -m tests.attack.neighbour connect 203.0.113.1 --seconds 60 --ports 500
python -m tests.attack.neighbour guess 203.0.113.1 --user 1000 --seconds 60
"""

import argparse
import socket
import ssl
import time
from collections import deque
from contextlib import suppress

from tests.bench.flood_sender import junk
from tests.kit.crowd_user import User

TLS_PORT = 5061
_PAUSE_S = 0.005
_IMPATIENCE_S = 0.2


def flood(border: str, *, rate: float, seconds: float, ports: int) -> None:
    """Send INVITEs from some ports in turn."""
    sockets = [_socket(border) for _ in range(ports)]
    for sock in sockets:
        sock.setblocking(False)
    host = f"[{border}]" if ":" in border else border
    began, sent = time.monotonic(), 0
    while (spent := time.monotonic() - began) < seconds:
        for number in range(sent, int(spent * rate)):
            with suppress(OSError):
                sockets[number % ports].send(junk(number, host, 5060))
            sent += 1
        time.sleep(_PAUSE_S)


def guess(border: str, *, user: str, seconds: float) -> bool:
    """Try one password after the other, as fast as it is answered; whether one was right."""
    sock = _socket(border)
    sock.settimeout(_IMPATIENCE_S)
    here, until, number = sock.getsockname()[:2], time.monotonic() + seconds, 0
    while time.monotonic() < until:
        number += 1
        guesser = User(user, f"guess{number}", here, (border, 5060))
        out = guesser.register(float(number))
        while guesser.busy and time.monotonic() < until:
            for data in out:
                sock.send(data)
            try:
                out = guesser.receive(sock.recv(65_536), float(number))
            except TimeoutError:
                break
        if guesser.registered:
            return True
    return False


def connect(border: str, *, seconds: float, ports: int, hello: bytes) -> int:
    """Open connections as fast as that goes, and keep as many as there are ports; how many.

    Args:
        hello: what is said on each of them.
    """
    kept: deque[socket.socket] = deque()
    until, made = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        sock = socket.socket()
        sock.settimeout(_IMPATIENCE_S)
        with suppress(OSError):
            sock.connect((border, TLS_PORT))
            sock.sendall(hello)
            made += 1
        kept.append(sock)
        if len(kept) > ports:
            kept.popleft().close()
    return made


def client_hello() -> bytes:
    """What begins a TLS handshake."""
    out = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="office")
    with suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return out.read()


def _socket(border: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in border else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.connect((border, 5060))
    return sock


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["flood", "guess", "connect", "hello"])
    parser.add_argument("border")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rate", type=float, default=300)
    parser.add_argument("--ports", type=int, default=1)
    parser.add_argument("--user", default="1000")
    given = parser.parse_args()
    if given.what == "flood":
        flood(given.border, rate=given.rate, seconds=given.seconds, ports=given.ports)
    elif given.what in ("connect", "hello"):
        hello = client_hello() if given.what == "hello" else b""
        print(connect(given.border, seconds=given.seconds, ports=given.ports, hello=hello))
    elif guess(given.border, user=given.user, seconds=given.seconds):
        print("found")
