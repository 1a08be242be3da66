"""Configurations for simulations: of files, wherever they are read, or of policies alone."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from media.types import SrtpAbilities, SrtpSuite
from sbc.config.files import read_text
from sbc.config.load import LoadResult, load_text
from sbc.document.text import read_document
from sbc.prefixes import is_numeric
from sbc.routing.facing import family_of

USUAL: Final[dict[str, Any]] = {
    "networks": {
        "outside": {
            "trust": "untrusted",
            "bind": "203.0.113.10",
            "listen": ["udp/5060", "tcp/5060"],
            "media_ports": "30000-39999",
        },
        "inside": {
            "trust": "trusted",
            "bind": "192.168.1.2",
            "listen": ["udp/5060", "tcp/5060"],
            "media_ports": "20000-29999",
        },
    },
    "peers": {
        "pbx": {"kind": "pbx", "network": "inside", "address": "192.168.1.5"},
        "trunk": {"kind": "trunk", "network": "outside", "address": "192.0.2.10"},
        "phones": {"kind": "endpoints", "network": "outside"},
    },
    "routes": [
        {"name": "from the trunk", "from": "trunk", "to": "pbx"},
        {"name": "abroad", "from": "pbx", "number": "+*", "to": "trunk"},
        {"name": "to the phones", "from": "pbx", "to": "phones"},
        {"name": "from the phones", "from": "outside", "to": "pbx"},
    ],
}
"""The border that policies are asked in where nothing else is said: phones and a trunk outside, a
PBX inside."""

BORDER: Final = "border of the test"
"""What stands for a file where the usual border is named."""


def _nobody(name: str) -> tuple[str, ...]:
    del name
    return ()


@dataclass(frozen=True, slots=True)
class AnyMachine:
    """A machine that has whatever addresses a configuration binds."""

    hosts: tuple[str, ...]
    at: float = 0.0
    """Seconds since 1970."""
    names: Callable[[str], tuple[str, ...]] = _nobody
    """What host names stand for."""

    def interfaces(self) -> dict[str, tuple[str, ...]]:
        """See `sbc.config.machine.Machine`."""
        return {"simulated": self.hosts or ("127.0.0.1",)}

    def resolve(self, name: str) -> tuple[str, ...]:
        """See `sbc.config.machine.Machine`."""
        return self.names(name)

    def address_towards(self, host: str) -> str | None:
        """The first of the same family."""
        return next((one for one in self.hosts if family_of(one) == family_of(host)), None)

    def srtp(self, native: bool) -> SrtpAbilities:
        """All of it."""
        del native
        return SrtpAbilities(frozenset(SrtpSuite), mki=True)

    def clock(self) -> float:
        """See `sbc.config.machine.Machine`."""
        return self.at


def load_simulated(
    path: Path,
    at: float,
    environment: Mapping[str, str],
    names: Callable[[str], tuple[str, ...]] = _nobody,
) -> LoadResult:
    """An sbc.yaml, or a policy file in the usual border.

    Args:
        at: Seconds since 1970, by which certificates are valid.
        environment: What ``${NAME}`` stands for.
        names: What host names stand for; nothing by default.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    text = read_text(path)
    data = read_document(text, str(path)).data
    if isinstance(data, dict) and "networks" not in data:
        return load_border({}, [path.name], path.parent, at, environment)
    machine = AnyMachine(_hosts(data), at, names)
    return load_text(text, str(path), machine, environment)


def load_border(
    sections: Mapping[str, Any],
    policies: Iterable[str],
    base: Path,
    at: float,
    environment: Mapping[str, str],
) -> LoadResult:
    """The usual border with other sections and policies.

    Args:
        sections: In place of those of `USUAL`.
        policies: Their files, relative to `base`.
    """
    data = {**USUAL, **sections, "policies": list(policies)}
    machine = AnyMachine(_hosts(data), at)
    text = yaml.safe_dump(data, sort_keys=False)
    return load_text(text, str(base / BORDER), machine, environment)


def _hosts(data: object) -> tuple[str, ...]:
    """The addresses that networks bind or advertise, so that they are this machine's."""
    networks = data.get("networks") if isinstance(data, dict) else None
    found: list[str] = []
    for network in networks.values() if isinstance(networks, dict) else ():
        bind = network.get("bind") if isinstance(network, dict) else None
        texts = bind if isinstance(bind, list) else [bind]
        found += [str(one) for one in texts if one and is_numeric(str(one))]
    specific = [one for one in found if one not in ("0.0.0.0", "::")]
    return tuple(dict.fromkeys(specific or ["192.0.2.254", "2001:db8::254"]))
