"""Plans, versions and the way back: the commands, and a process that is killed in between."""

import json
import re
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
    assert "rules ask what records do not say; of these calls was assumed: " in said
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


LISTS = """
sets:
  bad: {{kind: networks, file: feed.txt, expires: 9999999}}
  ours: {{kind: networks, file: ours.txt}}
sources:
  - {{name: {name}, when: {{source: [set:bad, set:ours]}}, then: block}}
"""


class WithFeed:
    """A process with a list that others renew, one that its operator writes, and two versions."""

    def __init__(self, running: Running) -> None:
        self.running = running
        here = running.file.parent
        self.policy, self.feed, self.ours = (
            here / "lists.yaml",
            here / "feed.txt",
            here / "ours.txt",
        )

    def write(self, name: str, bad: str, ours: str) -> None:
        self.policy.write_text(LISTS.format(name=name))
        self.feed.write_text(f"{bad}\n")
        self.ours.write_text(f"{ours}\n")

    async def two_versions(self) -> None:
        """The second has another rule, another list of the operator's, and a newer feed."""
        text = self.running.file.read_text()
        self.running.file.write_text(
            re.sub(r"(?m)^policies: (.*)$", r"policies: [lists.yaml, \1]", text)
        )
        self.write("first", "192.0.2.0/24", "198.51.100.1")
        assert await self.running.sbc("apply") == 0
        self.write("second", "203.0.113.0/24", "198.51.100.2")
        assert await self.running.sbc("apply") == 0

    def read(self) -> tuple[str, str, str]:
        """The name of the rule, and both lists."""
        name = self.policy.read_text().partition("name: ")[2].partition(",")[0]
        return name, self.feed.read_text().strip(), self.ours.read_text().strip()


@pytest.fixture
async def fed(running: Running, capsys: pytest.CaptureFixture[str]) -> WithFeed:
    one = WithFeed(running)
    await one.two_versions()
    capsys.readouterr()
    return one


async def test_a_way_back_brings_what_a_person_wrote_and_no_old_feed(
    running: Running, fed: WithFeed, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [
        f"write {fed.policy}\n",
        f"leave {fed.feed}: others renew it: its set `expires`\n",
        f"write {fed.ours}\n",
    ]
    assert await running.sbc("plan", "--rollback", "2") == 0
    said = capsys.readouterr().out
    assert "sources rule 'second': removed" in said
    assert all(line in said for line in files)
    assert fed.read() == ("second", "203.0.113.0/24", "198.51.100.2")
    assert await running.sbc("rollback", "2") == 0
    said = capsys.readouterr().out
    assert all(line in said for line in files)
    assert fed.read() == ("first", "203.0.113.0/24", "198.51.100.1")
    assert await running.sbc("plan") == 0
    assert "nothing differs\n" in capsys.readouterr().out


async def test_a_feed_that_is_broken_now_keeps_nobody_from_going_back(
    running: Running, fed: WithFeed, capsys: pytest.CaptureFixture[str]
) -> None:
    fed.feed.write_text("half a li\n")
    assert await running.sbc("rollback", "2") == 0
    assert "version 4 is in force" in capsys.readouterr().out
    assert fed.read() == ("first", "half a li", "198.51.100.1")


async def test_a_way_back_that_must_not_be_written_is_refused(
    running: Running,
    fed: WithFeed,
    capsys: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    here = running.file.parent
    (here / "linked").mkdir()
    (here / "linked" / "more.yaml").write_text("rules: []\n")
    text = running.file.read_text()
    running.file.write_text(text.replace("[lists.yaml", "[linked/more.yaml, lists.yaml"))
    assert await running.sbc("apply") == 0
    out = tmp_path_factory.mktemp("out") / "linked"
    (here / "linked").rename(out)
    (here / "linked").symlink_to(out)
    (out / "more.yaml").write_text("rules: []  # of somebody else\n")
    capsys.readouterr()
    assert await running.sbc("rollback", "4") == 1
    said = capsys.readouterr().err
    assert (
        f"nothing was changed: {here}/linked/more.yaml: {here}/linked leads out of {here}" in said
    )
    assert "somebody else" in (out / "more.yaml").read_text()
    assert await running.sbc("plan", "--rollback", "4") == 0
    assert f"refuse {here}/linked/more.yaml: " in capsys.readouterr().out
