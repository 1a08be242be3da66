"""What really crossed a host's interfaces: captured, reassembled, written to a file for people.

The reader is one packet socket in the host's namespace with a large buffer, emptied whenever
somebody asks; no process and no thread.
"""

import ctypes
import socket
import struct
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from tests.kit.hosts import Host

_ETH_P_ALL = 3
_SO_ATTACH_FILTER = 26
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
_BUFFER_BYTES = 64 << 20
_OUTGOING = 4
_IPV4, _IPV6 = 0x0800, 0x86DD
_TCP, _UDP, _IPV6_FRAGMENT = 6, 17, 44


class Datagram(NamedTuple):
    """One UDP datagram, reassembled."""

    at: float
    """Seconds since the epoch, by the kernel's clock at capture."""
    sent: bool
    """Whether the captured host sent it (else it received it)."""
    source: str
    source_port: int
    destination: str
    destination_port: int
    payload: bytes


class Segment(NamedTuple):
    """One TCP segment that carries data."""

    at: float
    sent: bool
    source: str
    source_port: int
    destination: str
    destination_port: int
    sequence: int
    payload: bytes


class Stream(NamedTuple):
    """Everything one end of a TCP connection sent, in order and once."""

    sent: bool
    source: str
    source_port: int
    destination: str
    destination_port: int
    payload: bytes


class _Frame(NamedTuple):
    at: float
    sent: bool
    data: bytes


class _Packet(NamedTuple):
    at: float
    sent: bool
    source: str
    destination: str
    protocol: int
    payload: bytes


