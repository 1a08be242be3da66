import io
import json
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

import sbc.driver.edges
from sbc.management.log import LINES_PER_SECOND, Level, Log, to_stderr
from tests.kit.patience import PATIENCE_S


class Written:
    """A log in memory on a clock that a test moves."""

    def __init__(self, *, json_lines: bool = False, level: Level = Level.INFO) -> None:
        self.stream = io.BytesIO()
        self.now = 1_700_000_000.25
        self.log = Log(self.stream.write, json_lines=json_lines, level=level, wall=lambda: self.now)

    @property
    def text(self) -> str:
        return self.stream.getvalue().decode()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


def test_a_decision_is_one_line_with_time_level_event_and_facts() -> None:
    written = Written()
    written.log.info("call.refused", call="c1", status=403, rule="default deny", peer=None, s=1.5)
    assert written.text == (
        '2023-11-14T22:13:20.250Z info call.refused call=c1 status=403 rule="default deny" s=1.5\n'
    )


def test_json_lines_carry_the_same_facts() -> None:
    written = Written(json_lines=True)
    written.log.warning("call.refused", call="c1", status=403, answered=False, peer=None)
    assert json.loads(written.lines[0]) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "warning",
        "event": "call.refused",
        "call": "c1",
        "status": 403,
        "answered": False,
    }


def test_a_log_is_what_the_driver_asks_for() -> None:
    written = Written()
    log: sbc.driver.edges.Log = written.log
    log("info", "phone registered", source=("2001:db8::1", 5060), network="public")
    assert written.text.endswith(
        " info phone-registered source=[2001:db8::1]:5060 network=public\n"
    )


def test_a_list_is_one_value() -> None:
    written = Written()
    written.log.info("ready", listeners=["lan=udp/0.0.0.0:5060", "lan=tcp/0.0.0.0:5060"], none=[])
    assert written.text.endswith(
        ' ready listeners="lan=udp/0.0.0.0:5060,lan=tcp/0.0.0.0:5060" none=""\n'
    )


def test_what_is_below_the_level_is_not_written() -> None:
    written = Written(level=Level.WARNING)
    written.log.info("call.begun")
    written.log.error("engine.failed")
    assert [line.split()[2] for line in written.lines] == ["engine.failed"]


@given(st.text(), st.booleans())
def test_no_text_from_a_stranger_begins_a_line_or_moves_the_cursor(
    text: str, json_lines: bool
) -> None:
    written = Written(json_lines=json_lines)
    written.log.info("sip.garbage", text=text, next=1)
    line = written.text
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    assert line.count("\n") == 1


def test_a_long_value_is_shortened() -> None:
    written = Written()
    written.log.info("sip.garbage", text="x" * 10_000)
    assert len(written.lines[0]) < 600


def test_a_flood_of_one_event_is_cut_and_counted_and_others_are_not() -> None:
    written = Written()
    for _ in range(LINES_PER_SECOND + 30):
        written.log.info("source.limited")
    written.log.info("call.begun")
    assert len(written.lines) == LINES_PER_SECOND + 1
    written.now += 1
    written.log.info("source.limited", host="192.0.2.1")
    assert written.lines[-2].endswith("info source.limited suppressed=30")
    assert written.lines[-1].endswith("info source.limited host=192.0.2.1")


def broken() -> None:
    raise RuntimeError("it\nbroke")


def fault(log: Log) -> None:
    try:
        broken()
    except RuntimeError as error:
        log.fault("call.fault", error, call="c1")


def test_a_fault_is_told_every_time_and_its_traceback_once() -> None:
    written = Written()
    fault(written.log)
    first = len(written.lines)
    fault(written.log)
    assert len(written.lines) == first + 1
    assert 'call.fault call=c1 error="RuntimeError: it\\nbroke"' in written.lines[-1]
    assert any("raise RuntimeError" in line for line in written.lines)
    assert all(line.startswith(("2023", "    | ")) for line in written.lines)


def test_a_fault_in_json_is_one_line() -> None:
    written = Written(json_lines=True)
    fault(written.log)
    (line,) = written.lines
    assert json.loads(line)["traceback"][-1] == "broke"


async def test_lines_are_written_beside_the_loop_and_none_is_lost_at_the_end() -> None:
    written = Written()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(written.log.run)
        await wait_all_tasks_blocked()
        written.log.info("call.begun")
        assert written.lines == [], "the loop does not write"
        with trio.fail_after(PATIENCE_S):
            while not written.lines:
                await trio.lowlevel.checkpoint()
        written.log.info("call.ended")
        nursery.cancel_scope.cancel()
    assert [line.split()[2] for line in written.lines] == ["call.begun", "call.ended"]
    written.log.info("stopped")
    assert written.lines[-1].endswith("info stopped")


async def test_what_was_suppressed_is_told_without_another_event(
    autojump_clock: MockClock,
) -> None:
    written = Written()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(written.log.run)
        await wait_all_tasks_blocked()
        for _ in range(LINES_PER_SECOND + 1):
            written.log.info("source.limited")
        written.now += 5
        await trio.sleep(3)
        nursery.cancel_scope.cancel()
    assert written.lines[-1].endswith("suppressed=1")


def test_a_full_disk_costs_lines_and_nothing_else() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        log = Log(full.write)
        log.info("one")
        assert log.lost == 1
    log.info("two")
    assert log.lost == 2


def test_standard_error_is_where_logs_go(capfd: pytest.CaptureFixture[str]) -> None:
    to_stderr("naïve\n".encode())
    assert capfd.readouterr().err == "naïve\n"
