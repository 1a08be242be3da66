"""Our table of nftables as text: what it holds, what changes it, and how it is read back.

Everything is in one table of our own, so that nothing of anybody else's is ever touched. Only
what is sent to our own listeners on untrusted networks is looked at, and only where it arrives at
this machine: what is forwarded is not ours to judge.

IPv6 sources are compared by their first 64 bits, as the process counts them. Names in here are
made by us; addresses and numbers are the only thing that comes from outside.

Sans-IO.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_address,
)
from typing import Final, Literal, NamedTuple

Source = IPv4Network | IPv6Network

PRIORITY: Final = -310
"""Before the tables of others, whose chains of filters begin at -300."""

SIZE: Final = 131_072
"""Places of each set: twice what the process bans, since what is over stays for some seconds."""

LIMITED_S: Final = 10
"""How long the kernel counts a source that sends nothing more."""

_SITE: Final = "ffff:ffff:ffff:ffff::"
_COUNTERS: Final = ("banned", "muted", "limited")


class Guarded(NamedTuple):
    """A listener of ours that strangers may reach."""

    protocol: Literal["udp", "tcp"]
    bind: str
    """Numeric; may be unspecified."""
    port: int


class Rate(NamedTuple):
    """What one stranger may send."""

    packets_per_second: int
    burst: int


def table_script(
    name: str, guarded: Iterable[Guarded], rate: Rate | None, spared: Iterable[Source]
) -> str:
    """Our table, new and empty, in place of one that a process before us left behind.

    Args:
        rate: of each stranger; None for no limit.
        spared: whom that limit does not concern.
    """
    lines = [f"add table inet {name}", f"delete table inet {name}", f"table inet {name} {{"]
    lines += [f"  counter {counter} {{ }}" for counter in _COUNTERS]
    for family, kind in (("4", "ipv4_addr"), ("6", "ipv6_addr")):
        lines += [
            f"  set banned{family} {{ type {kind}; flags timeout; size {SIZE}; }}",
            f"  set flows{family} {{ type {kind} . inet_service; flags timeout; size {SIZE}; }}",
            f"  set prefixes{family} {{ type {kind}; flags interval, timeout; }}",
            f"  set spared{family} {{ type {kind}; flags interval; }}",
            f"  set known{family} {{ type {kind}; size {SIZE}; }}",
        ]
        counted = f"type {kind}; flags dynamic, timeout; timeout {LIMITED_S}s; size {SIZE};"
        lines.append(f"  set counted{family} {{ {counted} }}")
    lines += ["  chain strangers {", *_judgements(rate), "  }", "  chain input {"]
    lines.append(f"    type filter hook input priority {PRIORITY}; policy accept;")
    lines += [f"    {_match(one)} jump strangers" for one in dict.fromkeys(guarded)]
    lines += ["  }", "}"]
    for source in _merged(spared):
        lines.append(f"add element inet {name} spared{source.version} {{ {source} }}")
    return "\n".join(lines) + "\n"


def rules_of(guarded: Iterable[Guarded], rate: Rate | None) -> int:
    """How many rules the table has, to see whether all of them are in force."""
    return len(list(_judgements(rate))) + len(dict.fromkeys(guarded))


def _judgements(rate: Rate | None) -> Iterator[str]:
    for source, family in (("ip saddr", "4"), (f"ip6 saddr & {_SITE}", "6")):
        plain = source.partition(" &")[0]
        yield f"    {source} @banned{family} counter name banned drop"
        yield f"    {plain} @prefixes{family} counter name banned drop"
        yield f"    {plain} . udp sport @flows{family} counter name muted drop"
        if rate is not None:
            yield (
                f"    {plain} != @spared{family} {source} != @known{family} "
                f"update @counted{family} {{ {source} limit rate over "
                f"{rate.packets_per_second}/second burst {rate.burst} packets }} "
                "counter name limited drop"
            )


def _merged(sources: Iterable[Source]) -> Iterator[Source]:
    """The same, none of them within another: to merge them is what some versions of nft cannot."""
    alike = list(sources)
    yield from collapse_addresses(one for one in alike if isinstance(one, IPv4Network))
    yield from collapse_addresses(one for one in alike if isinstance(one, IPv6Network))


def _match(guarded: Guarded) -> str:
    address = ip_address(guarded.bind)
    port = f"{guarded.protocol} dport {guarded.port}"
    if address.is_unspecified:
        # A socket of :: may take IPv4 too; one of 0.0.0.0 never takes IPv6.
        return f"meta nfproto ipv4 {port}" if address.version == 4 else port
    return f"{'ip' if address.version == 4 else 'ip6'} daddr {address} {port}"


# -- what changes it --------------------------------------------------------------------------


def ban_lines(name: str, source: Source, seconds: float) -> list[str]:
    """Turn an IPv4 address, or a /64, away for so long, from now on."""
    return _put(name, f"banned{source.version}", str(source.network_address), seconds)


def lift_lines(name: str, source: Source) -> list[str]:
    """Turn one away no more; it may be that the kernel forgot it already."""
    return _take(name, f"banned{source.version}", str(source.network_address))


def prefix_lines(name: str, prefixes: Mapping[Source, float]) -> list[str]:
    """Turn exactly these other prefixes away, each for so many seconds; none of them overlap."""
    lines = [f"flush set inet {name} prefixes{family}" for family in (4, 6)]
    for source, seconds in prefixes.items():
        element = f"{source} timeout {_whole(seconds)}s"
        lines.append(f"add element inet {name} prefixes{source.version} {{ {element} }}")
    return lines


def is_single(source: Source) -> bool:
    """Whether it is what one subscriber has: an IPv4 address, or a /64."""
    return source.prefixlen == (32 if source.version == 4 else 64)


def mute_flow_lines(name: str, host: str, port: int, seconds: float) -> list[str]:
    """Turn the datagrams of one address and port away for a moment."""
    address = ip_address(host)
    return _put(name, f"flows{address.version}", f"{address} . {int(port)}", seconds)


def know_lines(name: str, host: str, *, known: bool) -> list[str]:
    """Let a registered phone's address be counted no more, or again."""
    address = ip_address(host)
    place, element = f"known{address.version}", _site(address)
    add = f"add element inet {name} {place} {{ {element} }}"
    return [add] if known else [add, add.replace("add", "delete", 1)]


