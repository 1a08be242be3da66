"""Digest with real peers: trunks that challenge us, trunks and phones that we challenge."""

import re

import pytest

from tests.interop.scene import DOMAIN, INNER, OUTER, PASSWORD, PBX, Scene
from tests.kit.baresip import running_phone
from tests.kit.carrier import BEHIND, start_carrier
from tests.kit.hosts import missing_for_namespaces
from tests.kit.nat import NatKind
from tests.kit.patience import PATIENCE_S
from tests.kit.sipp import start_sipp

pytestmark = [pytest.mark.interop, pytest.mark.parametrize("scene", ["native"], indirect=True)]

ACCOUNT = "{mode: answer, username: acme, password: s3cret}"


@pytest.fixture
def kamailio() -> None:
    reason = missing_for_namespaces("kamailio")
    if reason is not None:
        pytest.skip(reason)


def test_a_sipp_trunk_that_challenges_with_md5_is_answered(scene: Scene) -> None:
    caller = scene.caller()
    at_caller, at_callee = scene.heard_at(caller), scene.heard_at(scene.pbx)
    scene.start_sbc(authentication={"pbx": ACCOUNT})

    callee = start_sipp(scene.pbx, "callee_challenges.xml", tune="callee")
    calling = start_sipp(caller, "caller_calls.xml", tune="caller", target=f"{OUTER}:5060")
    scene.finish(calling, callee)

    assert at_caller.seconds_of("callee") >= 2
    assert at_callee.seconds_of("caller") >= 2
    scene.nothing_leaks()
    scene.no_call_is_left(made=1)
    scene.stop_sbc()


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_a_kamailio_trunk_is_answered_in_its_algorithm(
    kamailio: None, scene: Scene, algorithm: str
) -> None:
    caller = scene.caller()
    at_caller, at_callee = scene.heard_at(caller), scene.heard_at(scene.pbx)
    carrier = start_carrier(
        scene.pbx, realm="carrier.example", password="s3cret", customer=INNER, algorithm=algorithm
    )
    scene.start_sbc(authentication={"pbx": ACCOUNT})

    callee = start_sipp(scene.pbx, "callee_answers.xml", tune="callee", port=BEHIND, calls=2)
    for _ in range(2):
        calling = start_sipp(caller, "caller_calls.xml", tune="caller", target=f"{OUTER}:5060")
        scene.finish(calling)
    scene.finish(callee)

    assert at_caller.seconds_of("callee") >= 2
    assert at_callee.seconds_of("caller") >= 2
    # The second call carried credentials at once.
    said = re.findall(r"challenged INVITE|proved INVITE by acme", carrier.output)
    assert said == ["challenged INVITE", *["proved INVITE by acme"] * 2]
    scene.no_call_is_left(made=2)
    scene.stop_sbc()


def test_a_sipp_trunk_that_logs_in_is_let_in(scene: Scene) -> None:
    caller = scene.caller()
    at_caller = scene.heard_at(caller)
    rules = "mode: challenge, realm: border.example, algorithms: MD5, users: {acme: s3cret}"
    scene.start_sbc(authentication={"carrier": f"{{{rules}}}"})

    callee = start_sipp(scene.pbx, "callee_answers.xml", tune="callee")
    calling = start_sipp(caller, "caller_logs_in.xml", tune="caller", target=f"{OUTER}:5060")
    scene.finish(calling, callee)

    assert at_caller.seconds_of("callee") >= 2
    scene.nothing_leaks()
    scene.no_call_is_left(made=1)
    scene.stop_sbc()


def test_a_phone_logs_in_at_the_border_and_the_pbx_sees_no_credentials(scene: Scene) -> None:
    # This one gives up over an algorithm that it does not know.
    rules = "mode: challenge, realm: border.example, algorithms: MD5"
    scene.start_sbc(authentication={"phones": f"{{{rules}, users: {{'1001': {PASSWORD}}}}}"})
    registrar = start_sipp(scene.pbx, "callee_takes_registration.xml", tune="callee")
    home = scene.home(NatKind.PORT_RESTRICTED)
    at_phone = scene.heard_at(home)
    phone = scene.lab.keep(running_phone(home, scene.account("1001"), tune="caller"))
    phone.registered()
    scene.finish(registrar)

    callee = start_sipp(scene.pbx, "callee_answers.xml", tune="callee")
    phone.dial(f"sip:600@{DOMAIN}")
    at_phone.hears("callee", 2, within_s=PATIENCE_S)
    phone.hang_up()
    phone.call_ended()
    scene.finish(callee)

    to_pbx = scene.crossing.datagrams(lambda packet: packet.destination == PBX)
    assert any(packet.payload.startswith(b"INVITE") for packet in to_pbx)
    assert not any(b"border.example" in packet.payload for packet in to_pbx)
    scene.no_call_is_left(made=1)
    scene.stop_sbc()


def test_a_phone_with_a_wrong_password_does_not_register(scene: Scene) -> None:
    rules = "mode: challenge, realm: border.example, algorithms: MD5"
    scene.start_sbc(authentication={"phones": f"{{{rules}, users: {{'1001': another}}}}"})
    home = scene.home(NatKind.PORT_RESTRICTED)
    phone = scene.lab.keep(running_phone(home, scene.account("1001"), tune="caller"))
    phone.program.expect("401 Unauthorized", within_s=PATIENCE_S, times=2)

    assert scene.sbc is not None
    scene.sbc.expect("the password is wrong", within_s=PATIENCE_S)
    assert scene.ask_sbc("registrations") == []
    scene.stop_sbc()
