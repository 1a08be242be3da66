"""Captures for tests, made of messages."""

import io
import socket

import dpkt

Address = tuple[str, int]


def ip_packet(source: Address, to: Address, payload: object, protocol: int) -> "dpkt.Packet":
    """An IP packet between two hosts."""
    if ":" in source[0]:
        family = socket.AF_INET6
        packet = dpkt.ip6.IP6(
            src=socket.inet_pton(family, source[0]), dst=socket.inet_pton(family, to[0]),
            nxt=protocol, hlim=64, data=payload,
        )  # fmt: skip
        packet.plen = len(payload)  # type: ignore[arg-type]  # of the library, without types
        return packet
    return dpkt.ip.IP(
        src=socket.inet_aton(source[0]), dst=socket.inet_aton(to[0]), p=protocol, data=payload,
        len=20 + len(payload),  # type: ignore[arg-type]  # of the library, without types
    )  # fmt: skip


def datagram(source: Address, to: Address, data: bytes) -> "dpkt.Packet":
    """An IP packet with a datagram."""
    udp = dpkt.udp.UDP(sport=source[1], dport=to[1], data=data, ulen=8 + len(data))
    return ip_packet(source, to, udp, dpkt.ip.IP_PROTO_UDP)


def segment(source: Address, to: Address, seq: int, data: bytes, flags: int = 0) -> "dpkt.Packet":
    """An IP packet with a piece of a stream."""
    tcp = dpkt.tcp.TCP(sport=source[1], dport=to[1], seq=seq, flags=flags, data=data)
    return ip_packet(source, to, tcp, dpkt.ip.IP_PROTO_TCP)


def ethernet(packet: "dpkt.Packet", vlan: int | None = None) -> bytes:
    """A frame with an IP packet, behind a VLAN tag or not."""
    kind = dpkt.ethernet.ETH_TYPE_IP6 if isinstance(packet, dpkt.ip6.IP6) else 0x800
    head = bytes(12)
    tag = b"" if vlan is None else b"\x81\x00" + vlan.to_bytes(2, "big")
    return head + tag + kind.to_bytes(2, "big") + bytes(packet)


def pcap(frames: list[bytes], *, linktype: int = 1, ng: bool = False) -> io.BytesIO:
    """A capture of frames, a second apart from 1000 on."""
    file = io.BytesIO()
    writer = (dpkt.pcapng if ng else dpkt.pcap).Writer(file, linktype=linktype)
    for number, frame in enumerate(frames):
        writer.writepkt(frame, ts=1000 + number)
    file.seek(0)
    return file
