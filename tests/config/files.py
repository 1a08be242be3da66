"""A good sbc.yaml, the machine it is for, and loading it."""

from pathlib import Path
from typing import NamedTuple

from media.types import SrtpAbilities, SrtpSuite
from sbc.config.load import LoadResult, load_text
from sbc.routing.model import ALL_SUITES

GOOD = """\
networks:
  outside:
    bind: 203.0.113.10
    listen: [udp/5060, tcp/5060]
    media_ports: 30000-39999
  inside:
    trust: trusted
    bind: 192.168.1.2
peers:
  pbx:
    kind: pbx
    network: inside
    address: 192.168.1.5
  trunk:
    kind: trunk
    network: outside
    address: sip.carrier.example:5070;transport=tcp
    sources: [198.51.100.0/28]
  phones: {kind: endpoints, network: outside}
routes:
  - {from: trunk, to: pbx}
  - {from: outside, to: pbx}
  - {name: out, from: pbx, number: "+*", to: trunk}
  - {from: pbx, to: phones}
policies: edge.yaml
"""

IN_PYTHON = frozenset(map(SrtpSuite, ALL_SUITES))


class FakeMachine:
    """Two interfaces, one name, and a way to everywhere."""

    def __init__(self, **interfaces: tuple[str, ...]) -> None:
        self._interfaces = interfaces or {
            "lo": ("127.0.0.1", "::1"),
            "eth0": ("203.0.113.10", "2001:db8::10"),
            "eth1": ("192.168.1.2",),
            "down0": (),
        }

    def clock(self) -> float:
        return 1.7e9

    def interfaces(self) -> dict[str, tuple[str, ...]]:
        return dict(self._interfaces)

    def resolve(self, name: str) -> tuple[str, ...]:
        return {"sbc.example.com": ("203.0.113.99",), "pbx.local": ("192.168.1.5",)}.get(name, ())

    def srtp(self, native: bool) -> SrtpAbilities:
        return SrtpAbilities(frozenset(SrtpSuite) if native else IN_PYTHON, mki=native)

    def address_towards(self, host: str) -> str | None:
        if "eth0" not in self._interfaces:
            return None
        if ":" in host:
            return "2001:db8::10"
        if host.startswith("127."):
            return "127.0.0.1"
        return "192.168.1.2" if host.startswith("192.168.") else "203.0.113.10"


_LIMITS = "rate_limits: [{name: strangers, when: {trust: untrusted}, rate: 20, burst: 60}]\n"
POLICIES = {
    "edge.yaml": (
        "rules: [{name: all, when: {network: outside, registered: true}, then: allow}]\n" + _LIMITS
    ),
    "some.yaml": "rules: [{name: all, when: {source: 192.0.2.0/24}, then: allow}]\n" + _LIMITS,
    "open.yaml": "rules: [{name: all, when: {network: outside}, then: allow}]\n" + _LIMITS,
    "allow.yaml": "rules: [{name: all, when: {peer: pbx}, then: allow}]\n" + _LIMITS,
    "bad.yaml": "rules:\n  - {name: a, when: {peer: nobody}, then: allow}\n" + _LIMITS,
    "same.yaml": "rules: [{name: all, when: {peer: pbx}, then: drop}]\n" + _LIMITS,
}


def read_policy(path: Path) -> str:
    if path.name not in POLICIES:
        raise FileNotFoundError(2, "No such file or directory")
    return POLICIES[path.name]


def load(text: str, **environment: str) -> LoadResult:
    return load_text(text, "sbc.yaml", FakeMachine(), environment, read_policy)


def problems(text: str, **environment: str) -> list[str]:
    return [str(problem) for problem in load(text, **environment).problems]


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


class Case(NamedTuple):
    old: str
    new: str
    complaints: list[str]


def cases(file: str) -> list[Case]:
    """Lines taken from a good file (-), what stands there instead (+), and all complaints (!)."""
    found: list[Case] = []
    for block in (Path(__file__).parent / file).read_text().strip().split("\n\n"):
        lines = block.splitlines()
        old, new, complaints = ([x[1:] for x in lines if x[0] == sign] for sign in "-+!")
        found.append(
            Case(
                "".join(f"{line}\n" for line in old),
                "".join(f"{line}\n" for line in new),
                [complaint.strip() for complaint in complaints],
            )
        )
    return found
