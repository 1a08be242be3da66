"""The example of a site without a PBX, as it is shipped, with real phones behind one router."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.baresip import Account, Phone, running_phone
from tests.kit.hosts import Lab, Switch, missing_for_namespaces
from tests.kit.nat import INSIDE, OUTSIDE, NatKind, make_router
from tests.kit.patience import PATIENCE_S

pytestmark = pytest.mark.interop

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy/examples/small-site.yaml"
OUTER = "203.0.113.10"
PASSWORDS = {"ALICE_PASSWORD": "wonder", "BOB_PASSWORD": "builder"}


class Site:
    """The border with the example, and an office behind a router."""

    def __init__(self, lab: Lab, directory: Path) -> None:
        self.lab = lab
        internet, self.office = lab.switch("internet"), lab.switch("office")
        border = lab.host("border")
        border.join(internet, f"{OUTER}/24")
        _router(lab, internet, self.office)
        text = EXAMPLE.read_text()
        for old, new in (
            ("address: sip.carrier.example", "address: 203.0.113.40"),
            ("# algorithms: MD5", "algorithms: MD5"),
            ("state_dir: /var/lib/sbc", "state_dir: state"),
            ("../../policies", str(ROOT / "policies")),
        ):
            assert old in text
            text = text.replace(old, new)
        configuration = directory / "sbc.yaml"
        configuration.write_text(text)
        self.sbc = border.start(
            "sbc",
            *(sys.executable, "-m", "sbc", "run", str(configuration)),
            cwd=ROOT,
            env={"PYTHONUNBUFFERED": "1", **PASSWORDS},
        )
        self.sbc.expect("ready", within_s=PATIENCE_S)

    def phone(self, user: str, password: str, number: int, *, tune: str = "caller") -> Phone:
        """A softphone in the office."""
        host = self.lab.host(f"phone{number}")
        host.join(self.office, f"192.168.71.{10 + number}/24")
        host.route("192.168.71.1")
        account = Account(user, "office.example", f"{OUTER}:5060", password, register_s=60)
        return self.lab.keep(running_phone(host, account, tune=tune, port=5060 + number))


def _router(lab: Lab, internet: Switch, office: Switch) -> None:
    router = lab.host("router")
    router.join(office, "192.168.71.1/24", interface=INSIDE)
    router.join(internet, "203.0.113.21/24", interface=OUTSIDE)
    make_router(router, NatKind.SYMMETRIC)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    reason = missing_for_namespaces("baresip", "nft")
    if reason is not None:
        pytest.skip(reason)
    with Lab(tmp_path) as lab:
        yield Site(lab, tmp_path)


def test_phones_log_in_here_and_call_each_other(site: Site) -> None:
    alice = site.phone("alice", "wonder", 1)
    bob = site.phone("bob", "builder", 2, tune="callee")
    alice.registered()
    bob.registered()
    alice.dial("sip:bob@office.example")
    bob.in_call()
    alice.hears_tune("callee", 2, within_s=PATIENCE_S)
    bob.hears_tune("caller", 2, within_s=PATIENCE_S)
    bob.hang_up()
    alice.call_ended()


def test_who_has_not_the_password_is_refused_and_the_log_says_why(site: Site) -> None:
    guessing = site.phone("alice", "guess", 1)
    guessing.program.expect("401 Unauthorized", within_s=PATIENCE_S, times=2)
    site.sbc.expect("the password is wrong", within_s=PATIENCE_S)
    assert "phone-registered" not in site.sbc.output
