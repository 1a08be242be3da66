"""The cache before a real registrar: Kamailio sees few of the REGISTERs, and all that matter."""

import re

import pytest

from tests.interop.scene import DOMAIN, PASSWORD, Scene
from tests.kit.baresip import Account, Phone, running_phone
from tests.kit.hosts import Host, Program, missing_for_namespaces, wait_until
from tests.kit.kamailio_registrar import start_registrar
from tests.kit.nat import NatKind
from tests.kit.patience import PATIENCE_S

# What relays media makes no difference to registrations.
pytestmark = [pytest.mark.interop, pytest.mark.parametrize("scene", ["python"], indirect=True)]

CACHE = "{mode: cache, phone_expires: 20, registrar_expires: 3600}"


@pytest.fixture(autouse=True)
def _kamailio() -> None:
    reason = missing_for_namespaces("kamailio")
    if reason is not None:
        pytest.skip(reason)


def taken(registrar: Program, user: str = "1001") -> int:
    """How many REGISTERs of a user the registrar took."""
    return len(re.findall(f"register of {user}", registrar.output))


def a_phone(scene: Scene, home: Host, user: str = "1001", password: str = PASSWORD) -> Phone:
    account = scene.account(user)
    given = Account(user, DOMAIN, account.outbound, password, register_s=20)
    return scene.lab.keep(
        running_phone(home, given, tune=f"{'caller' if user == '1001' else 'callee'}")
    )


def absorbed(scene: Scene) -> int:
    """How many REGISTERs the border answered itself."""
    registers = scene.sbc_status()["registers"]
    assert isinstance(registers, dict)
    return int(registers["absorbed"])


def test_refreshes_end_here_and_leaving_does_not(scene: Scene) -> None:
    registrar = start_registrar(scene.pbx, domain=DOMAIN, password=PASSWORD)
    scene.start_sbc(registration=CACHE)
    phone = a_phone(scene, scene.home(NatKind.PORT_RESTRICTED))
    phone.registered()
    (row,) = scene.ask_sbc("registrations")
    assert row["mode"] == "cache"
    assert float(str(row["registrar_expires_in_s"])) > 3500
    assert float(str(row["expires_in_s"])) < 60

    wait_until(lambda: absorbed(scene) >= 2, within_s=60, what="two refreshes are absorbed")
    assert taken(registrar) == 1

    phone.quit()
    phone.program.wait(within_s=PATIENCE_S)
    assert taken(registrar) == 2
    assert scene.ask_sbc("registrations") == []
    scene.nothing_leaks(known_to_both=[DOMAIN])
    scene.stop_sbc()


def test_a_new_password_reaches_the_registrar(scene: Scene) -> None:
    registrar = start_registrar(scene.pbx, domain=DOMAIN, password=PASSWORD)
    scene.start_sbc(registration=CACHE)
    a_phone(scene, scene.home(NatKind.PORT_RESTRICTED)).registered()

    again = a_phone(scene, scene.home(NatKind.PORT_RESTRICTED), password="stolen")
    again.program.expect("401 Unauthorized", within_s=PATIENCE_S, times=2)
    assert taken(registrar) == 1
    assert absorbed(scene) == 0
    scene.stop_sbc()


def test_phones_behind_the_cache_call_each_other(scene: Scene) -> None:
    start_registrar(scene.pbx, domain=DOMAIN, password=PASSWORD)
    scene.start_sbc(registration=CACHE)
    calling = a_phone(scene, scene.home(NatKind.PORT_RESTRICTED))
    called = a_phone(scene, scene.home(NatKind.SYMMETRIC), "1002")
    calling.registered()
    called.registered()
    wait_until(lambda: absorbed(scene) >= 2, within_s=60, what="both refreshed here")

    calling.dial(f"sip:1002@{DOMAIN}")
    called.in_call()
    calling.hears_tune("callee", 2, within_s=PATIENCE_S)
    called.hang_up()
    calling.call_ended()
    scene.stop_sbc()


def test_a_dead_registrar_costs_no_phone_its_registration(scene: Scene) -> None:
    registrar = start_registrar(scene.pbx, domain=DOMAIN, password=PASSWORD, longest_s=50)
    scene.start_sbc(registration="{mode: cache, phone_expires: 20, registrar_expires: 50}")
    phone = a_phone(scene, scene.home(NatKind.PORT_RESTRICTED))
    phone.registered()
    registrar.stop()

    assert scene.sbc is not None
    scene.sbc.expect("registrar-silent", within_s=50)
    (row,) = scene.ask_sbc("registrations")
    assert row["reachable"] is True
    scene.stop_sbc()
