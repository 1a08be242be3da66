"""Real softphones behind real NATs register and call through the border, and are heard."""

import pytest

from tests.interop.scene import DOMAIN, OUTER, Scene
from tests.kit import sound
from tests.kit.baresip import Phone, running_phone
from tests.kit.hosts import Host, wait_until
from tests.kit.nat import NatKind
from tests.kit.patience import PATIENCE_S
from tests.kit.wire import Capture

pytestmark = pytest.mark.interop

ECHO, TONE = "600", "601"
TONE_HZ = 425


def _phone(
    scene: Scene, host: Host, user: str, tune: str, *, srtp: bool = False, transport: str = "udp"
) -> Phone:
    """A registered phone."""
    account = scene.account(user, srtp=srtp, transport=transport)
    phone = scene.lab.keep(running_phone(host, account, tune=tune))
    phone.registered()
    return phone


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("kind", list(NatKind), ids=lambda kind: str(kind.name).lower())
def test_a_phone_behind_a_nat_registers_and_hears_its_own_echo(
    scene: Scene, kind: NatKind, transport: str
) -> None:
    scene.start_pbx("1001")
    scene.start_sbc()
    phone = _phone(scene, scene.home(kind), "1001", "caller", transport=transport)

    phone.dial(f"sip:{ECHO}@{DOMAIN}")
    phone.hears_tune("caller", 2, within_s=PATIENCE_S)
    phone.hang_up()
    phone.call_ended()

    scene.nothing_leaks(known_to_both=[DOMAIN])
    scene.no_call_is_left(made=1)
    scene.stop_sbc()


def test_a_phone_that_quits_is_forgotten(scene: Scene) -> None:
    scene.start_pbx("1001")
    scene.start_sbc()
    phone = _phone(scene, scene.home(NatKind.SYMMETRIC), "1001", "caller")
    (binding,) = scene.ask_sbc("registrations")
    assert binding["behind_nat"] is True
    assert binding["reachable"] is True

    phone.quit()
    phone.program.wait(within_s=PATIENCE_S)

    assert scene.ask_sbc("registrations") == []
    scene.nothing_leaks(known_to_both=[DOMAIN])
    scene.stop_sbc()


def test_the_tone_of_the_pbx_arrives_as_a_tone(scene: Scene) -> None:
    scene.start_pbx("1001")
    scene.start_sbc()
    phone = _phone(scene, scene.home(NatKind.SYMMETRIC), "1001", "caller")

    phone.dial(f"sip:{TONE}@{DOMAIN}")
    wait_until(
        lambda: len(phone.heard()) >= 2 * sound.RATE_HZ,
        within_s=PATIENCE_S,
        what="two seconds of sound",
    )

    assert sound.share_of_note(phone.heard(), TONE_HZ) >= 0.95
    phone.hang_up()
    phone.call_ended()
    scene.stop_sbc()


@pytest.mark.parametrize(
    ("caller_nat", "callee_nat"),
    [
        (NatKind.PORT_RESTRICTED, NatKind.SYMMETRIC),
        (NatKind.SYMMETRIC, NatKind.PORT_RESTRICTED),
        (NatKind.SYMMETRIC, NatKind.SYMMETRIC),
    ],
    ids=lambda kind: str(kind.name).lower(),
)
def test_phones_behind_nats_call_and_are_called(
    scene: Scene, caller_nat: NatKind, callee_nat: NatKind
) -> None:
    scene.start_pbx("1001", "1002")
    scene.start_sbc()
    calling = _phone(scene, scene.home(caller_nat), "1001", "caller")
    called = _phone(scene, scene.home(callee_nat), "1002", "callee")

    calling.dial(f"sip:1002@{DOMAIN}")
    called.in_call()
    calling.hears_tune("callee", 2, within_s=PATIENCE_S)
    called.hears_tune("caller", 2, within_s=PATIENCE_S)
    called.hang_up()
    calling.call_ended()
    called.call_ended()

    scene.nothing_leaks(known_to_both=[DOMAIN])
    # Into the office and out again.
    scene.no_call_is_left(made=2)
    scene.stop_sbc()


