"""`sbc demo` as an operator runs it: processes, sockets and the real clock."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sbc.demo.sound import compare, melody, play_melody
from tests.kit.baresip import Account, running_phone
from tests.kit.engines import ENGINES, need_engine
from tests.kit.hosts import Host, Lab, Program, missing_for_namespaces, wait_until
from tests.kit.patience import PATIENCE_S

MELODY = play_melody(melody(16))
ROOT = Path(__file__).parents[2]
DEMO = (sys.executable, "-m", "sbc", "demo")


@pytest.mark.parametrize("engine", ENGINES)
def test_one_pass_hears_both_ways_and_says_so(engine: str) -> None:
    need_engine(engine)
    command = [*DEMO, "--once", "--engine", engine]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert f"media engine: {engine}" in done.stdout
    assert done.returncode == 0, done.stdout + done.stderr
    assert "VERDICT: OK" in done.stdout
    # The ladder is the SBC's own, and so is what it tells of the latch.
    assert re.search(r"\|-INVITE sip:600@127\.0\.0\.1:\d+-+>\|", done.stdout)
    assert re.search(r"latched to 127\.0\.0\.4:\d+", done.stdout)
    assert re.search(r"phone -> SBC -> PBX +50 of 50 notes right; \d+ packets, 0 lost", done.stdout)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    reason = missing_for_namespaces("baresip")
    if reason is not None:
        pytest.skip(reason)
    with Lab(tmp_path) as made:
        yield made


@pytest.fixture
def street(lab: Lab) -> tuple[Host, Host, Host]:
    """Three hosts on one switch: the demo's and two softphones'."""
    switch = lab.switch("street")
    hosts = lab.host("demo"), lab.host("alice"), lab.host("bob")
    for host, address in zip(hosts, ("203.0.113.1", "203.0.113.2", "203.0.113.3"), strict=True):
        host.join(switch, f"{address}/24")
    return hosts


def keep_running(host: Host) -> Program:
    demo = host.start("demo", *DEMO, cwd=ROOT)
    demo.expect("Ctrl-C stops everything", within_s=60)
    return demo


def account_on(demo: Program, user: str) -> Account:
    """What the demo tells everybody to type into a softphone."""
    server = re.search(r"SIP server / domain +(\S+)", demo.output)
    password = re.search(r"password +(\S+)", demo.output)
    assert server is not None
    assert password is not None
    return Account(user, server[1], password=password[1], register_s=300)


@pytest.mark.interop
def test_a_real_softphone_registers_hears_itself_and_calls_the_phone_behind_the_nat(
    street: tuple[Host, Host, Host],
) -> None:
    demo = keep_running(street[0])
    account = account_on(demo, "1001")
    with running_phone(street[1], account, tune="caller") as softphone:
        softphone.registered()
        softphone.dial(f"sip:600@{account.domain}")
        softphone.hears_tune("caller", 1.0, within_s=PATIENCE_S)
        softphone.hang_up()
        softphone.call_ended()
        softphone.dial(f"sip:1000@{account.domain}")
        wait_until(
            lambda: compare(MELODY, softphone.heard()).right >= 12,
            within_s=PATIENCE_S,
            what="the melody of the phone behind the NAT",
        )
    demo.expect("INVITE 1001 -> 1000", within_s=PATIENCE_S)
    demo.process.send_signal(signal.SIGINT)
    assert demo.wait(within_s=PATIENCE_S) == 0


@pytest.mark.interop
def test_two_real_softphones_call_each_other(street: tuple[Host, Host, Host]) -> None:
    demo = keep_running(street[0])
    with (
        running_phone(street[1], account_on(demo, "1001"), tune="caller") as alice,
        running_phone(street[2], account_on(demo, "1002"), tune="callee") as bob,
    ):
        alice.registered()
        bob.registered()
        alice.dial(f"sip:1002@{account_on(demo, '1001').domain}")
        bob.in_call()
        alice.hears_tune("callee", 1.0, within_s=PATIENCE_S)
        bob.hears_tune("caller", 1.0, within_s=PATIENCE_S)
        bob.hang_up()
        alice.call_ended()
