"""How many STUN and DTLS datagrams one source may have handed up.

A stranger's spray of them must not keep signalling busy, nor cost memory.
"""

import hashlib
import socket

from media.types import Endpoint

HANDSHAKES_PER_S = 50
"""An agent begins a check each 50 ms; the rest is for retransmissions and for a flight of DTLS.

Spec: RFC 8445 §14.2.
"""
_PLACES = 1024


class HandshakeLimit:
    """So many datagrams per source, port and second, in a table that never grows.

    Sources that share a place share a limit; without the seed nobody can tell who does.
    """

    __slots__ = ("_counts", "_seed")

    def __init__(self, seed: int) -> None:
        """A table in which nobody has sent anything.

        Args:
            seed: 64 bits that strangers do not know.
        """
        self._seed = seed.to_bytes(8, "big")
        self._counts: dict[int, tuple[int, int]] = {}
        """By place: the second, and how many came in it."""

    def admits(self, local: Endpoint, host: str, now: float) -> bool:
        """Counts one more datagram, and says whether it may be handed up.

        Args:
            local: The port of ours that it came to.
            host: The numeric host it came from.
            now: Monotonic seconds.
        """
        place = place_of(self._seed, local, host)
        second, count = self._counts.get(place, (0, 0))
        count = count + 1 if second == int(now) else 1
        self._counts[place] = (int(now), count)
        return count <= HANDSHAKES_PER_S


def place_of(seed: bytes, local: Endpoint, host: str) -> int:
    """Where a source stands in the table, the same in both engines."""
    name = _packed(local.host) + local.port.to_bytes(2, "big") + _packed(host)
    digest = hashlib.sha1(seed + name, usedforsecurity=False).digest()
    return int.from_bytes(digest[:2], "big") % _PLACES


def _packed(host: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
