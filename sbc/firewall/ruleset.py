"""Our table of nftables as text: what it holds, what changes it, and how it is read back.

Everything is in one table of our own, so that nothing of anybody else's is ever touched. Only
what is sent to our own listeners on untrusted networks is looked at, and only where it arrives at
this machine: what is forwarded is not ours to judge. The table is owned by the ``nft`` that made
it: nobody else changes it, and the kernel removes it when that program ends, however it ends.

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

PROVING: Final = "limit rate 20/second burst 60 packets"
"""What of all banned sources may pass where a peer proves itself: a few handshakes."""

_SITE: Final = "ffff:ffff:ffff:ffff::"
_SOURCES: Final = (("ip saddr", "4"), (f"ip6 saddr & {_SITE}", "6"))
_COUNTERS: Final = ("banned", "muted", "limited")


class Guarded(NamedTuple):
    """A listener of ours that strangers may reach."""

    protocol: Literal["udp", "tcp"]
    bind: str
    """Numeric; may be unspecified."""
    port: int
    proves: bool = False
    """Whether peers come here that tell by a certificate who they are, from wherever it is."""


class Rate(NamedTuple):
    """What one stranger may send."""

    packets_per_second: int
    burst: int


def table_script(
    name: str, guarded: Iterable[Guarded], rate: Rate | None, spared: Iterable[Source]
) -> str:
    """Our table, new and empty, in place of the one that the same ``nft`` made before.

    Args:
        rate: of each stranger; None for no limit.
        spared: whom that limit does not concern.
    """
    lines = [
        f"add table inet {name} {{ flags owner; }}",
        f"delete table inet {name}",
        f"table inet {name} {{",
    ]
    lines.append("  flags owner")
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
    lines += ["  chain strangers {", *_judgements(rate), "  }"]
    lines += ["  chain proving {", *_exceptions(), "  }", "  chain input {"]
    lines.append(f"    type filter hook input priority {PRIORITY}; policy accept;")
    lines += _jumps(guarded)
    lines += ["  }", "}"]
    for source in _merged(spared):
        lines.append(f"add element inet {name} spared{source.version} {{ {_prefix(source)} }}")
    return "\n".join(lines) + "\n"


def rules_of(guarded: Iterable[Guarded], rate: Rate | None) -> int:
    """How many rules the table has, to see whether all of them are in force."""
    return sum(len(list(rules)) for rules in (_judgements(rate), _exceptions(), _jumps(guarded)))


def _jumps(guarded: Iterable[Guarded]) -> Iterator[str]:
    for one in dict.fromkeys(guarded):
        if one.proves:
            yield f"    {_match(one)} jump proving"
        yield f"    {_match(one)} jump strangers"


def _exceptions() -> Iterator[str]:
    for source, family in _SOURCES:
        yield f"    {source} @banned{family} {PROVING} accept"


def _judgements(rate: Rate | None) -> Iterator[str]:
    for source, family in _SOURCES:
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
    return f"{'ip' if address.version == 4 else 'ip6'} daddr {_plain(address)} {port}"


# -- what changes it --------------------------------------------------------------------------


class Change(NamedTuple):
    """What becomes of one element of a set."""

    place: str
    element: str
    seconds: float
    """How long it stays from now on: 0 for not at all, infinite where nothing runs out."""


def ban(source: Source, seconds: float) -> Change:
    """Turn an IPv4 address, or a /64, away for so long; 0 lets it in again."""
    return Change(f"banned{source.version}", _plain(source.network_address), seconds)


def mute_flow(host: str, port: int, seconds: float) -> Change:
    """Turn the datagrams of one address and port away for a moment."""
    address = ip_address(host)
    return Change(f"flows{address.version}", f"{_plain(address)} . {int(port)}", seconds)


def know(host: str, *, known: bool) -> Change:
    """Let a registered phone's address be counted no more, or again."""
    address = ip_address(host)
    return Change(f"known{address.version}", _site(address), math.inf if known else 0)


def change_lines(name: str, changes: Iterable[Change], *, fresh: bool = False) -> list[str]:
    """What makes the changes, no element twice; few commands, since each costs ``nft`` time.

    Args:
        fresh: nothing is in the sets.
    """
    places: dict[str, list[Change]] = {}
    for change in changes:
        places.setdefault(change.place, []).append(change)
    lines: list[str] = []
    for place, those in places.items():
        where = f"element inet {name} {place}"
        if not fresh:
            # Of an element that is there the time is not renewed, and one that is not cannot be
            # deleted; it may be that the kernel forgot it already.
            elements = [one.element for one in those]
            moment = "" if place.startswith("known") else " timeout 1s"
            there = [f"{element}{moment}" for element in elements]
            lines.append(f"add {where} {{ {', '.join(there)} }}")
            lines.append(f"delete {where} {{ {', '.join(elements)} }}")
        stay = [_timed(one) for one in those if one.seconds]
        if stay:
            lines.append(f"add {where} {{ {', '.join(stay)} }}")
    return lines


def prefix_lines(name: str, prefixes: Mapping[Source, float]) -> list[str]:
    """Turn exactly these other prefixes away, each for so many seconds; none of them overlap."""
    lines = [f"flush set inet {name} prefixes{family}" for family in (4, 6)]
    for source, seconds in prefixes.items():
        element = f"{_prefix(source)} timeout {_whole(seconds)}s"
        lines.append(f"add element inet {name} prefixes{source.version} {{ {element} }}")
    return lines


def is_single(source: Source) -> bool:
    """Whether it is what one subscriber has: an IPv4 address, or a /64."""
    return source.prefixlen == (32 if source.version == 4 else 64)


def _timed(change: Change) -> str:
    if math.isinf(change.seconds):
        return change.element
    return f"{change.element} timeout {_whole(change.seconds)}s"


def _whole(seconds: float) -> int:
    return max(1, math.ceil(seconds))


def _plain(address: IPv4Address | IPv6Address) -> str:
    """An address without a zone, which may be any text (RFC 4007 §11)."""
    return str(address if isinstance(address, IPv4Address) else IPv6Address(int(address)))


def _prefix(source: Source) -> str:
    return f"{_plain(source.network_address)}/{source.prefixlen}"


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


def clearing(name: str) -> str:
    """What removes a table of our name that nobody owns, if there is one."""
    return f"add table inet {name}\ndelete table inet {name}"


def questions(name: str) -> list[str]:
    """What to ask to see what is in force.

    Not for the whole table: nft 1.0.6 reads freed memory when it prints one that has flags as JSON.
    """
    chains = [f"list chain inet {name} {chain}" for chain in ("input", "strangers", "proving")]
    return [*chains, f"list counters table inet {name}"]


def read_listing(texts: Iterable[str]) -> Reading:
    """What ``nft --json`` answered to `questions`.

    Raises:
        ValueError: it is something else.
    """
    try:
        items = [item for text in texts for item in json.loads(text)["nftables"]]
        rules = sum("rule" in item for item in items)
        chains = [item["chain"] for item in items if "chain" in item]
        counters = [item["counter"] for item in items if "counter" in item]
        hooked = any(c.get("hook") == "input" and c.get("prio") == PRIORITY for c in chains)
        dropped = {str(one["name"]): int(one["packets"]) for one in counters}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no listing of a table: {error!r}") from None
    return Reading(rules, hooked, dropped)