class Capture(AbstractContextManager["Capture"]):
    """Records all frames on a host's interfaces (not on its loopback) from now on."""

    def __init__(self, host: Host, *, only_sent: bool = False) -> None:
        """Starts recording.

        Args:
            host: Whose interfaces.
            only_sent: Whether to leave out what the host receives: a flood would displace the
                rest from the buffer.
        """
        with host.entered():
            self._socket = socket.socket(
                socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL)
            )
        if only_sent:
            _keep_only_sent(self._socket)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.setblocking(False)
        self._frames: list[_Frame] = []

    def datagrams(self, wanted: Callable[[Datagram], bool] | None = None) -> list[Datagram]:
        """All UDP datagrams so far, those that `wanted` accepts."""
        found = []
        for packet in self._packets():
            if packet.protocol != _UDP or len(packet.payload) < 8:
                continue
            source_port, destination_port, length = struct.unpack_from("!HHH", packet.payload)
            datagram = Datagram(
                packet.at,
                packet.sent,
                packet.source,
                source_port,
                packet.destination,
                destination_port,
                packet.payload[8:length],
            )
            if wanted is None or wanted(datagram):
                found.append(datagram)
        return found

    def streams(self) -> list[Stream]:
        """What each end of each TCP connection has sent so far."""
        by_end: dict[tuple[bool, str, int, str, int], list[Segment]] = {}
        for packet in self._packets():
            segment = _segment(packet)
            if segment is not None:
                by_end.setdefault(segment[1:6], []).append(segment)
        return [Stream(*end, _joined(segments)) for end, segments in by_end.items()]

    def write_pcap(self, path: Path) -> None:
        """Save every frame so far for `tshark` or `sngrep`."""
        self._drain()
        with path.open("wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 1))
            for frame in self._frames:
                seconds, fraction = divmod(frame.at, 1)
                size = len(frame.data)
                file.write(struct.pack("<IIII", int(seconds), int(fraction * 1e6), size, size))
                file.write(frame.data)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._drain()
        self._socket.close()

    def _drain(self) -> None:
        while self._socket.fileno() >= 0:
            try:
                data, extras, _, where = self._socket.recvmsg(1 << 18, 64)
            except BlockingIOError:
                return
            if where[0] != "lo":
                self._frames.append(_Frame(_stamp(extras), where[2] == _OUTGOING, data))

    def _packets(self) -> list[_Packet]:
        self._drain()
        fragments: dict[tuple[object, ...], list[tuple[int, bytes]]] = {}
        packets = []
        for frame in self._frames:
            kind = int.from_bytes(frame.data[12:14], "big")
            if kind == _IPV4:
                packet = _ipv4(frame, fragments)
            elif kind == _IPV6:
                packet = _ipv6(frame, fragments)
            else:
                packet = None
            if packet is not None:
                packets.append(packet)
        return packets


def _keep_only_sent(opened: socket.socket) -> None:
    """Have the kernel keep only frames that the host sends, by a classic BPF program."""
    program = b"".join(
        struct.pack("=HBBI", *instruction)
        for instruction in (
            (0x30, 0, 0, 0xFFFFF004),  # load SKF_AD_PKTTYPE
            (0x15, 0, 1, _OUTGOING),  # unless it is PACKET_OUTGOING, skip one
            (0x06, 0, 0, 0xFFFFFFFF),  # keep the whole frame
            (0x06, 0, 0, 0),  # keep nothing
        )
    )
    held = ctypes.create_string_buffer(program, len(program))
    fprog = struct.pack("@HP", len(program) // 8, ctypes.addressof(held))
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)


def _stamp(extras: list[tuple[int, int, bytes]]) -> float:
    for level, kind, data in extras:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("@ll", data[:16])
            return float(seconds + nanoseconds / 1e9)
    return time.time()


def _ipv4(
    frame: _Frame, fragments: dict[tuple[object, ...], list[tuple[int, bytes]]]
) -> _Packet | None:
    header = frame.data[14:]
    length, name, flags = struct.unpack_from("!HHH", header, 2)
    payload = header[(header[0] & 15) * 4 : length]
    source, destination = str(ip_address(header[12:16])), str(ip_address(header[16:20]))
    offset, more = (flags & 0x1FFF) * 8, bool(flags & 0x2000)
    whole = _reassembled(
        (frame.sent, source, destination, header[9], name), offset, more, payload, fragments
    )
    if whole is None:
        return None
    return _Packet(frame.at, frame.sent, source, destination, header[9], whole)


def _ipv6(
    frame: _Frame, fragments: dict[tuple[object, ...], list[tuple[int, bytes]]]
) -> _Packet | None:
    header = frame.data[14:]
    length = int.from_bytes(header[4:6], "big")
    payload = header[40 : 40 + length]
    source, destination = str(ip_address(header[8:24])), str(ip_address(header[24:40]))
    protocol, whole = header[6], payload
    if protocol == _IPV6_FRAGMENT:
        protocol, flags = payload[0], int.from_bytes(payload[2:4], "big")
        key = (frame.sent, source, destination, protocol, payload[4:8])
        joined = _reassembled(key, flags & ~7, bool(flags & 1), payload[8:], fragments)
        if joined is None:
            return None
        whole = joined
    return _Packet(frame.at, frame.sent, source, destination, protocol, whole)


def _reassembled(
    key: tuple[object, ...],
    offset: int,
    more: bool,
    payload: bytes,
    fragments: dict[tuple[object, ...], list[tuple[int, bytes]]],
) -> bytes | None:
    """The whole payload when this fragment completes it (the test networks keep order)."""
    if offset == 0 and not more:
        return payload
    parts = fragments.setdefault(key, [])
    parts.append((offset, payload))
    if more:
        return None
    del fragments[key]
    parts.sort()
    return b"".join(data for _, data in parts)


def _segment(packet: _Packet) -> Segment | None:
    if packet.protocol != _TCP or len(packet.payload) < 20:
        return None
    source_port, destination_port, sequence = struct.unpack_from("!HHI", packet.payload)
    data = packet.payload[(packet.payload[12] >> 4) * 4 :]
    if not data:
        return None
    return Segment(
        packet.at,
        packet.sent,
        packet.source,
        source_port,
        packet.destination,
        destination_port,
        sequence,
        data,
    )


def _joined(segments: list[Segment]) -> bytes:
    """The bytes of one direction: retransmitted ones once, sequence numbers may wrap."""
    start = segments[0].sequence
    stream = bytearray()
    ordered = sorted(segments, key=lambda segment: (segment.sequence - start) & 0xFFFFFFFF)
    for segment in ordered:
        at = (segment.sequence - start) & 0xFFFFFFFF
        if at > len(stream):
            break  # the rest was not captured
        stream[at : at + len(segment.payload)] = segment.payload
    return bytes(stream)
