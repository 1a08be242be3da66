"""A user of a crowd whose phone speaks TLS, and connects again when it is refused or hung up on."""

import errno
import selectors
import socket
import ssl
from contextlib import suppress

from sbc.sip.flow import Address
from sbc.sip.framing import StreamFramer
from tests.kit.crowd import Crowd
from tests.kit.crowd_user import User
from tests.kit.hosts import Host

AGAIN_S = 1.0
"""How long a phone waits before it connects again."""
PATIENCE_S = 10.0
"""How long it waits on a connection until it is registered."""


class TlsLine:
    """A user, and the connection of its phone; a new connection begins with a registration."""

    def __init__(
        self,
        crowd: Crowd,
        host: Host,
        border: Address,
        account: tuple[str, str],
        context: ssl.SSLContext,
    ) -> None:
        """Nothing is connected yet.

        Args:
            account: user and password.
        """
        self._crowd, self._host, self._border = crowd, host, border
        self._account, self._context = account, context
        self.user = User(*account, ("0.0.0.0", 0), border, transport="tls")
        self.attempts = 0
        """How often it connected."""
        self.lost = 0
        """Connections that ended though it was registered on them."""
        self.waited_s: float | None = None
        """From its first attempt until it was registered."""
        self._began_at: float | None = None
        self._socket: socket.socket | None = None

    def connect(self, now: float) -> None:
        """Begin a connection."""
        if self._began_at is None:
            self._began_at = now
        self.attempts += 1
        self._tried_at = now
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = self._context.wrap_bio(self._in, self._out)
        self._framer = StreamFramer()
        self._shaken = False
        with self._host.entered():
            self._socket = socket.socket()
        self._socket.setblocking(False)
        error = self._socket.connect_ex(self._border)
        assert error in {0, errno.EINPROGRESS}, error
        here = self._host.ip, self._socket.getsockname()[1]
        self.user = User(*self._account, here, self._border, transport="tls")
        self._crowd.watch(self._socket, self, selectors.EVENT_WRITE)

    def call(self, now: float) -> None:
        """Call the office."""
        self.send(self.user.call(now))

    def register(self, now: float) -> None:
        """Refresh the registration."""
        self.send(self.user.register(now))

    def send(self, messages: list[bytes]) -> None:
        """Send what the user wants sent."""
        for data in messages:
            if self._socket is not None:
                self._tls.write(data)
        self._flush()

    def tick(self, now: float) -> None:
        """Let timers happen."""
        if self._socket is None:
            return
        self.send(self.user.handle_timeout(now))
        if not self.user.registered and now - self._tried_at > PATIENCE_S:
            self._ended(now)

    def ready(self, now: float) -> None:
        """Go on with what came, or with the connection that is there now."""
        assert self._socket is not None
        try:
            data = self._socket.recv(65_536)
        except BlockingIOError:
            self._crowd.watch(self._socket, self, selectors.EVENT_READ)
            self._go_on(now)
            return
        except OSError:
            data = b""
        if not data:
            self._ended(now)
            return
        self._in.write(data)
        self._go_on(now)

    def _go_on(self, now: float) -> None:
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
                self.send(self.user.register(now))
            self._read(now)
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError:
            self._ended(now)

    def _read(self, now: float) -> None:
        while True:
            for item in self._framer.feed(self._tls.read(65_536)):
                if isinstance(item, bytes):
                    self.send(self.user.receive(item, now))
                    if self.waited_s is None and self.user.registered:
                        assert self._began_at is not None
                        self.waited_s = now - self._began_at

    def _flush(self) -> None:
        if self._socket is not None and self._out.pending:
            with suppress(OSError):
                self._socket.sendall(self._out.read())

    def _ended(self, now: float) -> None:
        assert self._socket is not None
        self._crowd.forget(self._socket)
        self._socket.close()
        self._socket = None
        self.lost += bool(self.user.registered)
        self._crowd.at(now + AGAIN_S, self.connect)
