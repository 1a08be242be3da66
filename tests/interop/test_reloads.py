"""A thousand reloads while SIPp calls: no call is lost, and none is decided on by two versions."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sbc.management.control import ask
from tests.interop.scene import OUTER, ROOT, Scene
from tests.kit.hosts import Host, Lab, wait_until
from tests.kit.patience import PATIENCE_S
from tests.kit.sipp import Sipp, start_sipp

pytestmark = pytest.mark.interop

RELOADS = 1000
WARM = 200
"""Reloads after which memory no longer grows."""

CALLS = 100
GROWTH_KB = 24_576
"""What recent calls may hold, each with its story and the configuration it began with; reloads that
left theirs behind would take more."""

BROKEN = ("rules: [{name: x, then: maybe}]\n", "rules: [\n", "")


class Files:
    """An sbc.yaml and a policy that say the same number."""

    def __init__(self, directory: Path) -> None:
        self.main = directory / "sbc.yaml"
        self.policy = directory / "policy.yaml"
        self._main = self.main.read_text().replace(
            str(ROOT / "policies" / "edge-default.yaml"), str(self.policy)
        )
        self._policy = (ROOT / "policies" / "edge-default.yaml").read_text()
        assert self._main.count("name: from the carrier") == 1
        assert self._policy.count("name: known peers") == 1

    def say(self, number: int) -> None:
        """Write both."""
        of = f"of {number}"
        self.main.write_text(
            self._main.replace("name: from the carrier", f"name: from the carrier {of}")
        )
        self.policy.write_text(self._policy.replace("name: known peers", f"name: known peers {of}"))

    def break_policy(self, how: str) -> str:
        """Make the policy one that cannot be used; how a complaint about it begins."""
        if how:
            self.policy.write_text(how)
        else:
            self.policy.unlink()
        return f"{self.policy if how else self.main}:"


@pytest.fixture
def scene(lab: Lab, tmp_path: Path) -> Scene:
    """The stage, whose SBC relays as it does by default."""
    return Scene(lab, tmp_path, "native")


def reloads(files: Files, socket: Path) -> Iterator[tuple[int, int]]:
    """Reload again and again; each number that was put in force, with its version."""
    in_force = 0
    for number in range(1, RELOADS + 1):
        files.say(number)
        if number % 10 == 0:
            place = files.break_policy(BROKEN[number // 10 % len(BROKEN)])
            answer = ask(socket, "reload")
            assert isinstance(answer, dict)
            assert answer["applied"] is False
            errors = [text for text in answer["problems"] if ": error: " in text]
            assert all(re.match(rf"{re.escape(place)}\d+:\d+: error: ", text) for text in errors)
            assert errors
            assert answer["version"] == in_force
        else:
            answer = ask(socket, "reload")
            assert isinstance(answer, dict)
            assert answer["applied"] is True, answer
            in_force = answer["version"]
            yield number, in_force


def memory_kb(pid: int) -> int:
    """Resident memory of a process."""
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert found is not None
    return int(found[1])


def sbc_pid(socket: Path) -> int:
    """The process behind a control socket, by the lock of what it keeps."""
    return int((socket.parent / "versions" / "standing.json.lock").read_text())


def calls(scene: Scene, caller: Host) -> tuple[Sipp, Sipp]:
    """Begin a round of calls: who takes them and who makes them."""
    callee = start_sipp(scene.pbx, "callee_answers.xml", tune="callee", calls=CALLS, talk_ms=500)
    calling = start_sipp(
        caller,
        "caller_calls.xml",
        tune="caller",
        target=f"{OUTER}:5060",
        calls=CALLS,
        talk_ms=500,
    )
    return calling, callee


def test_calls_do_not_notice_a_thousand_reloads(scene: Scene, tmp_path: Path) -> None:
    caller = scene.caller()
    scene.start_sbc()
    files, socket = Files(tmp_path), tmp_path / "state" / "control.sock"
    pid = sbc_pid(socket)
    numbers: dict[int, int] = {}
    warm, rounds = 0, 1
    running = calls(scene, caller)
    for number, version in reloads(files, socket):
        numbers[version] = number
        if number == WARM + 1:
            warm = memory_kb(pid)
        if not running[0].program.running:
            scene.finish(*running)
            running = calls(scene, caller)
            rounds += 1
    grown = memory_kb(pid) - warm
    scene.finish(*running)
    wait_until(lambda: not scene.ask_sbc("calls"), within_s=PATIENCE_S, what="no call is left")
    records = scene.ask_sbc("cdr", "--last", "10000")
    assert len(records) == rounds * CALLS
    for record in records:
        assert record["status"] == 200
        by_route = re.search(r"from the carrier(?: of (\d+))?'", str(record["route"]))
        by_rule = re.search(r"known peers(?: of (\d+))?'", str(record["ladder"]))
        assert by_route is not None
        assert by_rule is not None
        assert by_route[1] == by_rule[1]
        if by_route[1] is not None:
            assert numbers[int(str(record["configuration"]))] == int(by_route[1])
    assert len({record["configuration"] for record in records}) > CALLS / 2
    assert grown < GROWTH_KB, f"{grown} kB in {RELOADS - WARM} reloads"
    scene.stop_sbc()
