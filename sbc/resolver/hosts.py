"""The machine's own table of names, `/etc/hosts`, in which small sites keep their PBX.

Spec: hosts(5); RFC 952.
"""

from collections.abc import Mapping
from typing import Final

from sbc.prefixes import is_numeric

MOST_LINES: Final = 20_000

Hosts = Mapping[str, tuple[str, ...]]
"""Addresses by name, lower case, in the order of the file."""


def parse_hosts(text: str) -> Hosts:
    """Read a hosts table; lines that make no sense are left out, as everybody does."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines()[:MOST_LINES]:
        address, *names = line.partition("#")[0].split() or [""]
        if not is_numeric(address):
            continue
        for name in names:
            found.setdefault(name.lower().removesuffix("."), []).append(address)
    return {name: tuple(dict.fromkeys(addresses)) for name, addresses in found.items()}