@pytest.mark.parametrize("encrypted", ["caller", "callee", "both"])
def test_srtp_on_one_side_meets_rtp_on_the_other(scene: Scene, encrypted: str) -> None:
    scene.start_pbx("1001", "1002")
    # Phones that insist on SRTP must be offered it: `prefer`. Plain ones then refuse the
    # offered profile, so a plain callee needs `allow`.
    scene.start_sbc(srtp="prefer" if encrypted in ("callee", "both") else "allow")
    at_home = scene.home(NatKind.PORT_RESTRICTED)
    capture = scene.lab.keep(Capture(at_home))
    calling = _phone(scene, at_home, "1001", "caller", srtp=encrypted in ("caller", "both"))
    called = _phone(
        scene,
        scene.home(NatKind.SYMMETRIC),
        "1002",
        "callee",
        srtp=encrypted in ("callee", "both"),
    )

    calling.dial(f"sip:1002@{DOMAIN}")
    called.in_call()
    calling.hears_tune("callee", 2, within_s=PATIENCE_S)
    called.hears_tune("caller", 2, within_s=PATIENCE_S)
    calling.hang_up()
    called.call_ended()

    # What arrived at the caller is a tune to everybody on the wire, or to nobody.
    arrived = sound.heard_in_rtp(capture.datagrams(lambda datagram: not datagram.sent))
    on_the_wire = sound.seconds_of_tune(arrived, sound.TUNES["callee"])
    assert on_the_wire == 0 if encrypted in ("caller", "both") else on_the_wire >= 2
    scene.nothing_leaks(known_to_both=[DOMAIN])
    scene.no_call_is_left(made=2)
    scene.stop_sbc()


def test_a_phone_holds_and_resumes(scene: Scene) -> None:
    scene.start_pbx("1001", "1002")
    scene.start_sbc()
    homes = scene.home(NatKind.PORT_RESTRICTED), scene.home(NatKind.SYMMETRIC)
    # The phone's own recording stops at its first hold, so the wire at its door is listened to.
    at_caller, at_callee = (scene.heard_at(home) for home in homes)
    calling = _phone(scene, homes[0], "1001", "caller")
    called = _phone(scene, homes[1], "1002", "callee")

    calling.dial(f"sip:1002@{DOMAIN}")
    called.in_call()
    for heard, tune in ((at_caller, "callee"), (at_callee, "caller")):
        heard.hears(tune, 1.5, within_s=PATIENCE_S)
    calling.command("hold")
    wait_until(at_callee.is_silent, within_s=PATIENCE_S, what="silence at the held phone")
    wait_until(at_caller.is_silent, within_s=PATIENCE_S, what="silence at the holding phone")
    resumed = at_callee.packets()[-1].at
    calling.command("resume")
    for heard, tune in ((at_caller, "callee"), (at_callee, "caller")):
        heard.hears(tune, 1.5, within_s=PATIENCE_S, after=resumed)
    calling.hang_up()
    called.call_ended()

    scene.nothing_leaks(known_to_both=[DOMAIN])
    scene.no_call_is_left(made=2)
    scene.stop_sbc()


def test_a_pinhole_stays_open_longer_than_the_router_remembers(scene: Scene) -> None:
    scene.start_pbx("1001", "1002")
    scene.start_sbc(keepalive_s=2)
    home = scene.home(NatKind.SYMMETRIC, pinhole_s=5)
    at_home = scene.heard_at(home)
    called = _phone(scene, home, "1002", "callee")

    # Three times what the router remembers, kept alive by the border alone.
    def kept_alive() -> bool:
        from_border = [packet for packet in at_home.packets() if packet.source == OUTER]
        return bool(from_border) and from_border[-1].at - from_border[0].at > 15

    wait_until(kept_alive, within_s=PATIENCE_S, what="keep-alives for fifteen seconds")
    calling = _phone(scene, scene.home(NatKind.PORT_RESTRICTED), "1001", "caller")
    calling.dial(f"sip:1002@{DOMAIN}")
    called.in_call()
    called.hears_tune("caller", 1.5, within_s=PATIENCE_S)
    calling.hang_up()
    called.call_ended()
    scene.stop_sbc()
