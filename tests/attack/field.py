"""Where the attacks happen: the border, an office, phones at home and in public, two attackers.

phone ─┬─ home (port-restricted NAT) ─┐
neighbour                             │
phone ─┬─ home (symmetric NAT) ───────┼── internet ── border ── office ── PBX
neighbour                             │
public phone ─────────────────────────┤
stranger ─────────────────────────────┘
"""

import json
import signal
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TypeVar

from sbc.management.control import NotRunning, ask
from tests.kit.hosts import Host, Lab, Program, wait_until
from tests.kit.nat import INSIDE, OUTSIDE, NatKind, make_router
from tests.kit.operator import told
from tests.kit.patience import PATIENCE_S

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
OUTER, INNER = "203.0.113.1", "10.20.0.1"
PBX, PUBLIC, STRANGER = "10.20.0.2", "203.0.113.40", "203.0.113.66"
OUTER_PORTS, INNER_PORTS = range(30000, 30200), range(40000, 40200)
"""The media ports of the border's two networks."""

_CONFIGURATION = """\
version: 1
networks:
  outside:
    trust: untrusted
    bind: {outer}
    listen: [udp/5060]
    media_ports: {outer_ports.start}-{outer_last}
  inside:
    trust: trusted
    bind: {inner}
    listen: [udp/5060]
    media_ports: {inner_ports.start}-{inner_last}
peers:
  phones:
    kind: trunk
    network: outside
    address: "{public}:5060"
    sources: [{public}, 203.0.113.0/27]
    media: {{srtp: allow, sdes_in_clear: true}}
  pbx: {{kind: pbx, network: inside, address: "{pbx}:5060", media: {{srtp: "off"}}}}
routes:
  - {{name: from phones, from: phones, to: pbx}}
policies: policy.yaml
state_dir: state
media: {{engine: {engine}}}
"""

# The kernel's own filter, `rp_filter`, is skipped for what a connected socket receives.
_REVERSE_PATHS = """
table ip reverse_paths {
  chain arriving {
    type filter hook prerouting priority raw; policy accept;
    iif "lo" accept
    fib saddr . iif oif missing drop
  }
}
"""

# What is attacked here is the media. The phones are known by their addresses, as a trunk is, and
# may call as often as a test wants.
_POLICY = """\
version: 1
rules:
  - {name: everybody may call, then: allow}
"""


class Home(Enum):
    """Where a phone is."""

    PUBLIC = "public"
    PORT_RESTRICTED = "behind a port-restricted NAT"
    SYMMETRIC = "behind a symmetric NAT"

    @property
    def nated(self) -> bool:
        """Whether there is a NAT between it and the border."""
        return self is not Home.PUBLIC


