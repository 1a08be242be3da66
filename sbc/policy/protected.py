"""Addresses that are never banned, and why."""

from collections.abc import Iterable

from sbc.policy.bans import canonical
from sbc.prefixes import IpNetwork, PrefixMap


class Protected:
    """Prefixes with the reason for each. Immutable."""

    __slots__ = ("_entries", "_map")

    def __init__(self, entries: Iterable[tuple[IpNetwork, str]] = ()) -> None:
        """Of an IPv6 address the whole /64 is meant, since that is what is banned."""
        self._entries = tuple((canonical(prefix), why) for prefix, why in entries)
        self._map = PrefixMap(self._entries)

    @property
    def prefixes(self) -> tuple[IpNetwork, ...]:
        """All of them."""
        return tuple(prefix for prefix, _ in self._entries)

    def find(self, host: str) -> str:
        """Why a host is never banned; empty when it may be."""
        return self._map.find(host) or ""

    def within(self, source: IpNetwork) -> str:
        """Why no ban may hold a source as a whole; empty when one may."""
        found = self.find(str(source.network_address))
        if found or not self._entries:
            return found
        return next((why for prefix, why in self._entries if prefix.overlaps(source)), "")
