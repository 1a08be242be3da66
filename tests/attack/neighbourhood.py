"""A border, an office behind it, and a crowd of honest users who share an address with an attacker.

users ────┐
          ├── NAT ── internet ── border ── office
attacker ─┘

With IPv6 there is no NAT: each user has an address of its own in the /64 that is the attacker's,
too.
"""

import selectors
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from sbc.management.control import ask
from tests.kit.certificates import Authority, client_context
from tests.kit.crowd import Crowd, Office, UdpLine
from tests.kit.crowd_tls import TlsLine
from tests.kit.hosts import Host, Lab, Program, Switch, wait_until
from tests.kit.nat import INSIDE, OUTSIDE, NatKind, make_router
from tests.kit.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
TLS_PORT = 5061
BORDER, SHARED = "203.0.113.1", "203.0.113.20"
BORDER6, PREFIX6 = "2001:db8:1::1", "2001:db8:2::"
LAN, INNER, OFFICE = "192.168.70", "10.20.0.1", "10.20.0.2"
EDGE = ("policies/edge-default.yaml",)
REMOTE = ("policies/remote-workers.yaml", *EDGE)

_CONFIGURATION = """\
version: 1
networks:
  outside:
    bind: {border}
    listen: [{listen}]
    media_ports: 30000-31999
{tls}
  inside: {{trust: trusted, bind: {inner}, listen: udp/5060, media_ports: 40000-41999}}
peers:
  pbx:
    kind: pbx
    network: inside
    address: "{office}:5060"
    domain: office.example
    media: {{srtp: "off"}}
  phones:
    kind: endpoints
    network: outside
    authentication:
      mode: challenge
      realm: office.example
      algorithms: MD5
      users:
{users}
    registration: {{mode: local}}
    media: {{srtp: {srtp}}}
routes:
  - {{name: phones to the PBX, from: outside, to: pbx}}
policies: [{policies}]
media: {{engine: python}}
firewall: {{nftables: required}}
state_dir: state
"""


def password(user: str) -> str:
    """Of a user, and in no dictionary."""
    return f"correct horse {user}"


