"""Strangers and phones on a host that write SIP by hand, over UDP or TCP, and read what comes."""

import re
import socket
import time

from sbc.sip.digest import Login
from sbc.sip.message import Request, Response
from sbc.sip.parser import parse_message_untrusted
from tests.kit.hosts import Host
from tests.kit.patience import PATIENCE_S


class Stranger:
    """A socket that asks a border."""

    def __init__(self, host: Host, border: str, *, address: str = "", port: int = 0) -> None:
        self._border = (border, 5060)
        self._socket = host.udp_socket(address or host.ip, port)
        self._socket.settimeout(PATIENCE_S)
        self.address, self.port = self._socket.getsockname()[:2]
        self._count = 0

    def write(self, method: str, user: str, *, headers: tuple[str, ...] = ()) -> Request:
        """The next request: a REGISTER of a user, or anything else to one."""
        self._count += 1
        here, number = f"{self.address}:{self.port}", self._count
        called = f"sip:{self._border[0]}" if method == "REGISTER" else f"sip:{user}@office.example"
        lines = [
            f"{method} {called} SIP/2.0",
            f"Via: SIP/2.0/UDP {here};rport;branch=z9hG4bK-{here}-{number}",
            f"From: <sip:{user if method == 'REGISTER' else 'caller'}@office.example>;tag=t{here}",
            f"To: <sip:{user}@office.example>",
            f"Call-ID: c-{here}-{number}",
            f"CSeq: {number} {method}",
            "Max-Forwards: 70",
            f"Contact: <sip:{user}@{here}>",
            *headers,
            "Content-Length: 0",
        ]
        message = parse_message_untrusted("\r\n".join([*lines, "", ""]).encode())
        assert isinstance(message, Request)
        return message

    def send(self, message: bytes) -> None:
        """Send without waiting."""
        self._socket.sendto(message, self._border)

    def ask(self, request: Request, within_s: float = PATIENCE_S) -> Response | None:
        """Send a request and wait for its final response, sending it again each half second."""
        data, end = bytes_of(request), time.monotonic() + within_s
        self._socket.settimeout(0.5)
        while time.monotonic() < end:
            self._socket.sendto(data, self._border)
            try:
                answer = parse_message_untrusted(self._socket.recv(65_536))
            except TimeoutError:
                continue
            if not isinstance(answer, Response) or answer.status < 200:
                continue
            if answer.call_id == request.call_id and answer.cseq == request.cseq:
                return answer
        return None

    def register(self, user: str, password: str, within_s: float = PATIENCE_S) -> int:
        """Register; the status of the last answer, 0 for none."""
        request = self.write("REGISTER", user)
        answer = self.ask(request, within_s)
        if answer is None or answer.status not in (401, 407):
            return 0 if answer is None else answer.status
        again = self.write("REGISTER", user)
        again.headers.set("Call-ID", request.call_id)
        assert Login(user, password).answer(again, answer, "cnonce", 0)
        final = self.ask(again, within_s)
        return 0 if final is None else final.status

    def close(self) -> None:
        self._socket.close()


def bytes_of(request: Request) -> bytes:
    """A request as it is on the wire."""
    lines = [f"{request.method} {request.uri_text} SIP/2.0"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    lines.append(f"Content-Length: {len(request.body)}")
    return "\r\n".join([*lines, "", ""]).encode() + request.body


def knock(host: Host, border: str, message: bytes, within_s: float = PATIENCE_S) -> bool:
    """Whether a connection by TCP is accepted and lives on after a message."""
    with host.entered():
        sock = socket.socket()
    with sock:
        sock.settimeout(within_s)
        try:
            sock.connect((border, 5060))
            sock.sendall(message)
            return bool(re.match(rb"SIP/2.0", sock.recv(65_536)))
        except OSError:
            return False