class Field:
    """The networks, everybody on them, and one running SBC."""

    def __init__(
        self, lab: Lab, directory: Path, engine: str, *, outer_ports: range = OUTER_PORTS
    ) -> None:
        """Lays the cables and starts the SBC.

        Args:
            lab: What the hosts belong to.
            directory: For the configuration, the state and the logs of the SBC.
            engine: ``native`` or ``python``, as the configuration has it.
            outer_ports: The media ports of the outer network, if there are to be fewer.
        """
        self.outer_ports = outer_ports
        self.lab = lab
        self.engine = engine
        self.directory = directory
        internet, office = lab.switch("internet"), lab.switch("office")
        self._internet = internet
        self.border = lab.host("border")
        self.border.join(internet, f"{OUTER}/24")
        self.border.join(office, f"{INNER}/24")
        self.border.route("203.0.113.254")
        self.border.run("nft", "-f", "-", text=_REVERSE_PATHS)
        self.pbx = lab.host("pbx")
        self.pbx.join(office, f"{PBX}/24")
        self.stranger = lab.host("stranger")
        self.stranger.join(internet, f"{STRANGER}/24")
        # The border forwards nothing, but Linux takes what comes by any door for each of its
        # addresses: its inner ports are in a stranger's reach.
        self.stranger.route(OUTER, to="10.20.0.0/24")
        public = lab.host("public")
        public.join(internet, f"{PUBLIC}/24")
        self.phones = {Home.PUBLIC: public}
        self.neighbours: dict[Home, Host] = {}
        self.routers: dict[Home, Host] = {}
        for number, home in enumerate((Home.PORT_RESTRICTED, Home.SYMMETRIC), start=1):
            self._build(home, number)
        self._start_sbc()

    def public_host(self, home: Home) -> str:
        """The address under which a phone's packets reach the border."""
        return self.routers[home].addresses[1] if home.nated else self.phones[home].ip

    def commands(self, command: str, **arguments: object) -> object:
        """What a control command of the running SBC gives."""
        return ask(self.directory / "state" / "control.sock", command, arguments)

    def cli(self, *words: str) -> object:
        """What ``sbc … --json`` prints."""
        return json.loads(told(self.directory / "sbc.yaml", *words, "--json"))

    @property
    def resident_kib(self) -> int:
        """Resident memory of the SBC's process."""
        status = Path(f"/proc/{self.sbc.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def until(self, holds: Callable[[], T], what: str) -> T:
        """Wait until something holds, and return what it was.

        Raises:
            NeverHappened: it did not; the end of the SBC's log is in the message.
        """
        try:
            return wait_until(holds, within_s=PATIENCE_S, what=what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n--- SBC\n{self.sbc.tail()}") from None

    def is_quiet(self) -> None:
        """No call, stream or port is left, and nothing went wrong in the SBC."""

        def quiet() -> bool:
            status = self.commands("status")
            assert isinstance(status, dict)
            media = status["media"]
            return not (status["calls"] or media["streams"] or any(media["ports_in_use"].values()))

        self.until(quiet, "no call is left")
        status = self.commands("status")
        assert isinstance(status, dict)
        assert status["faults"] == 0
        assert "Traceback" not in self.sbc.output, self.sbc.output

    def stop(self) -> None:
        """End the SBC as an operator would; it leaves in order."""
        self.sbc.process.send_signal(signal.SIGTERM)
        assert self.sbc.wait(within_s=PATIENCE_S) == 0, self.sbc.tail()

    def _build(self, home: Home, number: int) -> None:
        """A LAN with a phone and a neighbour behind a router."""
        kind = NatKind.SYMMETRIC if home is Home.SYMMETRIC else NatKind.PORT_RESTRICTED
        lan, net = self.lab.switch(f"home{number}"), f"192.168.{70 + number}"
        router = self.routers[home] = self.lab.host(f"router{number}")
        router.join(lan, f"{net}.1/24", interface=INSIDE)
        router.join(self._internet, f"203.0.113.{20 + number}/24", interface=OUTSIDE)
        make_router(router, kind)
        for name, last, hosts in (("phone", 10, self.phones), ("neighbour", 66, self.neighbours)):
            host = hosts[home] = self.lab.host(f"{name}{number}")
            host.join(lan, f"{net}.{last}/24")
            host.route(f"{net}.1")

    def _start_sbc(self) -> None:
        (self.directory / "policy.yaml").write_text(_POLICY)
        (self.directory / "sbc.yaml").write_text(
            _CONFIGURATION.format(
                outer=OUTER,
                inner=INNER,
                pbx=PBX,
                public=PUBLIC,
                outer_ports=self.outer_ports,
                outer_last=self.outer_ports.stop - 1,
                inner_ports=INNER_PORTS,
                inner_last=INNER_PORTS.stop - 1,
                engine=self.engine,
            )
        )
        words = ("-m", "sbc", "run", str(self.directory / "sbc.yaml"))
        self.sbc: Program = self.border.start("sbc", sys.executable, *words, cwd=ROOT)
        self.until(self._answers, "the SBC answers")

    def _answers(self) -> bool:
        assert self.sbc.running, self.sbc.tail()
        try:
            status = self.commands("status")
        except NotRunning:
            return False
        assert isinstance(status, dict)
        assert status["media"]["engine"] == self.engine, status["media"]["why"]
        return True