class Neighbourhood:
    """The hosts, and one SBC with shipped policies."""

    def __init__(
        self,
        lab: Lab,
        directory: Path,
        *,
        users: int,
        six: bool = False,
        secure: bool = False,
    ) -> None:
        """Lays the cables and starts the SBC.

        Args:
            users: how many accounts there are, from ``1000`` on.
            six: whether the outside is IPv6.
            secure: whether phones must come by TLS, and speak SRTP.
        """
        self.directory = directory
        self.six = six
        self.port = TLS_PORT if secure else 5060
        self.address = BORDER6 if six else BORDER
        self.names = [str(1000 + number) for number in range(users)]
        self.border, self.home = lab.host("border"), lab.host("home")
        self.attacker, self.office = lab.host("attacker"), lab.host("office")
        internet, inside, lan = lab.switch("internet"), lab.switch("inside"), lab.switch("lan")
        self.border.join(internet, f"{BORDER6}/48" if six else f"{BORDER}/24")
        self.border.join(inside, f"{INNER}/24")
        self.office.join(inside, f"{OFFICE}/24")
        router = lab.host("router")
        if six:
            self._route(router, internet, lan)
        else:
            self._translate(router, internet, lan)
        lab.settle()
        self._configure()
        self.sbc: Program = self.border.start(
            "sbc",
            *(sys.executable, "-m", "sbc", "run", str(directory / "sbc.yaml")),
            cwd=ROOT,
            env={"PYTHONUNBUFFERED": "1"},
        )
        self.sbc.expect(" ready ", within_s=PATIENCE_S)

    def people(self, crowd: Crowd) -> None:
        """Give each account a phone, and have the office answer."""
        office = Office(self.office, OFFICE)
        crowd.watch(office.socket, office, selectors.EVENT_READ)
        context = client_context(self.authority)
        for number, name in enumerate(self.names):
            account = name, password(name)
            if self.port == TLS_PORT:
                at = self.address, self.port
                crowd.join(TlsLine(crowd, self.home, at, account, context))
                continue
            host = f"{PREFIX6}{0x1000 + number:x}" if self.six else f"{LAN}.10"
            line = UdpLine(self.home, host, (self.address, self.port), *account)
            crowd.watch(line.socket, line, selectors.EVENT_READ)
            crowd.join(line)

    def attacks(self, what: str, **how: float) -> Program:
        """The attacker begins something; see `tests.attack.neighbour`."""
        words = [f"--{name}={value}" for name, value in how.items()]
        command = (sys.executable, "-m", "tests.attack.neighbour", what, self.address, *words)
        return self.attacker.start(what, *command, cwd=ROOT)

    def scans(self) -> None:
        """Debian's sipvicious begins to look for users, and for the password of one."""
        words = self.directory / "words.txt"
        words.write_text("".join(f"guess{number}\n" for number in range(5000)))
        for command in (
            ("svwar", "--force", "-e100-5000", "-mREGISTER", self.address),
            ("svcrack", f"-u{self.names[0]}", f"-d{words}", self.address),
        ):
            home = {"HOME": str(self.directory)}
            self.attacker.start(command[0], *command, cwd=self.directory, env=home)

    def status(self) -> dict[str, dict[str, int]]:
        """What the SBC says of itself."""
        status = ask(self.directory / "state" / "control.sock", "status", {})
        assert isinstance(status, dict)
        return status

    def bans(self) -> dict[str, list[dict[str, object]]]:
        """Who is shut out, and what was counted."""
        bans = ask(self.directory / "state" / "control.sock", "bans", {})
        assert isinstance(bans, dict)
        return bans

    def until(self, holds: Callable[[], object], what: str) -> None:
        """Wait until something holds."""
        wait_until(holds, within_s=PATIENCE_S, what=what)

    def stop(self) -> None:
        """End the SBC as an operator would; it has not stumbled."""
        self.sbc.process.send_signal(signal.SIGTERM)
        assert self.sbc.wait(within_s=PATIENCE_S) == 0, self.sbc.tail()
        assert "Traceback" not in self.sbc.output, self.sbc.output

    def _translate(self, router: Host, internet: Switch, lan: Switch) -> None:
        router.join(lan, f"{LAN}.1/24", interface=INSIDE)
        router.join(internet, f"{SHARED}/24", interface=OUTSIDE)
        make_router(router, NatKind.PORT_RESTRICTED, pinhole_s=300)
        for host, last in ((self.home, 10), (self.attacker, 66)):
            host.join(lan, f"{LAN}.{last}/24")
            host.route(f"{LAN}.1")

    def _route(self, router: Host, internet: Switch, lan: Switch) -> None:
        router.join(lan, f"{PREFIX6}1/64")
        router.join(internet, "2001:db8:1::2/48")
        router.set_kernel("net/ipv6/conf/all/forwarding", 1)
        self.border.route("2001:db8:1::2", to="2001:db8:2::/64")
        phones = (f"{PREFIX6}{0x1000 + number:x}/64" for number in range(len(self.names)))
        self.home.join(lan, *phones)
        self.attacker.join(lan, f"{PREFIX6}66/64")
        for host in (self.home, self.attacker):
            host.route(f"{PREFIX6}1")

    def _configure(self) -> None:
        self.authority = Authority()
        files = self.authority.issue("office.example").write(self.directory)
        secure = self.port == TLS_PORT
        pair = f"{{certificate: {files.certificate}, key: {files.key}}}"
        (self.directory / "sbc.yaml").write_text(
            _CONFIGURATION.format(
                border=f'"{self.address}"',
                listen=f"{'tls' if secure else 'udp'}/{self.port}",
                tls=f"    tls: {{certificates: [{pair}]}}\n" if secure else "",
                inner=INNER,
                office=OFFICE,
                users="".join(f"        '{name}': '{password(name)}'\n" for name in self.names),
                srtp="require" if secure else "allow",
                policies=", ".join(str(ROOT / one) for one in (REMOTE if secure else EDGE)),
            )
        )
