"""SIP messages out of packet captures: pcap and pcapng, UDP with fragments, TCP put together.

A capture is a stranger's: whatever is in it gives messages or is counted as skipped, and what waits
for the rest of itself is bounded.
"""

import socket
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import dpkt

from sbc.sip.errors import ParseError
from sbc.sip.flow import Address, Transport
from sbc.sip.framing import Keepalive, StreamFramer
from sbc.sip.parser import DEFAULT, Limits

_MOST_STREAMS: Final = 4096
_MOST_FRAGMENTED: Final = 256
_MOST_EARLY: Final = 64
"""Segments of one stream that came before their turn."""
_LARGEST: Final = 65_535
_ETHERNET, _RAW, _RAW_BSD, _NULL, _SLL, _SLL2 = 1, 101, 12, 0, 113, 276
_FAULTS: Final = (
    dpkt.UnpackError, dpkt.NeedData, ValueError, IndexError, KeyError, TypeError, AttributeError,
    OverflowError, MemoryError,
)  # fmt: skip
"""What the library raises over what is no packet, be it one of gigabytes as it says itself."""


class NoCapture(ValueError):
    """A file that is no capture; the text says why."""


@dataclass(frozen=True, slots=True)
class Captured:
    """One SIP message as it went over the wire."""

    at: float
    """Seconds since 1970."""
    transport: Transport
    source: Address
    to: Address
    data: bytes
    connection: int = 0
    """Of a stream, which it was in the capture; 0 for datagrams."""


class Capture:
    """Reads a capture once, message by message."""

    def __init__(self, file: BinaryIO, limits: Limits = DEFAULT) -> None:
        """Begin to read.

        Raises:
            NoCapture: it is neither pcap nor pcapng.
        """
        try:
            self._reader: Any = dpkt.pcap.UniversalReader(file)
            self._kind = self._reader.datalink()
        except _FAULTS as error:
            raise NoCapture(f"neither pcap nor pcapng: {error}") from None
        self._limits = limits
        self._fragments: OrderedDict[object, _Pieces] = OrderedDict()
        self._streams: OrderedDict[object, _Stream] = OrderedDict()
        self._connections = 0
        self.packets = 0
        self.skipped = 0
        """Packets that are no IP, are cut off, or hold nothing of SIP."""
        self.fault = ""
        """Why the rest of the file could not be read; empty when all was."""

    def __iter__(self) -> Iterator[Captured]:
        packets = iter(self._reader)
        while True:
            try:
                at, frame = next(packets)
            except StopIteration:
                return
            except _FAULTS as error:
                self.fault = f"after packet {self.packets}: {error or type(error).__name__}"
                return
            self.packets += 1
            try:
                found = self._messages(float(at), bytes(frame))
            except _FAULTS:
                found = []
            self.skipped += not found
            yield from found

    def _messages(self, at: float, frame: bytes) -> list[Captured]:
        packet = self._packet(frame)
        if packet is None:
            return []
        source, to, protocol, data = packet
        if protocol == dpkt.ip.IP_PROTO_UDP:
            datagram = dpkt.udp.UDP(data)
            payload = bytes(datagram.data)[: max(0, datagram.ulen - 8)]
            if not is_sip(payload):
                return []
            return [Captured(at, "udp", (source, datagram.sport), (to, datagram.dport), payload)]
        if protocol == dpkt.ip.IP_PROTO_TCP:
            segment = dpkt.tcp.TCP(data)
            return self._of_stream(at, (source, segment.sport), (to, segment.dport), segment)
        return []

    def _packet(self, frame: bytes) -> tuple[str, str, int, bytes] | None:
        """Source, destination, protocol and payload of an IP packet that is whole now."""
        ip = self._ip(frame)
        if isinstance(ip, dpkt.ip.IP):
            hosts = (
                socket.inet_ntop(socket.AF_INET, ip.src),
                socket.inet_ntop(socket.AF_INET, ip.dst),
            )
            begin = ip.hl * 4
            payload = bytes(ip)[begin : ip.len] if not isinstance(ip.data, bytes) else ip.data
            if ip.offset or ip.mf:
                whole = self._whole((ip.src, ip.dst, ip.id, ip.p), ip.offset, bool(ip.mf), payload)
                return None if whole is None else (*hosts, ip.p, whole)
            return (*hosts, ip.p, payload)
        if isinstance(ip, dpkt.ip6.IP6):
            source = socket.inet_ntop(socket.AF_INET6, ip.src)
            to = socket.inet_ntop(socket.AF_INET6, ip.dst)
            return source, to, ip.p, bytes(ip.data)
        return None

    def _ip(self, frame: bytes) -> object:
        """The IP packet in a frame, behind whatever link layer and VLAN tags."""
        kind = self._kind
        if kind == _ETHERNET:
            return dpkt.ethernet.Ethernet(frame).data
        if kind == _SLL:
            return dpkt.sll.SLL(frame).data
        if kind == _SLL2:
            return dpkt.sll2.SLL2(frame).data
        if kind == _NULL:
            frame = frame[4:]
        elif kind not in (_RAW, _RAW_BSD):
            return None
        return dpkt.ip6.IP6(frame) if frame[:1] >= b"\x60" else dpkt.ip.IP(frame)

    def _whole(self, key: object, offset: int, more: bool, payload: bytes) -> bytes | None:
        """All of a fragmented packet once its last piece is there."""
        pieces = self._fragments.setdefault(key, _Pieces())
        whole = pieces.take(offset, more, payload)
        if pieces.done:
            del self._fragments[key]
        elif len(self._fragments) > _MOST_FRAGMENTED:
            self._fragments.popitem(last=False)
        return whole

    def _of_stream(
        self, at: float, source: Address, to: Address, segment: "dpkt.tcp.TCP"
    ) -> list[Captured]:
        key = (source, to)
        data = bytes(segment.data)
        stream = self._streams.get(key)
        if segment.flags & dpkt.tcp.TH_SYN or stream is None:
            if not (segment.flags & dpkt.tcp.TH_SYN or is_sip(data)):
                return []
            stream = self._streams[key] = _Stream(
                segment.seq + bool(segment.flags & dpkt.tcp.TH_SYN), self._number(source, to),
                StreamFramer(self._limits),
            )  # fmt: skip
            if len(self._streams) > _MOST_STREAMS:
                self._streams.popitem(last=False)
        if not data:
            return []
        messages = stream.feed(segment.seq, data)
        if stream.broken:
            del self._streams[key]
        return [Captured(at, "tcp", source, to, one, stream.number) for one in messages]

    def _number(self, source: Address, to: Address) -> int:
        """The number of a connection, the same for both directions."""
        other = self._streams.get((to, source))
        if other is not None:
            return other.number
        self._connections += 1
        return self._connections


