"""The example with a PBX, phones behind NAT and a trunk, as it is shipped, with Kamailio as PBX."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.baresip import Account, Phone, running_phone
from tests.kit.hosts import Host, Lab, Program, missing_for_namespaces
from tests.kit.kamailio_registrar import start_registrar
from tests.kit.nat import INSIDE, OUTSIDE, NatKind, make_router
from tests.kit.operator import told
from tests.kit.patience import PATIENCE_S
from tests.kit.sipp import Sipp, start_sipp

pytestmark = pytest.mark.interop

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy/examples/pbx-phones-trunk.yaml"
DOMAIN, PASSWORD = "pbx.example.com", "secret"
OUTER, INNER, PBX = "203.0.113.10", "192.168.10.2", "192.168.10.5"
CARRIER = "203.0.113.200"
TALK_S = 2.0


class Stage:
    """The office with its PBX, the border with the example, a carrier and homes on the Internet."""

    def __init__(self, lab: Lab, directory: Path) -> None:
        self.lab = lab
        self.internet, office = lab.switch("internet"), lab.switch("office")
        self.border = lab.host("border")
        self.border.join(self.internet, f"{OUTER}/24")
        self.border.join(office, f"{INNER}/24")
        self.pbx = lab.host("pbx")
        self.pbx.join(office, f"{PBX}/24")
        self.carrier = lab.host("carrier")
        self.carrier.join(self.internet, f"{CARRIER}/24")
        self.configuration = directory / "sbc.yaml"
        text = EXAMPLE.read_text()
        for old, new in (
            ("sip.carrier.example;transport=tcp", f"{CARRIER};transport=tcp"),
            ("198.51.100.0/28", CARRIER),
            ("state_dir: /var/lib/sbc", "state_dir: state"),
            ("../../policies", str(ROOT / "policies")),
        ):
            assert old in text
            text = text.replace(old, new)
        self.configuration.write_text(text)

    def start(self) -> Program:
        start_registrar(self.pbx, domain=DOMAIN, password=PASSWORD)
        command = (sys.executable, "-m", "sbc", "run", str(self.configuration))
        self.sbc = self.border.start("sbc", *command, cwd=ROOT, env={"PYTHONUNBUFFERED": "1"})
        self.sbc.expect("ready", within_s=PATIENCE_S)
        return self.sbc

    def phone(self, user: str, kind: NatKind, number: int) -> Phone:
        """A registered softphone at home, behind a router of its own."""
        lan = self.lab.switch(f"home{number}")
        router = self.lab.host(f"router{number}")
        router.join(lan, f"192.168.{70 + number}.1/24", interface=INSIDE)
        router.join(self.internet, f"203.0.113.{20 + number}/24", interface=OUTSIDE)
        make_router(router, kind)
        home = self.lab.host(f"phone{number}")
        home.join(lan, f"192.168.{70 + number}.10/24")
        home.route(f"192.168.{70 + number}.1")
        account = Account(user, DOMAIN, f"{OUTER}:5060", PASSWORD, register_s=60)
        tune = "caller" if number == 1 else "callee"
        phone = self.lab.keep(running_phone(home, account, tune=tune))
        phone.registered()
        return phone

    def calls(self, host: Host, number: str, target: str) -> Sipp:
        return start_sipp(
            host,
            "caller_calls.xml",
            tune="caller",
            target=f"{target}:5060",
            number=number,
            talk_ms=1500,  # of a call of no whole second baresip does not say how long it was
            port=5090,
        )

    def ask(self, *words: str) -> list[dict[str, object]]:
        rows = json.loads(told(self.configuration, *words, "--json"))
        assert isinstance(rows, list)
        return rows


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    reason = missing_for_namespaces("kamailio", "sipp", "baresip", "nft")
    if reason is not None:
        pytest.skip(reason)
    with Lab(tmp_path) as lab:
        yield Stage(lab, tmp_path)


def test_phones_behind_nat_register_and_call_each_other_and_hear_each_other(stage: Stage) -> None:
    stage.start()
    calling = stage.phone("1001", NatKind.PORT_RESTRICTED, 1)
    called = stage.phone("1002", NatKind.SYMMETRIC, 2)
    rows = stage.ask("registrations")
    assert {row["aor"]: (row["behind_nat"], row["reachable"]) for row in rows} == {
        f"sip:{user}@{DOMAIN}": (True, True) for user in ("1001", "1002")
    }
    calling.dial(f"sip:1002@{DOMAIN}")
    called.in_call()
    calling.hears_tune("callee", TALK_S, within_s=PATIENCE_S)
    called.hears_tune("caller", TALK_S, within_s=PATIENCE_S)
    calling.hang_up()
    called.call_ended()


def test_the_carrier_is_called_by_the_pbx_and_calls_a_phone(stage: Stage) -> None:
    sbc = stage.start()
    phone = stage.phone("1001", NatKind.SYMMETRIC, 1)
    callee = start_sipp(stage.carrier, "callee_answers.xml", tune="callee", transport="tcp")
    for party in (stage.calls(stage.pbx, "+4989123", INNER), callee):
        party.finish(within_s=30)
    incoming = stage.calls(stage.carrier, "1001", OUTER)
    phone.in_call()
    incoming.finish(within_s=30)
    phone.call_ended()
    routes = "".join(line for line in sbc.output.splitlines() if " call " in line)
    assert "calls to the carrier" in routes
    assert "calls from the carrier" in routes


def test_a_stranger_calls_nobody(stage: Stage) -> None:
    sbc = stage.start()
    stranger = stage.lab.host("stranger")
    stranger.join(stage.internet, "203.0.113.201/24")
    with pytest.raises(AssertionError):
        stage.calls(stranger, "+4989123", OUTER).finish(within_s=30)
    sbc.expect("by rule 'not registered'", within_s=PATIENCE_S)
    assert stage.ask("cdr") == []
