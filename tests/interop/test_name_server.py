"""A real name server in the office: what it says is followed, and its silence holds up nobody."""

import socket
import time
from pathlib import Path

import pytest

from sbc.sip.message import Request, make_response, serialize
from sbc.sip.parser import parse_message_untrusted
from tests.interop.scene import CALLER, INNER, OUTER, PBX, Scene
from tests.kit.hosts import Host, Lab, missing_for_namespaces, wait_until
from tests.kit.knot import Knot
from tests.kit.sipp import start_sipp
from tests.kit.switchboard import OFFER, a_message

pytestmark = pytest.mark.interop

NAME_SERVER = "10.20.0.53"
DNS = f"dns: {{servers: {NAME_SERVER}, timeout: 0.5, attempts: 2}}"
ZONE = "office.example"
_FOLLOWED_S = 20.0
_CALLS = 20
_GENEROUS_S = 1.0
"""For one message through the border, on a machine that does much else: DNS would take longer."""


@pytest.fixture
def stage(lab: Lab, tmp_path: Path) -> Scene:
    """The scene, with the engine that is everywhere: no name is looked up for media."""
    reason = missing_for_namespaces("knotd", "nft", "sipp")
    if reason is not None:
        pytest.skip(reason)
    return Scene(lab, tmp_path, "python")


@pytest.fixture
def names(stage: Scene) -> Host:
    """The host that the SBC asks for names."""
    host = stage.lab.host("names")
    host.join(stage.office, f"{NAME_SERVER}/24")
    return host


def black_hole(names: Host) -> None:
    """Let every question to the name server vanish on its way."""
    rules = (
        "add table inet silence\n"
        "add chain inet silence in { type filter hook input priority 0; }\n"
        "add rule inet silence in meta l4proto { tcp, udp } th dport 53 drop\n"
    )
    names.run("nft", "-f", "-", text=rules)


def expect_in_log(stage: Scene, text: str) -> None:
    assert stage.sbc is not None
    stage.sbc.expect(text, within_s=_FOLLOWED_S)


def call(stage: Scene, *, port: int = 5060, transport: str = "udp") -> None:
    callee = start_sipp(
        stage.pbx, "callee_answers.xml", tune="callee", port=port, transport=transport
    )
    calling = start_sipp(
        stage.caller(), "caller_calls.xml", tune="caller", talk_ms=200, target=f"{OUTER}:5060"
    )
    stage.finish(calling, callee)


def test_a_call_fails_over_from_a_dead_first_srv_target(stage: Scene, names: Host) -> None:
    Knot(
        names,
        ZONE,
        f"_sip._udp.pbx 60 SRV 10 0 5099 dead\n_sip._udp.pbx 60 SRV 20 0 5060 alive\n"
        f"dead 60 A {PBX}\nalive 60 A {PBX}\n",
    )
    stage.start_sbc(pbx_address=f"pbx.{ZONE};transport=udp", more=DNS)
    expect_in_log(stage, f"udp/{PBX}:5099 (dead.{ZONE}, priority 10, weight 0)")
    call(stage)
    stage.no_call_is_left(made=1)
    stage.stop_sbc()


def test_naptr_chooses_tcp(stage: Scene, names: Host) -> None:
    Knot(
        names,
        ZONE,
        f'pbx 60 NAPTR 10 10 "s" "SIP+D2T" "" _sip._tcp.pbx\n'
        f'pbx 60 NAPTR 20 10 "s" "SIP+D2U" "" _sip._udp.pbx\n'
        f"_sip._tcp.pbx 60 SRV 0 0 5060 one\n_sip._udp.pbx 60 SRV 0 0 5099 one\none 60 A {PBX}\n",
    )
    stage.start_sbc(pbx_address=f"pbx.{ZONE}", more=DNS)
    call(stage, transport="tcp")
    stage.no_call_is_left(made=1)
    stage.stop_sbc()


def test_a_change_is_followed_when_the_time_to_live_is_over(stage: Scene, names: Host) -> None:
    records = "_sip._udp.pbx 5 SRV 0 0 {port} one\none 5 A " + PBX + "\n"
    server = Knot(names, ZONE, records.format(port=5099))
    stage.start_sbc(pbx_address=f"pbx.{ZONE};transport=udp", more=DNS)
    expect_in_log(stage, f"udp/{PBX}:5099")
    server.load(records.format(port=5070))
    expect_in_log(stage, f"udp/{PBX}:5070")
    call(stage, port=5070)
    stage.no_call_is_left(made=1)
    stage.stop_sbc()


