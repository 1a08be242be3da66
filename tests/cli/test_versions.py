"""Plans, versions and the way back: the commands, and a process that is killed in between."""

import json
import signal
from argparse import ArgumentTypeError
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from sbc.cli.versions import duration
from tests.cli.running import Running, running_sbc, start


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    async with running_sbc(tmp_path) as one:
        yield one


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("5m", 300), ("1h", 3600), ("2d", 172_800)]
)
def test_a_time_is_written_as_people_do(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5 m", "-1", "1.5h", "5y", "1e3"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        duration(text)


async def test_a_plan_tells_what_changes_and_which_calls_go_elsewhere(
    running: Running, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    await running.call()
    await running.hang_up()
    await running.logged("call ended")
    text = running.file.read_text()
    assert await running.sbc("plan") == 0
    assert "nothing differs\n" in capsys.readouterr().out
    candidate = tmp_path / "new.yaml"
    candidate.write_text(text.replace("name: incoming, ", "name: incoming, number: '7*', "))
    assert await running.sbc("plan", str(candidate)) == 0
    line = text[: text.index("name: incoming")].count("\n") + 1
    said = capsys.readouterr().out
    assert f"~ route 'incoming': changed ({running.file}:{line})\n    numbers: [] -> [7*]\n" in said
    assert "of the last 1 calls 1 would be treated differently" in said
    assert "now:  by route 'incoming' to 600 at pbx" in said
    assert "then: to nobody" in said
    assert running.file.read_text() == text
    assert await running.sbc("plan", str(tmp_path / "none.yaml")) == 1


async def test_an_unconfirmed_version_ends_with_its_process(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    text = running.file.read_text()
    changed = text + "timers: {no_answer: 33}\n"
    running.file.write_text(changed)
    assert await running.sbc("apply", "--confirm", "5m", "--why", "ticket 7") == 0
    assert "version 2 is in force; without `sbc confirm` within 0:05:00" in capsys.readouterr().out
    assert await running.sbc("status", "--json") == 0
    standing = json.loads(capsys.readouterr().out)["configuration"]
    assert standing["version"] == 2
    assert standing["why"] == "ticket 7"
    assert 290 < standing["confirm_within_s"] <= 300
    await running.call()
    assert await running.sbc("cdr") == 0
    capsys.readouterr()
    running.signal(signal.SIGKILL)
    await running.ended()

    process = await start(running.file)
    running.process = process
    assert process.stderr is not None
    async with process.stderr, trio.open_nursery() as nursery:
        running.events.clear()
        nursery.start_soon(running.read, process.stderr)
        await running.logged("ready")
        nursery.cancel_scope.cancel()
    assert running.file.read_text() == text
    assert await running.sbc("versions", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [row["state"] for row in listed] == ["", "", "in force"]
    assert listed[2]["why"] == "version 2 was not confirmed, so back to version 1"
    assert running.record().configuration == 2
    process.kill()
    await process.wait()
    process.kill()


async def test_versions_can_be_listed_when_nothing_runs(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    running.signal(signal.SIGTERM)
    await running.ended()
    assert await running.sbc("versions") == 0
    assert "the process was started with it" in capsys.readouterr().out


async def test_a_rollback_and_a_confirmation_tell_what_stands(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    text = running.file.read_text()
    running.file.write_text(text + "timers: {no_answer: 33}\n")
    assert await running.sbc("apply") == 0
    assert await running.sbc("rollback", "1", "--confirm", "90s") == 0
    assert running.file.read_text() == text
    assert "version 3 is in force; without" in capsys.readouterr().out
    assert await running.sbc("confirm") == 0
    assert capsys.readouterr().out == "version 3 stays\n"
    assert await running.sbc("confirm") == 1
    assert await running.sbc("rollback", "9") == 1
    assert "there is no version 9; kept are 1 to 3" in capsys.readouterr().err
