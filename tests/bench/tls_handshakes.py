"""TLS handshakes as fast as they are taken: so many connections are opened, and used once each.

Each is a connection from one of 250 addresses, a full handshake, a CRLF ping and its pong (RFC
5626), which prove that the system is done with it too, and the end. The last line is JSON; times
are milliseconds, from the connection to the pong.

    python -m tests.bench.tls_handshakes --version 1.3 --seconds 5
"""

import argparse
import contextlib
import json
import select
import socket
import ssl
import time

from tests.bench.latency import quantiles
from tests.bench.load import HOST
from tests.bench.tls_calls import SECURED_PORT
from tests.bench.tls_wires import client_context

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_ADDRESSES = 250
_PING, _PONG = b"\r\n\r\n", b"\r\n"


class _Shaking:
    """One connection: it connects, shakes hands, pings, and is over with the pong."""

    def __init__(self, number: int, context: ssl.SSLContext) -> None:
        self._context = context
        self._is_done = False
        self.began = time.perf_counter()
        self._plain = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._plain.setblocking(False)
        # Not the port as well: it would be free only for a new address of the other end.
        self._plain.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
        self._plain.bind((f"127.2.0.{number % _ADDRESSES + 1}", 0))
        with contextlib.suppress(BlockingIOError):
            self._plain.connect((HOST, SECURED_PORT))
        self.sock: socket.socket = self._plain
        self._tls: ssl.SSLSocket | None = None

    def go_on(self) -> bool:
        """Go on as far as it goes; whether it is over.

        Raises:
            OSError: the system ended it.
        """
        if self._tls is None:
            self._tls = self._context.wrap_socket(self._plain, do_handshake_on_connect=False)
            self.sock = self._tls
        try:
            if not self._is_done:
                self._tls.do_handshake()
                self._is_done = True
                self._tls.send(_PING)
            answer = self._tls.recv(len(_PING))
        except ssl.SSLWantReadError:
            return False
        if answer != _PONG:
            raise ConnectionError(f"instead of a pong came {answer!r}")
        return True


class Flood:
    """So many handshakes at a time."""

    def __init__(self, at_a_time: int, version: str) -> None:
        self._context = client_context(VERSIONS[version])
        self._at_a_time = at_a_time
        self._epoll = select.epoll()
        self._open: dict[int, _Shaking] = {}
        self._begun = 0
        self._failed = 0
        self._why = ""
        self._times: list[float] = []

    def run(self, seconds: float) -> dict[str, object]:
        """Go on for so long."""
        start = time.perf_counter()
        end = start + seconds
        while (now := time.perf_counter()) < end:
            while len(self._open) < self._at_a_time:
                self._begin()
            for number, _ in self._epoll.poll(end - now):
                self._go_on(number)
        for one in self._open.values():
            one.sock.close()
        return {
            "done": len(self._times),
            "failed": self._failed,
            "why": self._why,
            "per_s": round(len(self._times) / (time.perf_counter() - start), 1),
            **quantiles(self._times),
        }

    def _begin(self) -> None:
        one = _Shaking(self._begun, self._context)
        self._begun += 1
        self._open[one.sock.fileno()] = one
        self._epoll.register(one.sock.fileno(), select.EPOLLOUT)

    def _go_on(self, number: int) -> None:
        one = self._open[number]
        self._epoll.modify(number, select.EPOLLIN)
        try:
            if not one.go_on():
                return
            self._times.append(time.perf_counter() - one.began)
        except OSError as error:
            self._failed += 1
            self._why = str(error)
        del self._open[number]
        self._epoll.unregister(number)
        one.sock.close()


def main() -> None:
    """Load a running system."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--version", choices=VERSIONS, default="1.3")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--at-a-time", type=int, default=32)
    chosen = parser.parse_args()
    flood = Flood(chosen.at_a_time, chosen.version)
    used = time.process_time()
    figures = flood.run(chosen.seconds)
    cores = (time.process_time() - used) / chosen.seconds
    print(json.dumps(figures | {"load_cores": round(cores, 2)}))


if __name__ == "__main__":
    main()
