"""SIPp calls SIPp through the border: over UDP, TCP and mixed, with sound checked at both ends."""

import pytest

from tests.interop.scene import CALLER, CALLER6, OUTER, OUTER6, Scene
from tests.kit.sipp import start_sipp

pytestmark = pytest.mark.interop

TRANSPORTS = [("udp", "udp"), ("tcp", "tcp"), ("udp", "tcp"), ("tcp", "udp")]


@pytest.mark.parametrize(("outside", "inside"), TRANSPORTS)
def test_a_call_is_set_up_heard_both_ways_and_ended(
    scene: Scene, outside: str, inside: str
) -> None:
    caller = scene.caller()
    at_caller, at_callee = scene.heard_at(caller), scene.heard_at(scene.pbx)
    scene.start_sbc(pbx_transport=inside)

    callee = start_sipp(scene.pbx, "callee_answers.xml", tune="callee", transport=inside)
    calling = start_sipp(
        caller, "caller_calls.xml", tune="caller", transport=outside, target=f"{OUTER}:5060"
    )
    scene.finish(calling, callee)

    assert at_caller.seconds_of("callee") >= 2
    assert at_callee.seconds_of("caller") >= 2
    scene.nothing_leaks()
    scene.no_call_is_left(made=1)
    scene.stop_sbc()


def test_ipv6_outside_reaches_ipv4_inside(scene: Scene) -> None:
    caller = scene.caller()
    at_caller, at_callee = scene.heard_at(caller), scene.heard_at(scene.pbx)
    scene.start_sbc()

    callee = start_sipp(scene.pbx, "callee_answers.xml", tune="callee")
    calling = start_sipp(
        caller, "caller_calls.xml", tune="caller", address=CALLER6, target=f"[{OUTER6}]:5060"
    )
    scene.finish(calling, callee)

    assert at_caller.seconds_of("callee") >= 2
    assert at_callee.seconds_of("caller") >= 2
    scene.nothing_leaks()
    scene.no_call_is_left(made=1)
    scene.stop_sbc()


def test_a_call_to_the_emergency_service_reaches_its_number(scene: Scene) -> None:
    caller = scene.caller()
    at_caller, at_callee = scene.heard_at(caller), scene.heard_at(scene.pbx)
    scene.start_sbc()

    callee = start_sipp(scene.pbx, "callee_answers.xml", tune="callee")
    calling = start_sipp(
        caller, "caller_calls.xml", tune="caller", target=f"{OUTER}:5060",
        called="urn:service:sos.police",
    )  # fmt: skip
    scene.finish(calling, callee)

    assert any(one.payload.startswith(b"INVITE sip:112@") for one in at_callee.packets(5060))
    assert at_caller.seconds_of("callee") >= 2
    scene.no_call_is_left(made=1)
    scene.stop_sbc()


def test_early_media_is_heard_before_the_answer(scene: Scene) -> None:
    caller = scene.caller()
    at_caller = scene.heard_at(caller)
    scene.start_sbc()

    callee = start_sipp(scene.pbx, "callee_sends_early_media.xml", tune="callee")
    calling = start_sipp(caller, "caller_calls.xml", tune="caller", target=f"{OUTER}:5060")
    scene.finish(calling, callee)

    answered = next(
        packet.at for packet in at_caller.packets(5060) if packet.payload.startswith(b"SIP/2.0 200")
    )
    assert at_caller.seconds_of("callee", before=answered) >= 2
    assert at_caller.seconds_of("callee", after=answered) >= 2
    scene.nothing_leaks()
    scene.no_call_is_left(made=1)
    scene.stop_sbc()


@pytest.mark.parametrize(
    ("caller_does", "callee_does", "sound"),
    [
        ("caller_is_hung_up_on.xml", "callee_hangs_up.xml", True),
        ("caller_gives_up.xml", "callee_is_given_up.xml", False),
        ("caller_is_refused.xml", "callee_refuses.xml", False),
    ],
)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_calls_end_the_other_ways_too(
    scene: Scene, caller_does: str, callee_does: str, sound: bool, transport: str
) -> None:
    caller = scene.caller()
    at_caller, at_callee = scene.heard_at(caller), scene.heard_at(scene.pbx)
    scene.start_sbc(pbx_transport=transport)

    callee = start_sipp(scene.pbx, callee_does, tune="callee", transport=transport)
    calling = start_sipp(
        caller, caller_does, tune="caller", transport=transport, target=f"{OUTER}:5060"
    )
    scene.finish(calling, callee)

    if sound:
        assert at_caller.seconds_of("callee") >= 2
        assert at_callee.seconds_of("caller") >= 2
    scene.nothing_leaks()
    scene.no_call_is_left(made=1)
    scene.stop_sbc()


@pytest.mark.parametrize(
    ("direction", "address", "offered", "answered"),
    [
        ("sendonly", CALLER, "a=sendonly", "recvonly"),
        ("inactive", CALLER, "a=inactive", "inactive"),
        ("sendonly", "0.0.0.0", "a=(sendonly|inactive)|c=IN IP4 0.0.0.0", "(recvonly|inactive)"),
    ],
    ids=["sendonly", "inactive", "null-address"],
)
def test_a_call_is_held_and_resumed(
    scene: Scene, direction: str, address: str, offered: str, answered: str
) -> None:
    caller = scene.caller()
    at_caller, at_callee = scene.heard_at(caller), scene.heard_at(scene.pbx)
    scene.start_sbc()
    answer = "inactive" if direction == "inactive" else "recvonly"

    callee = start_sipp(
        scene.pbx,
        "callee_is_held.xml",
        tune="callee",
        keys={"offered_hold": offered, "answer_direction": answer},
    )
    calling = start_sipp(
        caller,
        "caller_holds.xml",
        tune="caller",
        target=f"{OUTER}:5060",
        keys={
            "hold_direction": direction,
            "hold_address": address,
            "answer_direction": answered,
        },
    )
    scene.finish(calling, callee)

    # The caller's third INVITE of the call resumes it.
    resumed = [
        packet.at for packet in at_callee.packets(5060) if packet.payload.startswith(b"INVITE ")
    ][-1]
    for heard, tune in ((at_caller, "callee"), (at_callee, "caller")):
        assert heard.seconds_of(tune, before=resumed) >= 2
        assert heard.seconds_of(tune, after=resumed) >= 2
    scene.nothing_leaks()
    scene.no_call_is_left(made=1)
    scene.stop_sbc()
