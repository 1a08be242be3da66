"""A name server on loopback for tests: a zone as text, or whatever a test wants it to say."""

import struct
from collections.abc import Callable
from contextlib import suppress

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import trio

Say = Callable[[dns.message.Message, bool], bytes | None]
"""What is said to a query, asked over TCP or not; None for nothing."""

_UDP_BYTES = 512


class NameServer:
    """Answers over UDP and TCP on one port of 127.0.0.1; counts what it is asked."""

    def __init__(self, zone: str = "", say: Say | None = None) -> None:
        """Lay out a zone: lines as in a zone file, with whole names and a TTL.

        Args:
            zone: for example ``pbx.example. 60 IN A 192.0.2.1``.
            say: what to answer instead of the zone.
        """
        self._say = say or self._from_zone
        self._sets: dict[tuple[str, str], dns.rrset.RRset] = {}
        self.asked: list[str] = []
        self.asked_over_tcp: list[str] = []
        self.load(zone)

    def load(self, zone: str) -> None:
        """Answer from another zone."""
        records: dict[tuple[str, str], list[str]] = {}
        for line in filter(None, map(str.strip, zone.splitlines())):
            name, ttl, _, kind, data = line.split(None, 4)
            records.setdefault((name, kind), []).append(f"{ttl} {data}")
        self._sets = {}
        for (name, kind), lines in records.items():
            ttl = int(lines[0].split()[0])
            texts = [line.split(None, 1)[1] for line in lines]
            self._sets[name, kind] = dns.rrset.from_text_list(name, ttl, "IN", kind, texts)

    async def run(self, *, task_status: trio.TaskStatus[tuple[str, int]]) -> None:
        """Serve; tells where."""
        udp, listener = await _both_on_one_port()
        with udp, listener:
            host, port = udp.getsockname()
            listener.listen(5)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._serve_udp, udp)
                accepting = trio.SocketListener(listener)
                nursery.start_soon(trio.serve_listeners, self._serve_tcp, [accepting])
                task_status.started((host, port))

    async def _serve_udp(self, udp: trio.socket.SocketType) -> None:
        while True:
            data, source = await udp.recvfrom(65535)
            said = self._heard(data, over_tcp=False)
            if said is not None:
                await udp.sendto(said, source)

    async def _serve_tcp(self, stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            data = await stream.receive_some(65535)
            said = self._heard(bytes(data)[2:], over_tcp=True)
            if said is not None:
                await stream.send_all(struct.pack("!H", len(said)) + said)

    def _heard(self, data: bytes, *, over_tcp: bool) -> bytes | None:
        query = dns.message.from_wire(data)
        asked = query.question[0]
        text = f"{dns.rdatatype.to_text(asked.rdtype)} of {asked.name}"
        (self.asked_over_tcp if over_tcp else self.asked).append(text)
        return self._say(query, over_tcp)

    def _from_zone(self, query: dns.message.Message, over_tcp: bool) -> bytes:
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        name, kind = str(query.question[0].name), dns.rdatatype.to_text(query.question[0].rdtype)
        found = False
        for _ in range(9):
            alias = self._sets.get((name, "CNAME"))
            if alias is None or kind == "CNAME":
                break
            found = True
            response.answer.append(alias)
            name = str(alias[0].target)
        if (name, kind) in self._sets:
            response.answer.append(self._sets[name, kind])
        elif not found and not any(known == name for known, _ in self._sets):
            response.set_rcode(dns.rcode.NXDOMAIN)
        wire = response.to_wire()
        if over_tcp or len(wire) <= _UDP_BYTES:
            return wire
        short = dns.message.make_response(query)
        short.flags |= dns.flags.TC
        return short.to_wire()


async def _both_on_one_port() -> tuple[trio.socket.SocketType, trio.socket.SocketType]:
    """A datagram and a stream socket on one port, which somebody else may have half of."""
    for _ in range(100):
        udp, listener = trio.socket.socket(type=trio.socket.SOCK_DGRAM), trio.socket.socket()
        listener.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEADDR, 1)
        await udp.bind(("127.0.0.1", 0))
        try:
            await listener.bind(udp.getsockname())
        except OSError:
            udp.close()
            listener.close()
        else:
            return udp, listener
    raise OSError("no port of loopback is free for both UDP and TCP")
