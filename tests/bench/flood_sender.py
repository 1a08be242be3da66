"""Junk INVITEs at a steady rate from many loopback addresses, each as if from another host.

    python -m tests.bench.flood_sender --rate 20000 --seconds 8 --sources 100

Every address of 127.0.0.0/8 is this host's, so one socket may send from millions of them. Prints
one JSON line.
"""

import argparse
import json
import random
import socket
import struct
import time
from ipaddress import IPv4Address

_FIRST_SOURCE = "127.16.0.1"
_IP_PKTINFO = 8
_PAUSE_S = 0.0005
_MESSAGES = 997


def junk(number: int, host: str, port: int) -> bytes:
    """An INVITE of nobody, as scanners send them."""
    caller = random.randrange(10**6)
    return (
        f"INVITE sip:{random.randrange(10**12)}@{host}:{port} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 192.0.2.{number % 250}:5060;branch=z9hG4bK{number:08x}\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:{caller}@192.0.2.1>;tag={number:08x}\r\n"
        f"To: <sip:x@{host}>\r\nCall-ID: {number:08x}{caller}\r\nCSeq: 1 INVITE\r\n"
        f"Contact: <sip:{caller}@192.0.2.1:5060>\r\nUser-Agent: junk\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def source(number: int, first: str) -> list[tuple[int, int, bytes]]:
    """What has a datagram sent from one address."""
    address = (IPv4Address(first) + number).packed
    return [(socket.IPPROTO_IP, _IP_PKTINFO, struct.pack("=i4s4x", 0, address))]


def flood(
    host: str, port: int, rate: float, seconds: float, sources: int, first: str = _FIRST_SOURCE
) -> dict[str, float]:
    """Send, and say what was sent."""
    messages = [[junk(number, host, port)] for number in range(_MESSAGES)]
    few = [source(number, first) for number in range(sources)] if sources <= 100_000 else None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        began = time.monotonic()
        sent = lost = 0
        while (spent := time.monotonic() - began) < seconds:
            for number in range(sent, int(spent * rate)):
                ancillary = few[number % sources] if few else source(number % sources, first)
                try:
                    sock.sendmsg(messages[number % _MESSAGES], ancillary, 0, (host, port))
                except OSError:
                    lost += 1
                sent += 1
            time.sleep(_PAUSE_S)
    return {"sent_per_s": round(sent / seconds), "lost": lost, "sources": min(sources, sent)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5060)
    parser.add_argument("--rate", type=float, default=20_000)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--sources", type=int, default=1)
    given = parser.parse_args()
    figures = flood(given.host, given.port, given.rate, given.seconds, given.sources)
    print(json.dumps(figures))
