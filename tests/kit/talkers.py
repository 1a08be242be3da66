"""Scripted phones on hosts that also talk: every packet is numbered, and none is heard by chance.

Signalling is a `Phone` of `phones.py`, with a socket; media is lock-step: one says, the other
hears exactly that or the test fails.
"""

import re
import select
import socket
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType

from pylibsrtp import Session

from media.types import Endpoint, SrtpKeys, SrtpSuite
from sbc.sdp.parser import parse_sdp_untrusted
from tests.engine.kit import keys, opening, protecting, rtcp, rtp
from tests.kit.hosts import Host, NeverHappened, wait_until
from tests.kit.patience import PATIENCE_S
from tests.kit.phone_writing import Habits
from tests.kit.phones import Phase, Phone, Posts

SIP_PORT = 5060
SUITE = SrtpSuite.AES_CM_128_HMAC_SHA1_80
_CRYPTO = re.compile(rf"\d+ {SUITE.value} inline:([A-Za-z0-9+/=]+)")


class Talker(AbstractContextManager["Talker"]):
    """One phone for one call: its signalling, its two media sockets, its keys."""

    def __init__(
        self,
        name: str,
        host: Host,
        border: str,
        *,
        ssrc: int,
        secure: bool = False,
        media_port: int = 40000,
        answers_after_s: float | None = 0.0,
    ) -> None:
        """Binds its sockets; nothing is sent yet.

        Args:
            name: Its user name; the Call-ID is made of it, so no other call may have it.
            host: Where it is.
            border: The host of the SBC that it speaks to.
            ssrc: Of its RTP.
            secure: Whether its media is SRTP.
            media_port: Where it receives RTP; RTCP is one above.
            answers_after_s: How long it rings; None for ever.
        """
        self.host = host
        self.ssrc = ssrc
        self.said = 0
        """Sequence number of the last RTP packet."""
        self.heard = 0
        """How many RTP and RTCP packets it has heard."""
        self.on_the_wire: list[bytes] = []
        """Every RTP packet that it has sent, as others may have recorded it."""
        self.reports_on_the_wire: list[bytes] = []
        """The same for RTCP."""
        self._border = (border, SIP_PORT)
        self._keys = keys(SUITE, seed=ssrc) if secure else None
        self.seal: Session | None = protecting(self._keys) if self._keys else None
        """Its own libsrtp session; None for plain RTP."""
        self._unseal: Session | None = None
        self._inline = ""
        self._sip = host.udp_socket(host.ip, SIP_PORT)
        self._open_media(media_port)
        habits = Habits(answers_after_s=answers_after_s, sdp=self._description())
        self.phone = Phone(name, (host.ip, SIP_PORT), self._border, habits=habits)

    # -- signalling --------------------------------------------------------------------------

    def pump(self) -> None:
        """Take what has arrived for its signalling, and do what is due."""
        now = time.monotonic()
        while (message := _received(self._sip)) is not None:
            self._post(self.phone.receive("border", message, now))
        due = self.phone.next_timeout()
        if due is not None and due <= now:
            self._post(self.phone.handle_timeout(now))

    def does(self, deed: str) -> None:
        """Do one of the deeds that `Phone` knows, now."""
        self.phone.at(time.monotonic(), deed)
        self.pump()

    def moves_media(self, port: int) -> None:
        """Receive and send at another port from now on; the next INVITE says so."""
        self.rtp.close()
        self.rtcp.close()
        self._open_media(port)
        self.phone.habits.sdp = self._description()

    def learns_the_border(self) -> None:
        """Take from the border's latest description where to send, and its key."""
        bodies = [message.body for message in self.phone.received if message.body]
        description = parse_sdp_untrusted(bodies[-1])
        media = description.media[0]
        rtp_at, rtcp_at = description.rtp_endpoint(media), description.rtcp_endpoint(media)
        assert rtp_at is not None
        assert rtcp_at is not None
        self.border_rtp, self.border_rtcp = Endpoint(*rtp_at), Endpoint(*rtcp_at)
        crypto = [_CRYPTO.match(value or "") for key, value in media.attributes if key == "crypto"]
        assert bool(crypto) == (self._keys is not None), bodies[-1]
        if crypto and crypto[0] is not None and crypto[0][1] != self._inline:
            self._inline = crypto[0][1]
            self._unseal = opening(SrtpKeys(SUITE, b64decode(self._inline)))

    # -- media -------------------------------------------------------------------------------

    def next_packet(self) -> tuple[bytes, bytes]:
        """Its next RTP packet, in clear and as it goes over the wire; not sent."""
        self.said += 1
        clear = rtp(self.said, f"{self.phone.name} {self.said}".encode().ljust(160), ssrc=self.ssrc)
        return clear, self.seal.protect(clear) if self.seal else clear

    def says(self) -> bytes:
        """Send its next RTP packet and return it in clear."""
        clear, sealed = self.next_packet()
        self.sends(sealed)
        return clear

    def sends(self, sealed: bytes) -> None:
        """Send what `next_packet` made."""
        self.rtp.sendto(sealed, self.border_rtp)
        self.on_the_wire.append(sealed)

    def reports(self, note: int) -> bytes:
        """Send RTCP and return it in clear."""
        clear = rtcp(self.ssrc, note)
        sealed = self.seal.protect_rtcp(clear) if self.seal else clear
        self.rtcp.sendto(sealed, self.border_rtcp)
        self.reports_on_the_wire.append(sealed)
        return clear

    def hears(self) -> bytes:
        """The next RTP packet that arrives, in clear.

        Raises:
            NeverHappened: none came.
        """
        data = _waited_for(self.rtp, f"RTP at {self.phone.name}")
        self.heard += 1
        return self._unseal.unprotect(data) if self._unseal else data

    def hears_report(self) -> bytes:
        """The next RTCP packet that arrives, in clear.

        Raises:
            NeverHappened: none came.
        """
        data = _waited_for(self.rtcp, f"RTCP at {self.phone.name}")
        self.heard += 1
        return self._unseal.unprotect_rtcp(data) if self._unseal else data

    def unheard(self) -> list[bytes]:
        """Everything that has arrived at its media ports and that nobody waited for."""
        return [*_all_received(self.rtp), *_all_received(self.rtcp)]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for one in (self._sip, self.rtp, self.rtcp):
            one.close()

    def _open_media(self, port: int) -> None:
        self.media_port = port
        self.rtp = self.host.udp_socket(self.host.ip, port)
        self.rtcp = self.host.udp_socket(self.host.ip, port + 1)

    def _description(self) -> str:
        if self._keys is None:
            return f"m=audio {self.media_port} RTP/AVP 0\r\n"
        crypto = f"{SUITE.value} inline:{b64encode(self._keys.key_and_salt).decode()}"
        return f"m=audio {self.media_port} RTP/SAVP 0\r\na=crypto:1 {crypto}\r\n"

    def _post(self, posts: Posts) -> None:
        for _, data in posts:
            self._sip.sendto(data, self._border)


