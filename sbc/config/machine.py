"""What a configuration needs to know of the machine it runs on."""

import socket
import time
from functools import cache
from typing import Protocol

import netifaces

from media.relay import Relay
from media.types import SrtpAbilities


class Machine(Protocol):
    """Addresses and names as this machine sees them; tests hand in their own."""

    def interfaces(self) -> dict[str, tuple[str, ...]]:
        """Numeric addresses by interface name, without link-local IPv6."""

    def resolve(self, name: str) -> tuple[str, ...]:
        """The numeric addresses behind a host name, best first; empty if there are none."""

    def address_towards(self, host: str) -> str | None:
        """Which of our addresses this machine would reach a numeric host from."""

    def srtp(self, native: bool) -> SrtpAbilities:
        """What the media engine can do of SRTP; `native`: whether the native one may relay."""

    def clock(self) -> float:
        """Seconds since 1970, by which certificates are valid or not."""


class ThisMachine:
    """The machine we run on. `resolve` waits for the name service."""

    def interfaces(self) -> dict[str, tuple[str, ...]]:
        """Numeric addresses by interface name, without link-local IPv6."""
        found: dict[str, tuple[str, ...]] = {}
        for name in netifaces.interfaces():
            families = netifaces.ifaddresses(name)
            entries = [*families.get(netifaces.AF_INET, ()), *families.get(netifaces.AF_INET6, ())]
            addresses = [str(entry["addr"]) for entry in entries if "addr" in entry]
            found[name] = tuple(text for text in addresses if "%" not in text)
        return found

    def resolve(self, name: str) -> tuple[str, ...]:
        """The numeric addresses behind a host name, best first; empty if there are none."""
        try:
            answers = socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError):
            return ()
        return tuple(dict.fromkeys(str(address[0]) for *_, address in answers))

    def address_towards(self, host: str) -> str | None:
        """Which of our addresses this machine would reach a numeric host from.

        Connecting a datagram socket asks the routing table and sends nothing.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((host, 9))
                return str(probe.getsockname()[0])
        except OSError:
            return None

    def srtp(self, native: bool) -> SrtpAbilities:
        """What the media engine can do of SRTP; `native`: whether the native one may relay."""
        return _srtp(native)

    def clock(self) -> float:
        """Seconds since 1970, by which certificates are valid or not."""
        return time.time()


@cache
def _srtp(native: bool) -> SrtpAbilities:
    """Asks an engine that is started for a moment; once, as a process keeps its engine."""
    relay = Relay(workers=1, native=native)
    relay.close()
    return relay.srtp
