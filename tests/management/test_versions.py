"""Applied, confirmed or gone back from: by a clock that the test owns.

It stands still while threads work, and trio takes it only from a test's own arguments.
"""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from sbc.document.problem import Problem, Severity
from sbc.management.control import CommandRefused
from sbc.management.listing import Row
from sbc.management.log import Log
from sbc.management.reloading import ReadAgain, Reloading
from sbc.management.versions import Versions
from sbc.state.database import StoreUnusable
from sbc.state.versions.history import Change, History
from sbc.state.versions.store import VersionStore
from sbc.state.versions.version import Read

EPOCH = 1.7e9
BROKEN = "broken"
GONE_BACK = b"who=sbc"


class Process:
    """A process whose configuration is the text of one file, and its number."""

    def __init__(self, directory: Path, clock: MockClock) -> None:
        self.clock = clock
        self.file = directory / "sbc.yaml"
        self.file.write_text("first")
        self.history = History(VersionStore(directory / "versions"))
        first = Read(str(self.file), {str(self.file): b"first"}, {})
        self.history.begin(first, Change("root", "start"), EPOCH)
        self.said = bytearray()
        self.in_force: list[tuple[str, int]] = [("first", 1)]
        self.breaks_on = ""
        self.more = trio.Event()
        log = Log(self.hear)
        self.versions = Versions(
            self.history,
            Reloading(("first", 1), renew=self.renew, put_in_force=self.put, log=log),
            read=self.read,
            numbered=lambda one, number: (one[0], number),
            log=log,
            wall=lambda: EPOCH + clock.current_time(),
        )

    def read(
        self, current: tuple[str, int], given: Mapping[str, bytes], *, only: bool
    ) -> ReadAgain[tuple[str, int]]:
        name = str(self.file)
        data = given[name] if only or name in given else self.file.read_bytes()
        text = data.decode()
        if text == BROKEN:
            problem = Problem(Severity.ERROR, name, 1, 1, "", "broken")
            return ReadAgain(None, (problem,), (), ())
        changes = () if text == current[0] else (f"{current[0]} -> {text}",)
        return ReadAgain((text, 0), (), (), changes, Read(name, {name: data}, {}), (text, 0))

    def hear(self, line: bytes) -> None:
        self.said += line
        self.more.set()
        self.more = trio.Event()

    async def later(self, seconds: float, *, until: bytes = b"") -> None:
        """Let time pass; what then happens is over when the log says so."""
        before = self.said.count(until)
        self.clock.jump(seconds)
        await wait_all_tasks_blocked()
        while until and self.said.count(until) == before:
            await self.more.wait()

    def renew(self, current: tuple[str, int]) -> ReadAgain[tuple[str, int]]:
        raise AssertionError(current)

    def put(self, configuration: tuple[str, int]) -> None:
        if configuration[0] == self.breaks_on:
            raise RuntimeError("cannot")
        self.in_force.append(configuration)

    async def apply(self, text: str, confirm_s: float | None = None) -> Row:
        self.file.write_text(text)
        return await self.versions.apply("alice", confirm_s=confirm_s)

    @property
    def now(self) -> tuple[str, int, str]:
        """What is in force, its number, and what stands on disk."""
        return (*self.in_force[-1], self.file.read_text())


@pytest.fixture
async def process(
    tmp_path: Path, mock_clock: MockClock, nursery: trio.Nursery
) -> AsyncIterator[Process]:
    one = Process(tmp_path, mock_clock)
    nursery.start_soon(one.versions.run)
    yield one
    nursery.cancel_scope.cancel()


async def test_what_is_applied_is_a_version_with_who_and_when(
    process: Process, mock_clock: MockClock
) -> None:
    answer = await process.apply("second")
    assert answer["version"] == 2
    assert answer["changes"] == ["first -> second"]
    assert process.now == ("second", 2, "second")
    assert process.versions.listing()[-1] == {
        "version": 2,
        "at": EPOCH,
        "who": "alice",
        "why": "",
        "state": "in force",
        "files": 1,
    }
    await process.later(1e6)
    assert process.now == ("second", 2, "second")


async def test_what_nobody_confirms_is_gone_back_from_in_force_and_on_disk(
    process: Process, mock_clock: MockClock
) -> None:
    answer = await process.apply("second", confirm_s=300)
    assert answer["confirm_within_s"] == 300
    await process.later(299)
    assert process.now == ("second", 2, "second")
    assert process.versions.standing()["confirm_within_s"] == 1
    assert process.versions.standing()["else_back_to"] == 1
    await process.later(2, until=GONE_BACK)
    assert process.now == ("first", 3, "first")
    last = process.versions.listing()[-1]
    assert last["who"] == "sbc"
    assert last["why"] == "version 2 was not confirmed, so back to version 1"


