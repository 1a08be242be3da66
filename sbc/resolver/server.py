"""One name server, as dnspython asks it; but an answer too long to be of use is not read.

What is truncated over UDP is asked for over TCP, where a message may have 65535 bytes and thousands
of records. To parse those takes a third of a second, in which no call goes on.
"""

from typing import Final

import dns.exception
import dns.message
import dns.nameserver
import trio
from dns._asyncbackend import Backend

MOST_BYTES: Final = 8192
"""Of an answer over TCP: hundreds of records."""
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
            trio.TooSlowError: none over TCP.
        """
        if not max_size:
            return await super().async_query(
                request,
                timeout,
                source,
                source_port,
                max_size,
                backend,
                one_rr_per_rrset,
                ignore_trailing,
            )
        with trio.fail_after(timeout):
            return await self._asked_over_tcp(request)

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
