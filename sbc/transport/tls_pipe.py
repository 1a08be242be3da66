"""One TLS connection between bytes of the wire and bytes of SIP.

Sans-IO: an `ssl.SSLObject` over memory. `step` is the only part that is dear, and may run in
another thread as long as nothing else touches the pipe meanwhile.

Spec: RFC 8446 §5.1 (records), RFC 5246; RFC 3261 §26.3.1.
"""

import ssl
from collections.abc import Callable

from sbc.transport.endings import End, StreamFault
from sbc.transport.framing import strange_beginning
from sbc.transport.tls_words import failure_in_words

Make = Callable[[ssl.MemoryBIO, ssl.MemoryBIO], ssl.SSLObject]

HANDSHAKE_BYTES = 65_536
"""Most that a peer may send before its handshake is done: a long chain of large certificates."""

_RECORD_HEADER = 5
_HANDSHAKE = 22
_ALERT = 21
_CHANGE_CIPHER_SPEC = 20
_APPLICATION = 23
_CONTENT_TYPES = frozenset({_HANDSHAKE, _ALERT, _CHANGE_CIPHER_SPEC, _APPLICATION})
_LONGEST_RECORD = 16_384 + 2048
_READ_BYTES = 65_536


class TlsPipe:
    """One connection's TLS.

    What is dear is made as late as can be: before a whole record has come there is no state of
    OpenSSL, so that whoever connects and says nothing costs nothing.
    """

    __slots__ = ("_incoming", "_make", "_outgoing", "_raw", "_server", "_taken", "_tls", "ended")

    def __init__(self, make: Make, *, server: bool) -> None:
        """Nothing is made yet.

        Args:
            make: Makes the object for two buffers, incoming and outgoing; a KeyError of it says
                that there are no rules for that.
            server: Whether the peer speaks first.
        """
        self._make = make
        self._server = server
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._raw = bytearray()
        self._taken = 0
        self._tls: ssl.SSLObject | None = None
        self.ended = False
        """Whether the peer said that nothing more comes."""

    @property
    def tls(self) -> ssl.SSLObject:
        """OpenSSL's side of it, once a handshake has begun."""
        assert self._tls is not None, "no handshake has begun"
        return self._tls

    def begin(self, data: bytes) -> bool:
        """Take bytes of a handshake; whether a `step` would bring it on.

        Only whole records are worth one: who sends byte by byte costs no more than who does not.

        Raises:
            StreamFault: it is no TLS, or too much of it.
        """
        raw = self._raw
        raw += data
        self._taken += len(data)
        if self._server and self._tls is None and raw and raw[0] != _HANDSHAKE:
            raise StreamFault(End.HANDSHAKE, strange_beginning(bytes(raw)))
        if self._taken > HANDSHAKE_BYTES:
            raise StreamFault(End.HANDSHAKE, "the peer's handshake is too long")
        whole = _whole_records(raw)
        if not whole and (self._server or self._tls is not None):
            return False
        if self._tls is None:
            try:
                self._tls = self._make(self._incoming, self._outgoing)
            except KeyError:
                text = "the configuration in force has no TLS for it any more"
                raise StreamFault(End.HANDSHAKE, text) from None
        self._incoming.write(bytes(raw[:whole]))
        del raw[:whole]
        return True

    def step(self) -> bool:
        """Go on with the handshake as far as it goes; whether it is done. This takes a while.

        Raises:
            StreamFault: it failed; `outgoing` may hold the alert that tells the peer.
        """
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise StreamFault(End.HANDSHAKE, failure_in_words(error, server=self._server)) from None
        if self._raw:
            self._incoming.write(bytes(self._raw))
            self._raw.clear()
        return True

    @property
    def version(self) -> float:
        """The version of TLS that the handshake agreed on, as 1.3; 0 before."""
        return float((self.tls.version() or "0").removeprefix("TLSv"))

    def outgoing(self) -> bytes:
        """What waits for the wire."""
        return self._outgoing.read()

    def receive(self, data: bytes) -> bytes:
        """The plain bytes of what came, after the handshake.

        Raises:
            StreamFault: it cannot be deciphered.
        """
        incoming = self._incoming
        incoming.write(data)
        plain = bytearray()
        try:
            while True:
                read = self.tls.read(_READ_BYTES)
                if not read:
                    self.ended = True
                    break
                plain += read
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        except ssl.SSLError as error:
            raise StreamFault(End.RESET, failure_in_words(error, server=self._server)) from None
        return bytes(plain)

    def send(self, data: bytes) -> bytes:
        """What the wire carries for plain bytes, after the handshake.

        Raises:
            StreamFault: nothing can be sent any more.
        """
        try:
            self.tls.write(data)
        except ssl.SSLError as error:
            raise StreamFault(End.RESET, failure_in_words(error, server=self._server)) from None
        return self._outgoing.read()

    def close(self) -> bytes:
        """What tells the peer that nothing more comes (close_notify, RFC 8446 §6.1)."""
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass  # it waits for the peer's, which we do not
        return self._outgoing.read()


def _whole_records(data: bytearray) -> int:
    """How many bytes at the front are whole records.

    Raises:
        StreamFault: what stands there is no record.
    """
    at = 0
    while len(data) - at >= _RECORD_HEADER:
        length = int.from_bytes(data[at + 3 : at + 5], "big")
        if data[at] not in _CONTENT_TYPES or data[at + 1] != 3 or length > _LONGEST_RECORD:
            raise StreamFault(End.HANDSHAKE, "what came is no TLS record")
        if at + _RECORD_HEADER + length > len(data):
            break
        at += _RECORD_HEADER + length
    return at
