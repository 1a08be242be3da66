"""Phones that register, answer keep-alives and do nothing else; and a PBX that takes everybody.

Plain UDP sockets, one for each phone with an address of its own (127.1.x.y), so that the system
under test has as many sources as phones. A bounded number of REGISTERs is under way at a time.
"""

import hashlib
import re
import select
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

HOST = "127.0.0.1"
SYSTEM_PORT = 5060
PBX_PORT = 5080
DOMAIN = "bench.example"
PASSWORD = "bench"
WINDOW = 50
"""REGISTERs under way at a time."""
_PATIENCE_S = 5.0
_READ_BYTES = 65_535
_CHALLENGE = re.compile(rb'realm="([^"]+)".*?nonce="([^"]+)"', re.DOTALL)
_COPIED = re.compile(
    rb"^(?:Via|v|From|f|Call-ID|i|CSeq)[ \t]*:[^\r]*\r\n", re.MULTILINE | re.IGNORECASE
)
_TO = re.compile(rb"^(?:To|t)[ \t]*:([^\r]*)\r\n", re.MULTILINE | re.IGNORECASE)
_CONTACT = re.compile(rb"^(?:Contact|m)[ \t]*:([^\r]*)\r\n", re.MULTILINE | re.IGNORECASE)


@dataclass(slots=True)
class Phone:
    """One phone: its socket, its credentials, its place in the sequence."""

    user: str
    sock: socket.socket
    host: str
    cseq: int = 0
    realm: str = ""
    nonce: str = ""
    uses: int = 0
    began: float = 0.0

    def register(self) -> None:
        """Send the next REGISTER, with credentials if a nonce is known."""
        self.cseq += 1
        lines = [
            f"REGISTER sip:{DOMAIN} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.host}:5060;rport;branch=z9hG4bK{self.user}.{self.cseq}",
            "Max-Forwards: 70",
            f"From: <sip:{self.user}@{DOMAIN}>;tag=t{self.user}",
            f"To: <sip:{self.user}@{DOMAIN}>",
            f"Call-ID: reg-{self.user}@{self.host}",
            f"CSeq: {self.cseq} REGISTER",
            f"Contact: <sip:{self.user}@{self.host}:5060>",
            "Expires: 3600",
            "User-Agent: bench",
            "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS",
            *self._credentials(),
            "Content-Length: 0",
        ]
        self.sock.sendto("\r\n".join([*lines, "", ""]).encode(), (HOST, SYSTEM_PORT))

    def _credentials(self) -> list[str]:
        if not self.nonce:
            return []
        self.uses += 1
        uri, count = f"sip:{DOMAIN}", f"{self.uses:08x}"
        ha1 = _md5(f"{self.user}:{self.realm}:{PASSWORD}")
        use = f"{self.nonce}:{count}:c0ffee:auth"
        response = _md5(f"{ha1}:{use}:{_md5(f'REGISTER:{uri}')}")
        value = (
            f'Digest username="{self.user}", realm="{self.realm}", nonce="{self.nonce}", '
            f'uri="{uri}", response="{response}", algorithm=MD5, cnonce="c0ffee", qop=auth, '
            f"nc={count}"
        )
        return [f"Authorization: {value}"]

    def challenged(self, data: bytes) -> None:
        """Take the nonce of a challenge."""
        found = next(
            (one for one in _CHALLENGE.finditer(data) if b"SHA" not in _line_of(data, one.start())),
            None,
        )
        if found is None:
            raise RuntimeError(f"no challenge that can be met: {data!r}")
        self.realm, self.nonce, self.uses = found[1].decode(), found[2].decode(), 0


