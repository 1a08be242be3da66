"""The example with two trunks, as it is shipped, with Kamailio as both carriers."""

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.carrier import BEHIND, start_carrier
from tests.kit.hosts import Host, Lab, Program, missing_for_namespaces, wait_until
from tests.kit.operator import told
from tests.kit.patience import PATIENCE_S
from tests.kit.sipp import start_sipp

pytestmark = pytest.mark.interop

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy/examples/two-trunks.yaml"
OUTER, INNER, PBX = "203.0.113.10", "192.168.10.2", "192.168.10.5"
WORLD = "203.0.113.90"
FIRST, BACKUP, SECOND = "203.0.113.51", "203.0.113.52", "203.0.113.61"
PASSWORDS = {"FIRST_PASSWORD": "one", "SECOND_PASSWORD": "two"}
SOON_S = 25.0


class Stage:
    """The office, the border with the example, and the carriers on the Internet."""

    def __init__(self, lab: Lab, directory: Path) -> None:
        self.lab = lab
        self.internet, office = lab.switch("internet"), lab.switch("office")
        self.border = lab.host("border")
        self.border.join(self.internet, f"{OUTER}/24")
        self.border.join(office, f"{INNER}/24")
        self.pbx = lab.host("pbx")
        self.pbx.join(office, f"{PBX}/24")
        self.configuration = directory / "sbc.yaml"
        text = EXAMPLE.read_text()
        for old, new in (
            ("interval: 25", "interval: 1"),
            ("state_dir: /var/lib/sbc", "state_dir: state"),
            ("../../policies", str(ROOT / "policies")),
        ):
            assert old in text
            text = text.replace(old, new)
        self.configuration.write_text(text)

    def reach_the_first_by(self, transport: str) -> None:
        """Write a transport to the first trunk's targets, before the SBC starts."""
        text = self.configuration.read_text()
        targets = f'["{FIRST};transport={transport}", "{BACKUP};transport={transport}"]'
        self.configuration.write_text(text.replace(f"[{FIRST}, {BACKUP}]", targets))

    def carrier(self, address: str, algorithm: str = "MD5") -> tuple[Host, Program]:
        host = self.lab.host(f"carrier-{address.rpartition('.')[2]}")
        host.join(self.internet, f"{address}/24")
        second = address == SECOND
        return host, start_carrier(
            host,
            realm="second.example" if second else "first.example",
            password=PASSWORDS["SECOND_PASSWORD" if second else "FIRST_PASSWORD"],
            customer=OUTER,
            algorithm=algorithm,
        )

    def start_sbc(self) -> Program:
        self.sbc = self.border.start(
            "sbc",
            *(sys.executable, "-m", "sbc", "run", str(self.configuration)),
            cwd=ROOT,
            env={"PYTHONUNBUFFERED": "1", **PASSWORDS},
        )
        self.sbc.expect("ready", within_s=PATIENCE_S)
        return self.sbc

    def trunks(self) -> dict[str, tuple[object, object]]:
        """Of each trunk its state and the host that it was registered with or tried last."""
        rows = json.loads(self.ask("trunks", "--json"))
        return {row["trunk"]: (row["state"], str(row["target"]).partition(":")[0]) for row in rows}

    def ask(self, *words: str) -> str:
        return told(self.configuration, *words, environment=PASSWORDS)

    def becomes(self, **trunks: tuple[str, str]) -> None:
        wait_until(
            lambda: self.trunks() == trunks,
            within_s=SOON_S,
            what=f"{trunks}; they are {self.trunks()}\n{self.sbc.tail()}",
        )

    def call_out_by(self, carrier: Host) -> None:
        """A call of the PBX is answered behind that carrier."""
        callee = start_sipp(carrier, "callee_answers.xml", tune="callee", port=BEHIND)
        caller = start_sipp(
            self.pbx,
            "caller_calls.xml",
            tune="caller",
            target=f"{INNER}:5060",
            number="+4989123",
            talk_ms=500,
            port=5090,
        )
        for party in (caller, callee):
            try:
                party.finish(within_s=30)
            except AssertionError as error:
                raise AssertionError(f"{error}\n--- SBC\n{self.sbc.tail(60)}") from None

    def stop_sbc(self) -> None:
        self.sbc.process.send_signal(signal.SIGTERM)
        assert self.sbc.wait(within_s=PATIENCE_S) == 0, self.sbc.tail()
        assert "Traceback" not in self.sbc.output, self.sbc.output


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    reason = missing_for_namespaces("kamailio", "sipp")
    if reason is not None:
        pytest.skip(reason)
    with Lab(tmp_path) as lab:
        yield Stage(lab, tmp_path)


