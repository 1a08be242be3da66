"""Hundreds of phones in one process, each with a socket of its own, and the office they call."""

import heapq
import selectors
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from itertools import count
from types import TracebackType
from typing import Protocol

from sbc.sip.flow import Address
from sbc.sip.message import Request, make_response, serialize
from sbc.sip.parser import parse_message_untrusted
from tests.kit.crowd_user import User
from tests.kit.hosts import Host, NeverHappened

_TICK_S = 0.05
Deed = Callable[[float], None]


class Line(Protocol):
    """A user and what connects its phone."""

    attempts: int
    """How often it connected."""
    lost: int
    """Connections that ended though it was registered on them."""

    @property
    def user(self) -> User:
        """Whose it is."""

    def ready(self, now: float) -> None:
        """Go on with what came."""

    def tick(self, now: float) -> None:
        """Let timers happen."""


class UdpLine:
    """A user and the socket of its phone."""

    attempts, lost = 1, 0

    def __init__(self, host: Host, address: str, border: Address, name: str, password: str) -> None:
        self.socket = host.udp_socket(address)
        self.user = User(name, password, self.socket.getsockname()[:2], border)
        self.socket.connect(border)

    def send(self, messages: list[bytes]) -> None:
        """Send what the user wants sent."""
        for data in messages:
            with suppress(BlockingIOError, ConnectionRefusedError):
                self.socket.send(data)

    def register(self, now: float) -> None:
        """Register, or refresh that."""
        self.send(self.user.register(now))

    def call(self, now: float) -> None:
        """Call the office."""
        self.send(self.user.call(now))

    def tick(self, now: float) -> None:
        """Let timers happen."""
        due = self.user.next_timeout()
        if due is not None and due <= now:
            self.send(self.user.handle_timeout(now))

    def ready(self, now: float) -> None:
        """Give the user what came."""
        with suppress(BlockingIOError, ConnectionRefusedError):
            while True:
                self.send(self.user.receive(self.socket.recv(65_536), now))


class Office:
    """What answers the calls of all of them: a PBX that takes whatever it is asked."""

    def __init__(self, host: Host, address: str) -> None:
        self.socket = host.udp_socket(address, 5060)
        self.answered = 0

    def ready(self, _now: float) -> None:
        """Answer what came."""
        with suppress(BlockingIOError):
            while True:
                data, source = self.socket.recvfrom(65_536)
                self._asked(data, source)

    def _asked(self, data: bytes, source: Address) -> None:
        request = parse_message_untrusted(data)
        if not isinstance(request, Request) or request.method == "ACK":
            return
        answer = make_response(request, 200, to_tag="office")
        if request.method == "INVITE":
            host, port = self.socket.getsockname()
            self.answered += 1
            answer.headers.append("Contact", f"<sip:600@{host}:{port}>")
            answer.headers.append("Content-Type", "application/sdp")
            answer.body = (
                f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
                "m=audio 40000 RTP/AVP 0\r\n"
            ).encode()
        self.socket.sendto(serialize(answer), source)


class Crowd(AbstractContextManager["Crowd"]):
    """Everybody's sockets, and what is still to be done when."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._selector = selectors.DefaultSelector()
        self._plan: list[tuple[float, int, Deed]] = []
        self._numbers = count()
        self._ticked = 0.0

    @property
    def users(self) -> list[User]:
        """Everybody."""
        return [line.user for line in self.lines]

    def join(self, line: Line) -> None:
        """Let a user take part."""
        self.lines.append(line)

    def watch(self, sock: socket.socket, line: Line | Office, events: int) -> None:
        """Wait for something on a socket from now on, and for nothing else."""
        self.forget(sock)
        self._selector.register(sock, events, line)

    def forget(self, sock: socket.socket) -> None:
        """Wait for nothing on a socket."""
        with suppress(KeyError):
            self._selector.unregister(sock)

    def will(
        self,
        *deeds: str,
        per_s: float,
        then_after_s: float = 5.0,
        first: int = 0,
        last: int | None = None,
    ) -> None:
        """Plan that each user does something (``"register"``, ``"call"``), one after the other.

        Args:
            per_s: how many users begin in a second.
            then_after_s: after how long a user does the next thing.
            first: the users before this one do nothing.
            last: nor do this one and those after it.
        """
        began = time.monotonic()
        for number, line in enumerate(self.lines[first:last]):
            for step, deed in enumerate(deeds):
                self.at(began + number / per_s + step * then_after_s, getattr(line, deed))

    def at(self, when: float, deed: Deed) -> None:
        """Plan something, by the monotonic clock."""
        heapq.heappush(self._plan, (when, next(self._numbers), deed))

    def goes_on(self, until: Callable[[], bool], *, within_s: float, what: str) -> float:
        """Let everybody act until something holds; how many seconds that took.

        Raises:
            NeverHappened: it did not.
        """
        began = time.monotonic()
        while not until():
            if time.monotonic() - began > within_s:
                raise NeverHappened(f"not within {within_s:g} s: {what}: {self.failures()[:5]}")
            self._turn()
        return time.monotonic() - began

    @property
    def at_rest(self) -> bool:
        """Whether all that was planned is done, and nobody waits for anything."""
        return not self._plan and not any(user.busy for user in self.users)

    def failures(self) -> list[str]:
        """What any user complains about."""
        return [why for user in self.users for why in user.failures]

    def _turn(self) -> None:
        for key, _ in self._selector.select(_TICK_S):
            key.data.ready(time.monotonic())
        now = time.monotonic()
        while self._plan and self._plan[0][0] <= now:
            heapq.heappop(self._plan)[2](now)
        if now - self._ticked < _TICK_S:
            return
        self._ticked = now
        for line in self.lines:
            line.tick(now)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()