def _line_of(data: bytes, at: int) -> bytes:
    return data[data.rfind(b"\n", 0, at) + 1 : data.find(b"\r", at)]


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class Phones:
    """All phones of a run, in one loop."""

    def __init__(self, count: int) -> None:
        """Bind a socket for each."""
        self._phones: dict[int, Phone] = {}
        self._epoll = select.epoll()
        for number in range(count):
            host = f"127.1.{number // 250}.{number % 250 + 1}"
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.setblocking(False)
            sock.bind((host, 5060))
            self._phones[sock.fileno()] = Phone(f"u{number}", sock, host)
            self._epoll.register(sock.fileno(), select.EPOLLIN)
        self.pings = 0
        """Keep-alives answered."""
        self.latencies: list[float] = []
        """From a REGISTER to its 200, challenges included."""

    def close(self) -> None:
        """Close every socket."""
        for phone in self._phones.values():
            phone.sock.close()
        self._epoll.close()

    def register_all(self, rounds: int = 1) -> float:
        """Let every phone register so often, `WINDOW` at a time; the seconds it took.

        Raises:
            RuntimeError: one was refused, or got no answer.
        """
        began = time.monotonic()
        waiting = [phone for _ in range(rounds) for phone in self._phones.values()]
        waiting.reverse()
        under_way = 0
        left = len(waiting)
        while left:
            while waiting and under_way < WINDOW:
                phone = waiting.pop()
                phone.began = time.monotonic()
                phone.register()
                under_way += 1
            done = self._turn(_PATIENCE_S)
            if done < 0:
                raise RuntimeError(f"no answer for {_PATIENCE_S:g} s, {left} still to come")
            under_way -= done
            left -= done
        return time.monotonic() - began

    def keep_alive(self, seconds: float) -> None:
        """Answer keep-alives for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._turn(left)

    def _turn(self, within_s: float) -> int:
        """Take what has arrived; how many registrations succeeded, -1 when nothing came."""
        events = self._epoll.poll(within_s)
        if not events:
            return -1
        return sum(self._take(self._phones[number]) for number, _ in events)

    def _take(self, phone: Phone) -> int:
        try:
            data, source = phone.sock.recvfrom(_READ_BYTES)
        except BlockingIOError:
            return 0
        if data.startswith(b"SIP/2.0 200"):
            self.latencies.append(time.monotonic() - phone.began)
            return 1
        if data.startswith(b"SIP/2.0 401"):
            phone.challenged(data)
            phone.register()
        elif data.startswith(b"OPTIONS"):
            self.pings += 1
            phone.sock.sendto(_answer(data, "200 OK"), source)
        elif not data.startswith(b"SIP/2.0 1"):
            raise RuntimeError(f"{phone.user} got {data[:200]!r}")
        return 0


class Pbx:
    """A registrar that challenges every new Call-ID once and believes what it is told."""

    def __init__(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((HOST, PBX_PORT))
        self.taken = 0

    def serve(self, until: Callable[[], bool]) -> None:
        """Answer until told otherwise; looked at four times a second."""
        self.sock.settimeout(0.25)
        while not until():
            try:
                data, source = self.sock.recvfrom(_READ_BYTES)
            except TimeoutError:
                continue
            if data.startswith(b"REGISTER"):
                self.sock.sendto(self._decide(data), source)

    def _decide(self, data: bytes) -> bytes:
        if b"\r\nAuthorization:" not in data:
            ask = f'Digest realm="{DOMAIN}", nonce="{time.monotonic_ns():x}", qop="auth"'
            return _answer(data, "401 Unauthorized", f"WWW-Authenticate: {ask}")
        self.taken += 1
        contacts = [value.strip().decode() for value in _CONTACT.findall(data)]
        listed = [f"Contact: {one.partition(';')[0]};expires=3600" for one in contacts]
        return _answer(data, "200 OK", *listed)


def _answer(data: bytes, status: str, *more: str) -> bytes:
    """A response with what it copies of its request."""
    to = _TO.search(data)
    lines = [f"SIP/2.0 {status}\r\n".encode(), *_COPIED.findall(data)]
    lines.append(b"To:" + (to[1] if to else b"") + b";tag=far\r\n")
    lines += [f"{line}\r\n".encode() for line in more]
    return b"".join([*lines, b"Content-Length: 0\r\n\r\n"])


def quantile(values: Iterable[float], share: float) -> float:
    """The value that a share of them does not exceed, in milliseconds."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000, 2)
