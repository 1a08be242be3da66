"""One name server, as dnspython asks it; but an answer too long to be of use is not read.

What is truncated over UDP is asked for over TCP, where a message may have 65535 bytes and thousands
of records. To parse those takes a third of a second, in which no call goes on. Over UDP nothing
keeps anybody from sending as much, as often as he likes: there only what is short and has the
question's id is parsed, and only once.
"""

import socket
from collections.abc import Awaitable
from typing import Any, Final

import dns.asyncquery
import dns.exception
import dns.inet
import dns.message
import dns.nameserver
import trio
from dns._asyncbackend import Backend, DatagramSocket

MOST_BYTES: Final = 8192
"""Of an answer: hundreds of records."""
_ID_BYTES: Final = 2
_LENGTH_BYTES: Final = 2


class Server(dns.nameserver.Do53Nameserver):
    """A name server at a numeric address and a port."""

    async def async_query(
        self,
        request: dns.message.QueryMessage,
        timeout: float,  # noqa: ASYNC109 - dnspython's signature, as all of these
        source: str | None,
        source_port: int,
        max_size: bool,
        backend: Backend,
        one_rr_per_rrset: bool = False,
        ignore_trailing: bool = False,
    ) -> dns.message.Message:
        """Ask once, over UDP or (with `max_size`) over TCP.

        Raises:
            dns.exception.DNSException, OSError, EOFError: there was no usable answer.
            trio.TooSlowError: there was none in time.
        """
        # Which none of our resolvers sets.
        del source, source_port, one_rr_per_rrset, ignore_trailing
        with trio.fail_after(timeout):
            if max_size:
                return await self._asked_over_tcp(request)
            return await self._asked_over_udp(request, backend)

    async def _asked_over_udp(
        self, request: dns.message.QueryMessage, backend: Backend
    ) -> dns.message.Message:
        family = dns.inet.af_for_address(self.address)
        made: Awaitable[DatagramSocket] = backend.make_socket(family, socket.SOCK_DGRAM)  # type: ignore[no-untyped-call] # dnspython's own lack
        async with await made as udp:
            return await dns.asyncquery.udp(
                request,
                self.address,
                port=self.port,
                sock=_Sieve(udp, request.id),
                ignore_unexpected=True,
                raise_on_truncation=True,
            )

    async def _asked_over_tcp(self, request: dns.message.QueryMessage) -> dns.message.Message:
        wire = request.to_wire()
        async with await trio.open_tcp_stream(self.address, self.port) as stream:
            await stream.send_all(len(wire).to_bytes(_LENGTH_BYTES) + wire)
            length = int.from_bytes(await _read(stream, _LENGTH_BYTES))
            if length > MOST_BYTES:
                raise _unusable(f"an answer of {length} bytes, more than {MOST_BYTES},")
            response = dns.message.from_wire(await _read(stream, length))
        if not request.is_response(response):
            raise _unusable("an answer to something else")
        return response


class _Sieve(DatagramSocket):
    """A socket from which only what may be the answer to one question is heard."""

    def __init__(self, udp: DatagramSocket, number: int) -> None:
        super().__init__(udp.family, udp.type)
        self._udp = udp
        self._id = number.to_bytes(_ID_BYTES)

    async def sendto(self, what: bytes, destination: Any, timeout: float | None) -> int:  # noqa: ASYNC109 - dnspython's signature
        """As the socket."""
        sent: Awaitable[int] = self._udp.sendto(what, destination, timeout)  # type: ignore[no-untyped-call] # dnspython's own lack
        return await sent

    async def recvfrom(self, size: int, timeout: float | None) -> tuple[bytes, Any]:  # noqa: ASYNC109 - dnspython's signature
        """As the socket, but what is too long or has another id is left out."""
        while True:
            came: Awaitable[tuple[bytes, Any]] = self._udp.recvfrom(size, timeout)  # type: ignore[no-untyped-call] # dnspython's own lack
            data, source = await came
            if len(data) <= MOST_BYTES and data[:_ID_BYTES] == self._id:
                return data, source


def _unusable(why: str) -> dns.exception.FormError:
    """What makes dnspython ask this server no more."""
    return dns.exception.FormError(why)  # type: ignore[no-untyped-call] # dnspython's own lack


async def _read(stream: trio.SocketStream, count: int) -> bytes:
    data = b""
    while len(data) < count:
        try:
            part = await stream.receive_some(count - len(data))
        except trio.BrokenResourceError as error:
            raise EOFError("the connection was lost") from error
        if not part:
            raise EOFError("the connection was closed early")
        data += part
    return data