@pytest.mark.parametrize(("algorithm", "transport"), [("MD5", "udp"), ("SHA-256", "tcp")])
def test_a_carrier_that_challenges_is_registered_with_and_called_through(
    stage: Stage, algorithm: str, transport: str
) -> None:
    stage.reach_the_first_by(transport)
    host, kamailio = stage.carrier(FIRST, algorithm)
    stage.carrier(SECOND, algorithm)
    sbc = stage.start_sbc()
    stage.becomes(first=("registered", FIRST), second=("registered", SECOND))
    stage.call_out_by(host)
    suffix = "" if transport == "udp" else ";transport=tcp"
    contact = f"registered acme at <sip:4930123456@{OUTER}:5060{suffix}>"
    assert f"{contact};expires=600" in kamailio.output
    stage.stop_sbc()
    kamailio.expect(f"{contact};expires=0", within_s=PATIENCE_S)
    assert not any(password in sbc.output for password in ("'one'", "'two'", "response="))


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_call_to_our_contact_comes_in_as_the_trunks(stage: Stage, transport: str) -> None:
    stage.reach_the_first_by(transport)
    stage.carrier(FIRST)
    stage.carrier(SECOND)
    world = stage.lab.host("world")
    world.join(stage.internet, f"{WORLD}/24")
    stage.start_sbc()
    stage.becomes(first=("registered", FIRST), second=("registered", SECOND))

    callee = start_sipp(stage.pbx, "callee_answers.xml", tune="callee")
    caller = start_sipp(
        world, "caller_calls.xml", tune="caller", target=f"{FIRST}:5060", number="acme", talk_ms=500
    )
    for party in (caller, callee):
        party.finish(within_s=30)
    (record,) = json.loads(stage.ask("cdr", "--json"))
    assert record["a"]["peer"] == "first", record
    stage.stop_sbc()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_calls_follow_to_the_second_target_and_then_to_the_second_trunk(
    stage: Stage, transport: str
) -> None:
    stage.reach_the_first_by(transport)
    primary, first = stage.carrier(FIRST)
    backup, second = stage.carrier(BACKUP)
    other, _ = stage.carrier(SECOND)
    stage.start_sbc()
    stage.becomes(first=("registered", FIRST), second=("registered", SECOND))
    stage.call_out_by(primary)

    first.stop()
    stage.becomes(first=("registered", BACKUP), second=("registered", SECOND))
    stage.call_out_by(backup)

    second.stop()
    wait_until(
        lambda: stage.trunks()["first"][0] == "backing off",
        within_s=SOON_S,
        what=f"the first trunk is given up\n{stage.sbc.tail()}",
    )
    stage.call_out_by(other)
    stage.stop_sbc()


def test_a_wrong_password_is_said_once_and_not_tried_again(stage: Stage) -> None:
    text = stage.configuration.read_text().replace("${FIRST_PASSWORD}", "wrong-one")
    stage.configuration.write_text(text)
    _, kamailio = stage.carrier(FIRST)
    stage.carrier(SECOND)
    sbc = stage.start_sbc()
    stage.becomes(first=("backing off", FIRST), second=("registered", SECOND))
    sbc.expect(
        "realm 'first.example': it refuses the user name 'acme' or its password",
        within_s=PATIENCE_S,
    )
    assert kamailio.output.count("challenged REGISTER of acme") == 2
    assert "wrong-one" not in sbc.output + stage.ask("trunks") + stage.ask("status")

    stage.configuration.write_text(text.replace("wrong-one", "${FIRST_PASSWORD}"))
    assert "not shown" in stage.ask("reload")
    stage.becomes(first=("registered", FIRST), second=("registered", SECOND))
    registered = kamailio.output.count("registered acme")
    assert "sip:acme@first.example" in stage.ask("trunks", "--register", "first")
    kamailio.expect("registered acme", within_s=PATIENCE_S, times=registered + 1)
    stage.stop_sbc()