async def test_what_is_confirmed_stays(process: Process, mock_clock: MockClock) -> None:
    await process.apply("second", confirm_s=300)
    assert await process.versions.confirm("alice") == {"version": 2}
    await process.later(1000)
    assert process.now == ("second", 2, "second")
    with pytest.raises(CommandRefused, match="needs no confirmation"):
        await process.versions.confirm("alice")


async def test_a_second_try_goes_back_to_what_was_confirmed(
    process: Process, mock_clock: MockClock
) -> None:
    await process.apply("second", confirm_s=300)
    await process.later(200)
    await process.apply("third", confirm_s=300)
    await process.later(200)
    assert process.now == ("third", 3, "third")
    await process.later(200, until=GONE_BACK)
    assert process.now == ("first", 4, "first")


async def test_applying_for_good_ends_the_waiting(process: Process, mock_clock: MockClock) -> None:
    await process.apply("second", confirm_s=300)
    await process.apply("second")
    await process.later(1000)
    assert process.now == ("second", 2, "second")


async def test_a_reload_confirms_nothing(process: Process, mock_clock: MockClock) -> None:
    await process.apply("second", confirm_s=300)
    await process.versions.reload("SIGHUP")
    process.file.write_text("third")
    answer = await process.versions.reload("SIGHUP")
    assert (answer["version"], answer["confirm_within_s"]) == (3, 300)
    await process.later(301, until=GONE_BACK)
    assert process.now == ("first", 4, "first")


async def test_a_reload_of_the_same_files_makes_no_version(process: Process) -> None:
    await process.versions.reload("root")
    await process.apply("first", confirm_s=10)
    assert len(process.versions.listing()) == 1
    assert not process.history.standing.is_pending


async def test_what_is_broken_changes_nothing_and_keeps_nothing(process: Process) -> None:
    answer = await process.apply(BROKEN)
    assert answer["applied"] is False
    assert process.in_force == [("first", 1)]
    assert len(process.versions.listing()) == 1
    assert process.history.standing.in_force == 1


async def test_what_cannot_be_put_in_force_does_not_stand(process: Process) -> None:
    process.breaks_on = "second"
    answer = await process.apply("second")
    assert answer["applied"] is False
    assert process.history.standing.in_force == 1
    assert process.in_force[-1] == ("first", 1)


async def test_a_candidate_from_elsewhere_is_written_over_the_file(
    process: Process, tmp_path: Path
) -> None:
    candidate = tmp_path / "new.yaml"
    candidate.write_text("second")
    process.file.write_text("edited, and not applied")
    await process.versions.apply("alice", file=candidate, why="ticket 7")
    assert process.now == ("second", 2, "second")
    assert (tmp_path / "sbc.yaml.replaced").read_text() == "edited, and not applied"
    assert process.versions.listing()[-1]["why"] == "ticket 7"
    with pytest.raises(CommandRefused, match=r"none\.yaml: cannot be read: no such file"):
        await process.versions.apply("alice", file=tmp_path / "none.yaml")


async def test_an_earlier_version_comes_back_as_a_new_one(process: Process) -> None:
    await process.apply("second")
    answer = await process.versions.rollback(1, "alice")
    assert answer["version"] == 3
    assert process.now == ("first", 3, "first")
    assert process.versions.listing()[-1]["why"] == "back to version 1"
    with pytest.raises(CommandRefused, match="there is no version 9; kept are 1 to 3"):
        await process.versions.rollback(9, "alice")


async def test_a_rollback_can_wait_for_its_confirmation_too(
    process: Process, mock_clock: MockClock
) -> None:
    await process.apply("second")
    await process.versions.rollback(1, "alice", confirm_s=60)
    assert process.now == ("first", 3, "first")
    await process.later(61, until=GONE_BACK)
    assert process.now == ("second", 4, "second")


async def test_what_was_kept_and_is_damaged_is_not_put_in_force(process: Process) -> None:
    await process.apply("second")
    for kept in (process.history.store.directory / "files").iterdir():
        kept.write_text("something else")
    with pytest.raises(CommandRefused, match="damaged"):
        await process.versions.rollback(1, "alice")
    assert process.now == ("second", 2, "second")


async def test_a_way_back_that_fails_is_tried_again(
    process: Process, mock_clock: MockClock
) -> None:
    await process.apply("second", confirm_s=10)
    process.breaks_on = "first"
    await process.later(30, until=b"try_again_s")
    assert process.in_force[-1] == ("second", 2)
    assert b"not-gone-back" in process.said
    process.breaks_on = ""
    await process.later(120, until=GONE_BACK)
    assert process.now[0] == "first"
    assert not process.history.standing.is_pending


async def test_a_full_disk_changes_nothing(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StoreUnusable("no space left on device")

    monkeypatch.setattr(process.history.store, "keep", full)
    answer = await process.apply("second")
    assert answer["problems"] == [
        "nothing was changed, because it could not be kept: no space left on device"
    ]
    assert process.in_force == [("first", 1)]
