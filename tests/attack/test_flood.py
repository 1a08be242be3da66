"""Floods against a running border, while a carrier and a registered phone go on as if alone."""

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from sbc.management.control import NotRunning, ask
from tests.kit.hosts import Host, Lab, Program, missing_for_namespaces, wait_until
from tests.kit.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
OUTER, CARRIER, STRANGER = "203.0.113.1", "203.0.113.5", "203.0.113.66"
_CONFIGURATION = f"""\
version: 1
networks:
  outside:
    trust: untrusted
    bind: {OUTER}
    listen: [udp/5060, tcp/5060]
    media_ports: 30000-30100
peers:
  carrier: {{kind: trunk, network: outside, address: "{CARRIER}:5060"}}
policies: {ROOT}/policies/edge-default.yaml
state_dir: state
media: {{engine: python}}
firewall: {{nftables: "off"}}
"""

_FLOOD = """
import json, sys
sys.path.insert(0, {root!r})
from tests.bench.flood_sender import flood
print(json.dumps(flood({to!r}, 5060, {rate}, {seconds}, {sources}, {first!r})))
"""


class Border:
    """One border on the Internet, and whoever is about it."""

    def __init__(self, lab: Lab, directory: Path) -> None:
        internet = lab.switch("internet")
        self.directory = directory
        self.host = lab.host("border")
        self.host.join(internet, f"{OUTER}/24")
        self.hosts: dict[str, Host] = {}
        for name, address in (("carrier", CARRIER), ("stranger", STRANGER)):
            host = self.hosts[name] = lab.host(name)
            host.join(internet, f"{address}/24")
        # The attacker may send from these as from its own, but does not answer for them.
        self.hosts["stranger"].set_kernel("net/ipv4/conf/all/arp_ignore", 1)
        self.hosts["stranger"].run("ip", "route", "add", "local", "10.0.0.0/8", "dev", "lo")
        self.hosts["stranger"].run("ip", "route", "add", "local", f"{CARRIER}/32", "dev", "lo")
        self.host.route("203.0.113.254")
        (directory / "sbc.yaml").write_text(_CONFIGURATION)
        words = ("-m", "sbc", "run", str(directory / "sbc.yaml"))
        self.sbc: Program = self.host.start("sbc", sys.executable, *words, cwd=ROOT)
        wait_until(self._answers, within_s=PATIENCE_S, what=f"it answers\n{self.sbc.tail()}")

    def status(self) -> dict[str, dict[str, int]]:
        status = ask(self.directory / "state" / "control.sock", "status", {})
        assert isinstance(status, dict)
        return status

    @property
    def resident_kib(self) -> int:
        status = Path(f"/proc/{self.sbc.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def is_flooded(self, *, rate: int, seconds: float, sources: int, first: str) -> Program:
        """The stranger begins to send junk INVITEs."""
        script = _FLOOD.format(
            root=str(ROOT), to=OUTER, rate=rate, seconds=seconds, sources=sources, first=first
        )
        return self.hosts["stranger"].start("flood", sys.executable, "-c", script, cwd=ROOT)

    def _answers(self) -> bool:
        assert self.sbc.running, self.sbc.tail()
        try:
            return bool(self.status())
        except NotRunning:
            return False


def answered(host: Host, address: str, count: int) -> int:
    """How many of some OPTIONS, one after the other, are answered 200 within a second."""
    found = 0
    with host.udp_socket(address, 5060) as sock:
        sock.settimeout(1.0)
        for number in range(count):
            sock.sendto(_options(number, "UDP"), (OUTER, 5060))
            with suppress(TimeoutError):
                found += sock.recv(65535).startswith(b"SIP/2.0 200 ")
            time.sleep(0.02)
    return found


def _options(number: int, transport: str) -> bytes:
    unique = time.monotonic_ns()
    return (
        f"OPTIONS sip:{OUTER} SIP/2.0\r\nVia: SIP/2.0/{transport} 192.0.2.1:5060;rport;"
        f"branch=z9hG4bK{unique}\r\nMax-Forwards: 70\r\nFrom: <sip:a@{OUTER}>;tag=1\r\n"
        f"To: <sip:{OUTER}>\r\nCall-ID: {unique}\r\nCSeq: {number + 1} OPTIONS\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode()


@pytest.fixture(scope="module")
def border(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Border]:
    missing = missing_for_namespaces()
    if missing is not None:
        pytest.skip(missing)
    directory = tmp_path_factory.mktemp("flood")
    with Lab(directory) as lab:
        yield Border(lab, directory)


FLOOD_PER_S, SECONDS, PROBES = 3000, 4.0, 60


def is_served(border: Border, flood: Program, before: dict[str, dict[str, int]]) -> None:
    """The carrier is answered every time while the flood goes on."""

    def is_felt() -> bool:
        return border.status()["received"]["messages"] > before["received"]["messages"] + 20

    wait_until(is_felt, within_s=PATIENCE_S, what="the flood has come")
    assert flood.running
    assert answered(border.hosts["carrier"], CARRIER, PROBES) == PROBES
    flood.wait(within_s=PATIENCE_S)
    assert border.status()["faults"] == 0


def test_a_flood_from_one_source_is_muted_and_the_carrier_is_served(border: Border) -> None:
    before = border.status()
    flood = border.is_flooded(rate=FLOOD_PER_S, seconds=SECONDS, sources=1, first=STRANGER)
    is_served(border, flood, before)
    after = border.status()
    read = after["received"]["messages"] - before["received"]["messages"] - PROBES
    assert after["muted"]["times"] > before["muted"]["times"]
    assert 0 < read < FLOOD_PER_S * SECONDS / 4
    assert after["muted"]["dropped"] > FLOOD_PER_S * SECONDS / 2
    assert after["muted"]["trouble"] is None


def test_a_flood_from_a_hundred_thousand_forged_sources_mutes_nobody_and_fills_nothing(
    border: Border,
) -> None:
    before, resident = border.status(), border.resident_kib
    flood = border.is_flooded(rate=FLOOD_PER_S, seconds=SECONDS, sources=100_000, first="10.1.0.1")
    is_served(border, flood, before)
    after = border.status()
    assert after["muted"]["times"] == before["muted"]["times"]
    assert after["limits"]["all strangers"]["dropped"] > FLOOD_PER_S
    assert border.resident_kib - resident < 32 * 1024


def test_who_forges_the_carriers_address_mutes_it_not(border: Border) -> None:
    before = border.status()
    flood = border.is_flooded(rate=300, seconds=SECONDS, sources=1, first=CARRIER)
    is_served(border, flood, before)
    assert border.status()["muted"]["times"] == before["muted"]["times"]


def test_a_flood_of_connections_stops_at_what_one_source_may_have(border: Border) -> None:
    before = border.status()["transport"]
    with ExitStack() as stack:
        with border.hosts["stranger"].entered():
            idle = [stack.enter_context(socket.socket()) for _ in range(600)]
        for sock in idle:
            sock.settimeout(PATIENCE_S)
            with suppress(ConnectionError):
                sock.connect((OUTER, 5060))
        with border.hosts["carrier"].entered():
            carrier = stack.enter_context(socket.socket())
        carrier.settimeout(PATIENCE_S)
        carrier.connect((OUTER, 5060))
        carrier.sendall(_options(1, "TCP"))
        assert carrier.recv(65535).startswith(b"SIP/2.0 200 ")
        after = border.status()
        refused = sum(
            after["transport"][name] - before[name]
            for name in ("displaced_unproven", "refused_source_cap", "refused_rate")
        )
        assert refused >= 500
        assert after["connections"] <= 101
