"""The network of the media bench: the relay's namespace and one for all phones, two cables between.

The phones are no sockets: their end of each cable is written and read as raw Ethernet frames. The
relay sends to a hardware address that nobody has, so the far end drops what it was shown at once.
"""

import socket
import struct
from pathlib import Path

from tests.bench.media.modes import PEERS, RELAYS, RelayedCall, peer_port
from tests.kit.hosts import Lab

PHONE_INTERFACES = ("phone0", "phone1")
_RELAY_INTERFACES = ("relay0", "relay1")
_RELAY_MAC = "02:00:00:00:00:01"
_PHONE_MAC = "02:00:00:00:00:02"
_IPV4 = b"\x08\x00"
_MACS = bytes.fromhex((_RELAY_MAC + _PHONE_MAC).replace(":", "")) + _IPV4
_IP = struct.Struct("!BBHHHBBH4s4s")
_UDP = struct.Struct("!HHHH")


class Wires:
    """Both namespaces; they end with the laboratory."""

    def __init__(self, lab: Lab) -> None:
        self.relay = lab.host("relay")
        self.phones = lab.host("phones")
        for host in (self.relay, self.phones):
            host.set_kernel("net/ipv6/conf/all/disable_ipv6", 1)
            host.set_kernel("net/ipv6/conf/default/disable_ipv6", 1)
        # Below are the relays' ports.
        self.relay.set_kernel("net/ipv4/ip_local_port_range", "61000 65000")
        for side in (0, 1):
            self._lay(side)

    def headers(self, side: int, calls: list[RelayedCall], packet_bytes: int) -> list[bytes]:
        """Ethernet, IPv4 and UDP headers of what each call's phone on a side sends.

        The UDP checksum is left out: network cards look at it, and the kernel need not.
        """
        return [
            _MACS
            + ip_header(PEERS[side], RELAYS[side], packet_bytes)
            + _UDP.pack(peer_port(number), call.ports[side], _UDP.size + packet_bytes, 0)
            for number, call in enumerate(calls)
        ]

    def raw_socket(self, side: int) -> socket.socket:
        """A socket that sends Ethernet frames from a side's phones and receives nothing."""
        with self.phones.entered():
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            made.bind((PHONE_INTERFACES[side], 0))
        return made

    def delivered(self) -> int:
        """Frames that have reached the phones' ends of both cables."""
        lines = Path(f"/proc/{self.phones.pid}/net/dev").read_text().splitlines()
        return sum(
            int(line.split()[2]) for line in lines if line.split(":")[0].strip() in PHONE_INTERFACES
        )

    def _lay(self, side: int) -> None:
        ours, theirs = _RELAY_INTERFACES[side], PHONE_INTERFACES[side]
        peer = ("peer", "name", theirs, "netns", str(self.phones.pid))
        self.relay.run("ip", "link", "add", ours, "address", _RELAY_MAC, "type", "veth", *peer)
        self.relay.run("ip", "address", "add", f"{RELAYS[side]}/24", "dev", ours)
        self.relay.run("ip", "link", "set", ours, "up")
        self.phones.run("ip", "link", "set", theirs, "up")
        neighbour = ("lladdr", _PHONE_MAC, "dev", ours, "nud", "permanent")
        self.relay.run("ip", "neighbour", "replace", PEERS[side], *neighbour)


def ip_header(source: str, destination: str, packet_bytes: int) -> bytes:
    """RFC 791, for UDP without options or fragments."""
    length = _IP.size + _UDP.size + packet_bytes
    addresses = (socket.inet_aton(source), socket.inet_aton(destination))
    blank = _IP.pack(0x45, 0, length, 0, 0x4000, 64, socket.IPPROTO_UDP, 0, *addresses)
    total: int = sum(struct.unpack("!10H", blank))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~(total + (total >> 16)) & 0xFFFF
    return blank[:10] + checksum.to_bytes(2, "big") + blank[12:]