class _Pieces:
    """The pieces of one fragmented packet; looked at as a whole once, when all can be there."""

    __slots__ = ("_end", "_pieces", "_size", "done")

    def __init__(self) -> None:
        self._pieces: dict[int, bytes] = {}
        self._size = 0
        self._end = _LARGEST
        self.done = False
        """Whether it is whole, or never will be."""

    def take(self, offset: int, more: bool, payload: bytes) -> bytes | None:
        """All of the packet, if this was what was missing."""
        if not payload:
            return None
        self._size += len(payload) - len(self._pieces.get(offset, b""))
        self._pieces[offset] = payload
        if not more:
            self._end = offset + len(payload)
        self.done = self._size >= self._end
        if not self.done:
            return None
        whole = b""
        for at in sorted(self._pieces):
            if at != len(whole):
                return None
            whole += self._pieces[at]
        return whole[:_LARGEST]


class _Stream:
    """One direction of a TCP connection."""

    __slots__ = ("_early", "_framer", "_next", "broken", "number")

    def __init__(self, first: int, number: int, framer: StreamFramer) -> None:
        self._next = first & 0xFFFFFFFF
        self._early: dict[int, bytes] = {}
        self._framer = framer
        self.number = number
        self.broken = False

    def feed(self, sequence: int, data: bytes) -> list[bytes]:
        """Take a segment, and give the messages that are whole now."""
        behind = (self._next - sequence) & 0xFFFFFFFF
        if behind >= 0x80000000:
            self._early[sequence] = data
            self.broken = len(self._early) > _MOST_EARLY
            return []
        ready = data[behind:]
        found: list[bytes] = []
        while ready:
            self._next = (self._next + len(ready)) & 0xFFFFFFFF
            try:
                items = self._framer.feed(ready)
            except ParseError:
                self.broken = True
                return found
            found += [one for one in items if not isinstance(one, Keepalive)]
            ready = self._early.pop(self._next, b"")
        return found


def is_sip(data: bytes) -> bool:
    """Whether a payload looks like the beginning of a SIP message."""
    line = data.partition(b"\n")[0]
    return data.startswith(b"SIP/2.0 ") or line.rstrip(b"\r").endswith(b" SIP/2.0")


def read_capture(path: Path, limits: Limits = DEFAULT) -> tuple[Capture, BinaryIO]:
    """Open a capture, and the file to close after it was read.

    Raises:
        OSError: it cannot be read.
        NoCapture: it is none.
    """
    file = path.open("rb")
    try:
        return Capture(file, limits), file
    except NoCapture:
        file.close()
        raise