def delete_script(name: str) -> str:
    """Our table goes, whether it is there or not."""
    return f"add table inet {name}\ndelete table inet {name}\n"


def _put(name: str, place: str, element: str, seconds: float) -> list[str]:
    # Of an element that is there the time is not renewed, and one that is not cannot be deleted.
    timed = f"add element inet {name} {place} {{ {element} timeout {_whole(seconds)}s }}"
    return [*_take(name, place, element), timed]


def _take(name: str, place: str, element: str) -> list[str]:
    return [
        f"add element inet {name} {place} {{ {element} timeout 1s }}",
        f"delete element inet {name} {place} {{ {element} }}",
    ]


def _whole(seconds: float) -> int:
    return max(1, math.ceil(seconds))


def _site(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((int(address), 64), strict=False).network_address)


# -- how it is read back ----------------------------------------------------------------------


class Reading(NamedTuple):
    """What the kernel says of our table."""

    rules: int
    hooked: bool
    """Whether it is asked before the tables of others."""
    dropped: dict[str, int]
    """Packets, by why."""


def read_listing(text: str) -> Reading:
    """What ``nft --json --terse list table`` printed.

    Raises:
        ValueError: it is something else.
    """
    try:
        items = json.loads(text)["nftables"]
        rules = sum("rule" in item for item in items)
        chains = [item["chain"] for item in items if "chain" in item]
        counters = [item["counter"] for item in items if "counter" in item]
        hooked = any(c.get("hook") == "input" and c.get("prio") == PRIORITY for c in chains)
        dropped = {str(one["name"]): int(one["packets"]) for one in counters}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no listing of a table: {error!r}") from None
    return Reading(rules, hooked, dropped)
