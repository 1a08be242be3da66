import trio
from trio.testing import wait_all_tasks_blocked

from sbc.document.problem import Problem, Severity
from sbc.management.listing import Row
from sbc.management.log import Log
from sbc.management.reloading import ReadAgain, Reloading
from sbc.state.database import StoreUnusable
from tests.kit.patience import PATIENCE_S

PROBLEM = Problem(Severity.ERROR, "sbc.yaml", 3, 1, "zzz", "unknown key")


class Process:
    """What is in force, a file, and what was logged."""

    def __init__(self) -> None:
        self.in_force = "first"
        self.file: ReadAgain[str] | Exception = changed_to("second")
        self.breaks_on = ""
        self.reading = 0
        self.most_reading = 0
        self.may_read = trio.Event()
        self.may_read.set()
        self.said = bytearray()
        self.reloading = Reloading(
            "first",
            renew=self.renew,
            put_in_force=self.put,
            log=Log(self.said.extend),
        )
        self.certificates: ReadAgain[str] = ReadAgain(None, (), (), ())
        self.on_disk: list[str] = []
        self.cannot_keep = ""

    async def reload(self) -> Row:
        return await self.reloading.reload(self.read, self, "reloaded")

    def begin(self, again: ReadAgain[str], configuration: str) -> str:
        if self.cannot_keep:
            raise StoreUnusable(self.cannot_keep)
        self.on_disk.append(f"begin {configuration}")
        return configuration

    def finish(self) -> None:
        self.on_disk.append("finish")

    def undo(self) -> None:
        self.on_disk.append("undo")

    def read(self, before: str) -> ReadAgain[str]:
        self.reading += 1
        self.most_reading = max(self.reading, self.most_reading)
        trio.from_thread.run(self.may_read.wait)
        self.reading -= 1
        if isinstance(self.file, Exception):
            raise self.file
        return self.file

    def renew(self, before: str) -> ReadAgain[str]:
        return self.certificates

    def put(self, configuration: str) -> None:
        self.in_force = configuration
        if configuration == self.breaks_on:
            raise RuntimeError("half done")


def changed_to(name: str) -> ReadAgain[str]:
    return ReadAgain(name, (), (), (f"name: first -> {name}",))


async def test_what_was_read_is_put_in_force() -> None:
    process = Process()
    assert await process.reload() == {
        "applied": True,
        "problems": [],
        "restart": [],
        "changes": ["name: first -> second"],
    }
    assert process.in_force == process.reloading.configuration == "second"
    assert process.on_disk == ["begin second", "finish"]
    assert b"info reloaded" in process.said


async def test_what_cannot_be_kept_is_not_put_in_force() -> None:
    process = Process()
    process.cannot_keep = "the disk is full"
    assert await process.reload() == {
        "applied": False,
        "problems": ["nothing was changed, because it could not be kept: the disk is full"],
        "restart": [],
        "changes": [],
    }
    assert process.in_force == process.reloading.configuration == "first"
    assert b"error reload-failed" in process.said


async def test_a_file_with_errors_changes_nothing() -> None:
    process = Process()
    process.file = ReadAgain(None, (PROBLEM,), ("networks: 1 -> 2",), ("x",))
    answer = await process.reload()
    assert answer == {
        "applied": False,
        "problems": [str(PROBLEM)],
        "restart": ["networks: 1 -> 2"],
        "changes": [],
    }
    assert process.in_force == process.reloading.configuration == "first"
    assert b"error configuration" in process.said
    assert b"error reload-refused" in process.said


async def test_an_unforeseen_error_while_reading_is_told_and_changes_nothing() -> None:
    process = Process()
    process.file = ZeroDivisionError("a bug")
    answer = await process.reload()
    assert answer["applied"] is False
    assert answer["problems"] == [
        "internal error, so nothing was changed: ZeroDivisionError: a bug"
    ]
    assert process.reloading.configuration == "first"
    assert b"Traceback" in process.said
    process.file = changed_to("second")
    assert (await process.reload())["applied"] is True


async def test_what_broke_half_way_is_taken_back() -> None:
    process = Process()
    process.breaks_on = "second"
    answer = await process.reload()
    assert answer["applied"] is False
    assert process.in_force == process.reloading.configuration == "first"
    assert b"half done" in process.said
    assert process.on_disk == ["begin second", "undo"]


async def test_what_cannot_be_taken_back_is_told_too() -> None:
    process = Process()
    process.breaks_on = "second"
    process.reloading.configuration = "second"
    assert (await process.reload())["applied"] is False
    assert b"error reload-not-undone" in process.said


async def test_reloads_come_one_after_the_other(nursery: trio.Nursery) -> None:
    process = Process()
    process.may_read = trio.Event()
    for _ in range(3):
        nursery.start_soon(process.reload)
    with trio.fail_after(PATIENCE_S):
        while not process.reading:
            await trio.lowlevel.checkpoint()
        await wait_all_tasks_blocked()
        assert process.reloading.is_awaited
        process.may_read.set()
        await process.reload()
    assert process.most_reading == 1
    assert not process.reloading.is_awaited


async def test_a_reload_can_be_given_up_while_the_file_is_read() -> None:
    process = Process()
    process.may_read = trio.Event()
    with trio.fail_after(PATIENCE_S), trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(process.reload)
            while not process.reading:
                await trio.lowlevel.checkpoint()
            scope.cancel()
    process.may_read.set()
    assert process.in_force == "first"
    assert (await process.reload())["applied"] is True


async def test_certificates_are_put_in_force_by_themselves() -> None:
    process = Process()
    process.certificates = ReadAgain("renewed", (), (), ("certificate: a -> b",))
    assert await process.reloading.renew() == []
    assert process.in_force == process.reloading.configuration == "renewed"
    assert process.reading == 0
    assert b"info certificates-renewed" in process.said


async def test_what_is_wrong_with_certificates_is_told_and_changes_nothing() -> None:
    process = Process()
    process.certificates = ReadAgain(None, (PROBLEM,), (), ())
    assert await process.reloading.renew() == [str(PROBLEM)]
    assert process.in_force == "first"
    assert b"error configuration" in process.said
    assert b"reload-refused" not in process.said


async def test_certificates_that_cannot_be_put_in_force_are_taken_back() -> None:
    process = Process()
    process.breaks_on = "renewed"
    process.certificates = ReadAgain("renewed", (), (), ())
    assert await process.reloading.renew() == [
        "internal error, so nothing was changed: RuntimeError: half done"
    ]
    assert process.in_force == "first"
