"""A PBX of two targets whose first is dead in one way or another: calls reach the second.

Each way of being dead is real: a closed port, a firewall that drops, a machine that says 503, one
that answers too late, one that refuses the description.
"""

from pathlib import Path

import pytest

from tests.interop.scene import OUTER, PBX, Scene
from tests.kit.hosts import Host, Lab, wait_until
from tests.kit.patience import PATIENCE_S
from tests.kit.sipp import start_sipp

pytestmark = pytest.mark.interop

FIRST = "10.20.0.3"
_DROP = """\
table inet dead {
    chain in {
        type filter hook input priority 0
        udp dport 5060 drop
    }
}
"""


@pytest.fixture
def scene(lab: Lab, tmp_path: Path) -> Scene:
    """The stage; what relays the media makes no difference here."""
    return Scene(lab, tmp_path, "python")


@pytest.fixture
def first(scene: Scene) -> Host:
    """The machine of the first target; nothing listens there yet."""
    host = scene.lab.host("first")
    host.join(scene.office, f"{FIRST}/24")
    return host


def start(scene: Scene, *, transport: str = "udp", codes: str = "", health: str = "") -> None:
    """Run the SBC with both targets, and a second to wait for the first word of one."""
    chosen = f", codes: [{codes}]" if codes else ""
    scene.start_sbc(
        pbx_address=f"['{FIRST}:5060;transport={transport}', '{PBX}:5060;transport={transport}']\n"
        f"    failover: {{timeout: 1, budget: 10{chosen}}}\n"
        f"    health: {{fail_after: 1, {health}}}"
    )


def call(scene: Scene, caller: Host, *, transport: str = "udp") -> None:
    """One call that the second target takes, to its end."""
    callee = start_sipp(scene.pbx, "callee_answers.xml", tune="callee", transport=transport)
    calling = start_sipp(
        caller, "caller_calls.xml", tune="caller", target=f"{OUTER}:5060", talk_ms=300
    )
    scene.finish(calling, callee)


def target(scene: Scene, address: str) -> dict[str, object]:
    """What `sbc peers` says of a target of the PBX."""
    (row,) = [one for one in scene.ask_sbc("peers") if str(one["place"]).startswith(address)]
    return row


def took_s(scene: Scene) -> list[float]:
    """From begin to answer of each call, oldest first."""
    records = sorted(scene.ask_sbc("cdr"), key=lambda record: float(str(record["started_at"])))
    return [
        float(str(record["answered_at"])) - float(str(record["started_at"])) for record in records
    ]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.usefixtures("first")
def test_a_closed_port_costs_no_time_at_all(scene: Scene, transport: str) -> None:
    caller = scene.caller()
    start(scene, transport=transport)
    call(scene, caller, transport=transport)
    scene.no_call_is_left(made=1)
    assert took_s(scene)[0] < 1
    row = target(scene, FIRST)
    assert row["state"] == "down"
    assert "refused" in str(row["evidence"]).lower()
    assert target(scene, PBX)["state"] == "up"
    scene.stop_sbc()


def test_a_black_hole_costs_the_first_call_a_second_and_the_next_ones_nothing(
    scene: Scene, first: Host
) -> None:
    caller = scene.caller()
    first.run("nft", "-f", "-", text=_DROP)
    start(scene)
    call(scene, caller)
    call(scene, caller)
    # The INVITE that nobody answers is watched until its transaction ends: it might be answered.
    wait_until(lambda: not scene.ask_sbc("calls"), within_s=40, what="the first try is over")
    scene.no_call_is_left(made=2)
    one, two = took_s(scene)
    assert 1 <= one < 2.5
    assert two < 1
    assert target(scene, FIRST)["evidence"] == "INVITE got no response within 1 s"
    scene.stop_sbc()


def test_probes_find_out_before_any_call_does_and_bring_it_back(scene: Scene, first: Host) -> None:
    first.run("nft", "-f", "-", text=_DROP)
    start(scene, health="probe: options, interval: 1, timeout: 1, recover_after: 1")

    def is_found(state: str, evidence: str) -> None:
        def found() -> bool:
            row = target(scene, FIRST)
            return (row["state"], row["evidence"]) == (state, evidence)

        wait_until(found, within_s=PATIENCE_S, what=f"{FIRST} is {state}: {evidence}")

    is_found("down", "OPTIONS got no answer within 1 s")
    assert target(scene, PBX)["evidence"] == "OPTIONS failed: transport (ICMP: Connection refused)"
    first.run("nft", "delete", "table", "inet", "dead")
    # It answers many, so that "up" lasts longer than the looks at it are apart.
    start_sipp(first, "callee_is_asked.xml", tune="callee", calls=100)
    is_found("up", "OPTIONS answered 200 OK")
    scene.stop_sbc()


def test_a_target_that_says_503_is_left_alone_for_as_long_as_it_says(
    scene: Scene, first: Host
) -> None:
    caller = scene.caller()
    overloaded = start_sipp(first, "callee_is_overloaded.xml", tune="callee")
    start(scene)
    call(scene, caller)
    scene.finish(overloaded)
    assert 30 < float(str(target(scene, FIRST)["rests_s"])) <= 60
    call(scene, caller)
    scene.no_call_is_left(made=2)
    scene.stop_sbc()


def test_a_late_answer_is_acknowledged_and_ended_while_the_call_goes_on(
    scene: Scene, first: Host
) -> None:
    caller = scene.caller()
    slow = start_sipp(first, "callee_is_slow.xml", tune="callee")
    start(scene)
    call(scene, caller)
    assert slow.finish(within_s=PATIENCE_S).failed == 0
    scene.no_call_is_left(made=1)
    scene.stop_sbc()


def test_a_description_that_is_refused_leads_on_only_where_that_is_chosen(
    scene: Scene, first: Host
) -> None:
    caller = scene.caller()
    refusing = start_sipp(first, "callee_refuses_media.xml", tune="callee")
    start(scene, codes="488")
    call(scene, caller)
    scene.finish(refusing)
    scene.no_call_is_left(made=1)
    scene.stop_sbc()
