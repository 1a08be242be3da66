"""A border on the Internet with a PBX behind it, honest phones around it, and an attacker."""

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.kit.hosts import Lab, Program, wait_until
from tests.kit.operator import told
from tests.kit.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
BORDER, PHONE, ATTACKER, VICTIM = "203.0.113.1", "203.0.113.7", "203.0.113.66", "203.0.113.99"
NAME_SERVER = "203.0.113.53"
INNER, PBX = "10.20.0.1", "10.20.0.2"
USER, PASSWORD = "150", "correct horse"

_CONFIGURATION = """\
version: 1
networks:
  outside: {{bind: {border}, listen: [udp/5060, tcp/5060], media_ports: 30000-30199}}
  inside: {{trust: trusted, bind: {inner}, listen: udp/5060, media_ports: 40000-40199}}
peers:
  pbx: {{kind: pbx, network: inside, address: "{pbx}:5060", domain: office.example}}
  phones:
    kind: endpoints
    network: outside
    authentication: {authentication}
    registration: {{mode: {registration}}}
routes:
  - {{name: phones to the PBX, from: outside, to: pbx}}
  - {{name: PBX to phones, from: pbx, to: phones}}
policies: policy.yaml
media: {{engine: python}}
firewall: {{nftables: {nftables}}}
dns: {{servers: [{name_server}]}}
state_dir: state
"""


class Besieged:
    """The hosts, and one SBC with the shipped policy."""

    def __init__(
        self,
        lab: Lab,
        directory: Path,
        *,
        named: bool = True,
        challenge: bool = True,
        nftables: str = "required",
        edit: Callable[[str], str] = str,
    ) -> None:
        """Lays the cables and starts everybody.

        Args:
            named: whether scanners are known by their names, or by what they do alone.
            challenge: whether the border asks for passwords, or the PBX.
            nftables: as the configuration has it.
            edit: what else is different in the configuration.
        """
        self.directory = directory
        internet, office = lab.switch("internet"), lab.switch("office")
        self.border = lab.host("border")
        self.border.join(internet, f"{BORDER}/24")
        self.border.join(office, f"{INNER}/24")
        self.pbx, self.phone = lab.host("pbx"), lab.host("phone")
        self.pbx.join(office, f"{PBX}/24")
        self.phone.join(internet, f"{PHONE}/24")
        self.attacker, self.victim = lab.host("attacker"), lab.host("victim")
        self.attacker.join(internet, f"{ATTACKER}/24")
        self.victim.join(internet, f"{VICTIM}/24", f"{NAME_SERVER}/24")
        lab.settle()
        policy = (ROOT / "policies/edge-default.yaml").read_text()
        if not named:
            policy = policy.replace("  shadow: false\n", "  scanners: [nobody-says-this]\n")
            policy = policy.replace("        - friendly-scanner\n", "")
            policy = policy.replace("        - sipvicious\n", "")
        (directory / "policy.yaml").write_text(policy)
        # MD5, since svcrack knows nothing else.
        users = (
            "{mode: challenge, realm: office.example, algorithms: MD5, "
            f"users: {{'{USER}': '{PASSWORD}'}}}}"
        )
        self.configuration = directory / "sbc.yaml"
        text = _CONFIGURATION.format(
            border=BORDER,
            inner=INNER,
            pbx=PBX,
            name_server=NAME_SERVER,
            nftables=nftables,
            authentication=users if challenge else "{mode: pass}",
            registration="local" if challenge else "relay",
        )
        self.configuration.write_text(edit(text))
        words = ("--listen", f"{PBX}:5060", "--user", f"{USER}:{PASSWORD}")
        self.server = self.pbx.start("pbx", sys.executable, "-m", "sbc.demo.pbx", *words, cwd=ROOT)
        self.server.expect("PBX at", within_s=PATIENCE_S)
        self.sbc: Program = self.start()

    def start(self) -> Program:
        """Run the SBC until it is ready."""
        self.sbc = self.border.start(
            "sbc",
            *(sys.executable, "-m", "sbc", "run", str(self.configuration)),
            cwd=ROOT,
            env={"PYTHONUNBUFFERED": "1"},
        )
        self.sbc.expect(" ready ", within_s=PATIENCE_S)
        return self.sbc

    def stop(self) -> None:
        """End the SBC as an operator would; it has not stumbled."""
        self.sbc.process.send_signal(signal.SIGTERM)
        assert self.sbc.wait(within_s=PATIENCE_S) == 0, self.sbc.tail()
        assert "Traceback" not in self.sbc.output, self.sbc.output

    def ask(self, *words: str) -> Any:
        """What a command of the SBC says, as JSON."""
        return json.loads(told(self.configuration, *words, "--json"))

    def bans(self) -> list[str]:
        """Who is banned."""
        return [ban["source"] for ban in self.ask("bans")["bans"]]

    def until(self, holds: Any, what: str) -> None:
        """Wait until something holds."""
        try:
            wait_until(holds, within_s=PATIENCE_S, what=what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n--- SBC\n{self.sbc.tail()}") from None