def test_a_flood_in_the_name_servers_address_does_not_make_it_unheard(
    stage: Scene, names: Host
) -> None:
    records = "_sip._udp.pbx 5 SRV 0 0 {port} one\none 5 A " + PBX + "\n"
    server = Knot(names, ZONE, records.format(port=5099))
    stage.start_sbc(pbx_address=f"pbx.{ZONE};transport=udp", more=DNS)
    expect_in_log(stage, f"udp/{PBX}:5099")
    with names.udp_socket(NAME_SERVER, 5060) as forger:
        for n in range(3000):
            forger.sendto(a_message("REGISTER", branch=f"z9hG4bK-{n}"), (INNER, 5060))
            if n % 100 == 0:
                time.sleep(0.01)
    server.load(records.format(port=5070))
    expect_in_log(stage, f"udp/{PBX}:5070")
    stage.stop_sbc()


def test_while_the_name_server_is_silent_the_last_answers_are_used(
    stage: Scene, names: Host
) -> None:
    Knot(names, ZONE, f"_sip._udp.pbx 5 SRV 0 0 5060 one\none 5 A {PBX}\n")
    stage.start_sbc(pbx_address=f"pbx.{ZONE};transport=udp", more=DNS)
    expect_in_log(stage, f"udp/{PBX}:5060")
    black_hole(names)
    expect_in_log(stage, f"no answer from {NAME_SERVER} in 1 s")
    call(stage)
    stage.no_call_is_left(made=1)
    stage.stop_sbc()


def test_names_that_never_resolve_delay_neither_the_start_nor_other_calls(
    stage: Scene, names: Host
) -> None:
    black_hole(names)
    dead = "\n".join(
        f"  dead{n}: {{kind: trunk, network: outside, address: dead{n}.carrier.example}}"
        for n in range(100)
    )
    caller = stage.caller()
    began = time.monotonic()
    stage.start_sbc(peers=dead, more=DNS)
    assert time.monotonic() - began < 10
    with (
        caller.udp_socket(CALLER, 5060) as phone,
        stage.pbx.udp_socket(PBX, 5060) as pbx,
    ):
        slowest = max(_refused_call(phone, pbx, n) for n in range(_CALLS))
    assert slowest < _GENEROUS_S
    expect_in_log(stage, "dead99.carrier.example")
    stage.stop_sbc()


def _refused_call(phone: socket.socket, pbx: socket.socket, number: int) -> float:
    """Call the PBX, which is busy.

    Returns:
        Seconds from the caller's INVITE until it arrives at the PBX.
    """
    invite = a_message(
        "INVITE",
        uri=f"sip:600@{OUTER}",
        sent_by=f"{CALLER}:5060",
        branch=f"z9hG4bK-{number}",
        call_id=f"call-{number}",
        contact=f"<sip:alice@{CALLER}:5060>",
        body=OFFER.replace(b"10.0.0.7", CALLER.encode()),
    )
    began = time.monotonic()
    phone.sendto(invite, (OUTER, 5060))
    arrived, source = _next(pbx, b"INVITE ")
    took = time.monotonic() - began
    request = parse_message_untrusted(arrived)
    assert isinstance(request, Request)
    pbx.sendto(serialize(make_response(request, 486, None, "busy")), source)
    _next(pbx, b"ACK ")
    _next(phone, b"SIP/2.0 486")
    ack = invite.replace(b"INVITE sip", b"ACK sip").replace(b"1 INVITE", b"1 ACK")
    phone.sendto(ack.partition(b"Content-Type")[0] + b"Content-Length: 0\r\n\r\n", (OUTER, 5060))
    return took


def _next(end: socket.socket, begins: bytes) -> tuple[bytes, tuple[str, int]]:
    """Wait for the next message of a kind; others that come before it are passed over."""

    def received() -> tuple[bytes, tuple[str, int]] | None:
        try:
            return end.recvfrom(65535)
        except BlockingIOError:
            return None

    while True:
        data, source = wait_until(received, within_s=_FOLLOWED_S, what=f"{begins!r} arrives")
        if data.startswith(begins):
            return data, source