class Talk:
    """A call of two talkers through the border."""

    def __init__(self, a: Talker, b: Talker) -> None:
        self.a = a
        self.b = b
        self._reports = 0

    def until(self, holds: Callable[[], object], what: str) -> None:
        """Let both phones signal until something holds.

        Raises:
            NeverHappened: it did not.
        """

        def pumped() -> object:
            self.a.pump()
            self.b.pump()
            return holds()

        wait_until(pumped, within_s=PATIENCE_S, what=what)

    def rings(self) -> None:
        """A calls, B rings."""
        self.a.does("invite")
        self.until(lambda: self.b.phone.phase is Phase.RINGING, "the callee rings")

    def is_answered(self) -> None:
        """B answers; then both know where to send."""
        self.b.does("answer")
        self.settles("the call is answered")

    def settles(self, what: str) -> None:
        """Wait until the call is up and no request is open, and learn what was described."""
        self.until(lambda: self.a.phone.settled and self.b.phone.settled, what)
        self.a.learns_the_border()
        self.b.learns_the_border()

    def changes(self, deed: str) -> None:
        """A sends a re-INVITE, and it is answered."""
        asked = len(self.b.phone.received)
        self.a.does(deed)
        self.until(lambda: len(self.b.phone.received) >= asked + 2, f"{deed} arrives")
        self.settles(f"{deed} is answered")

    def ends(self) -> None:
        """A hangs up, if the call is up."""
        if self.a.phone.phase is Phase.UP:
            self.a.does("bye")
        over = (Phase.IDLE, Phase.DONE)
        self.until(
            lambda: self.a.phone.phase in over and self.b.phone.phase in over, "the call is over"
        )

    def exchanges(self, rounds: int = 1) -> None:
        """Each says so many packets, and the other hears each of them and nothing else."""
        for _ in range(rounds):
            assert self.a.says() == self.b.hears()
            assert self.b.says() == self.a.hears()

    def exchanges_reports(self) -> None:
        """As `exchanges`, with one RTCP packet each."""
        self._reports += 1
        assert self.a.reports(self._reports) == self.b.hears_report()
        assert self.b.reports(self._reports) == self.a.hears_report()


def _received(opened: socket.socket) -> bytes | None:
    try:
        return opened.recv(65535)
    except BlockingIOError:
        return None


def _all_received(opened: socket.socket) -> list[bytes]:
    """What waits, without the empty datagrams that open pinholes."""
    found = []
    while (data := _received(opened)) is not None:
        if data:
            found.append(data)
    return found


def _waited_for(opened: socket.socket, what: str) -> bytes:
    """The next datagram that is no opener."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([opened], [], [], left)[0]:
            raise NeverHappened(f"not within {PATIENCE_S:g} s: {what}")
        data = _received(opened)
        if data:
            return data
