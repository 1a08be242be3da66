"""Longest-prefix match for IP addresses: which of many prefixes a source belongs to.

One dictionary per prefix length that occurs, so that a lookup costs a handful of dictionary
lookups however many prefixes there are.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Generic, NamedTuple, TypeVar

IpNetwork = IPv4Network | IPv6Network
T = TypeVar("T")

_IPV4_BITS = 32
_IPV6_BITS = 128

_OCTET = r"(0|[1-9][0-9]{0,2})"
_IPV4_TEXT = re.compile(rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}(?:/([0-9]{{1,2}}))?")
_MAPPED = 0xFFFF
"""What an IPv4 address written as an IPv6 one has in front (RFC 4291 §2.5.5.2)."""


class PrefixKey(NamedTuple):
    """A prefix as numbers."""

    bits: int
    """Of an address: 32 or 128."""
    shift: int
    """How many bits are behind the prefix."""
    value: int
    """Those of the prefix."""


def prefix_key(text: str) -> PrefixKey:
    """Read an address or a prefix; IPv4 takes a tenth of the time that `ip_network` takes.

    An IPv4 prefix written as an IPv6 one is that IPv4 prefix.

    Raises:
        ValueError: it is neither, or has bits behind the prefix; the text says which.
    """
    match = _IPV4_TEXT.fullmatch(text)
    if match is None:
        return _ipv6_key(text)
    a, b, c, d = int(match[1]), int(match[2]), int(match[3]), int(match[4])
    length = _IPV4_BITS if match[5] is None else int(match[5])
    if a > 255 or b > 255 or c > 255 or d > 255 or length > _IPV4_BITS:
        raise ValueError(f"{text!r} is neither an address nor a prefix")
    value, shift = a << 24 | b << 16 | c << 8 | d, _IPV4_BITS - length
    if value & ((1 << shift) - 1):
        raise ValueError(f"{text} has bits set behind its prefix length")
    return PrefixKey(_IPV4_BITS, shift, value >> shift)


def _ipv6_key(text: str) -> PrefixKey:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is neither an address nor a prefix") from None
    value, shift = int(network.network_address), network.max_prefixlen - network.prefixlen
    if int(ip_address(text.partition("/")[0])) != value:
        raise ValueError(f"{text} has bits set behind its prefix length")
    if network.max_prefixlen == _IPV6_BITS and shift <= 32 and value >> 32 == _MAPPED:
        return PrefixKey(_IPV4_BITS, shift, (value & 0xFFFFFFFF) >> shift)
    return PrefixKey(network.max_prefixlen, shift, value >> shift)


class PrefixMap(Generic[T]):
    """Values by prefix; the longest prefix that holds an address gives its value.

    Of two equal prefixes the first counts. Immutable after it was built.
    """

    __slots__ = ("_hosts", "_ipv4", "_ipv6")

    def __init__(self, entries: Iterable[tuple[IpNetwork, T]] = ()) -> None:
        self._hosts: dict[str, T] = {}
        self._ipv4: list[tuple[int, dict[int, T]]] = []
        self._ipv6: list[tuple[int, dict[int, T]]] = []
        self._fill(self._keyed(entries))

    @classmethod
    def of_keys(cls, entries: Iterable[tuple[PrefixKey, T]]) -> "PrefixMap[T]":
        """Values by what `prefix_key` read."""
        made: PrefixMap[T] = cls()
        made._fill(entries)
        return made

    def _keyed(self, entries: Iterable[tuple[IpNetwork, T]]) -> Iterable[tuple[PrefixKey, T]]:
        for prefix, value in entries:
            shift = prefix.max_prefixlen - prefix.prefixlen
            if not shift:
                self._hosts.setdefault(str(prefix.network_address), value)
            number = int(prefix.network_address) >> shift
            yield PrefixKey(prefix.max_prefixlen, shift, number), value

    def _fill(self, entries: Iterable[tuple[PrefixKey, T]]) -> None:
        ipv4: dict[int, dict[int, T]] = {}
        ipv6: dict[int, dict[int, T]] = {}
        for (bits, shift, number), value in entries:
            by_length = ipv4 if bits == _IPV4_BITS else ipv6
            level = by_length.get(shift)
            if level is None:
                level = by_length[shift] = {}
            level.setdefault(number, value)
        self._ipv4 = sorted(ipv4.items())
        self._ipv6 = sorted(ipv6.items())

    def __bool__(self) -> bool:
        return bool(self._ipv4 or self._ipv6)

    def find(self, host: str) -> T | None:
        """The value of the longest prefix that holds a numeric host.

        A host that is not numeric is in no prefix.
        """
        value = self._hosts.get(host)
        if value is not None:
            return value
        is_ipv6 = ":" in host
        levels = self._ipv6 if is_ipv6 else self._ipv4
        if not levels:
            return None
        number = _ipv6_value(host) if is_ipv6 else _ipv4_value(host)
        if number < 0:
            return None
        for shift, level in levels:
            value = level.get(number >> shift)
            if value is not None:
                return value
        return None

    def find_all(self, host: str) -> list[T]:
        """The values of every prefix that holds a numeric host, the longest first."""
        is_ipv6 = ":" in host
        levels = self._ipv6 if is_ipv6 else self._ipv4
        number = -1
        if levels:
            number = _ipv6_value(host) if is_ipv6 else _ipv4_value(host)
        if number < 0:
            return []
        found = (level.get(number >> shift) for shift, level in levels)
        return [value for value in found if value is not None]


def source_key(host: str) -> str:
    """What a source is counted as: an IPv4 address, or the /64 of an IPv6 address.

    A single IPv6 subscriber owns at least a /64 and may use a new address for each packet.
    Takes the text as sockets give it (compressed, lower case); other text is its own key.
    """
    if ":" not in host:
        return host
    host = host.partition("%")[0]
    head, gap, tail = host.partition("::")
    groups = head.split(":") if head else []
    if gap and len(groups) < 4:
        behind = tail.split(":") if tail else []
        groups += ["0"] * (8 - len(groups) - len(behind))
        groups += behind
    return ":".join(groups[:4])


def _ipv4_value(host: str) -> int:
    try:
        first, second, third, fourth = host.split(".")
        a, b, c, d = int(first), int(second), int(third), int(fourth)
    except ValueError:
        return -1
    if not 0 <= a | b | c | d <= 255:
        return -1
    return a << 24 | b << 16 | c << 8 | d


def _ipv6_value(host: str) -> int:
    try:
        address = ip_address(host)
    except ValueError:
        return -1
    return int(address) if isinstance(address, IPv6Address) else -1


def is_numeric(host: str) -> bool:
    """Whether a host is an address, and no name."""
    match = _IPV4_TEXT.fullmatch(host)
    if match is not None:
        return match[5] is None and max(map(int, match.groups()[:4])) <= 255
    if ":" not in host:
        return False
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def single_host(host: str) -> IpNetwork | None:
    """The prefix that holds exactly this numeric host; None for a name."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return IPv6Network((int(address), _IPV6_BITS))
    return IPv4Network((int(address), _IPV4_BITS))
