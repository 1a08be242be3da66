"""Certificates that end are told of in time, and taken when their files change."""

from pathlib import Path

import pytest
import trio
import trio.testing

from sbc.management.certificates import (
    DAY_S,
    Alarm,
    CertificateWatch,
    ExpiryAlarms,
)
from sbc.management.log import Level, Log
from sbc.routing.tls import Certificate

NOW = 1.7e9


def a_certificate(
    days: float, file: str = "/etc/sbc/sbc.pem", fingerprint: str = "f1"
) -> Certificate:
    """One that expires so many days after `NOW`."""
    return Certificate(
        file, file, ("sbc.example.com",), NOW + days * DAY_S, fingerprint, b"", b"", "sbc.yaml:7"
    )


def test_each_threshold_is_told_once_and_the_first_look_tells_where_we_are() -> None:
    alarms, one = ExpiryAlarms(), a_certificate(40)
    told = {day: alarms.due([one], NOW + day * DAY_S) for day in range(45)}
    assert {day: found for day, found in told.items() if found} == {
        10: [Alarm(one, Level.WARNING, 30)],
        33: [Alarm(one, Level.WARNING, 7)],
        39: [Alarm(one, Level.ERROR, 1)],
        40: [Alarm(one, Level.ERROR, 0)],
    }
    assert ExpiryAlarms().due([one], NOW + 35.5 * DAY_S) == [Alarm(one, Level.WARNING, 4)]
    assert ExpiryAlarms().due([one], NOW + 41.5 * DAY_S) == [Alarm(one, Level.ERROR, -2)]


def test_a_certificate_that_two_places_show_is_told_of_once() -> None:
    one = a_certificate(3)
    assert ExpiryAlarms().due([one, one], NOW) == [Alarm(one, Level.WARNING, 3)]


def test_a_renewed_certificate_is_another_one() -> None:
    alarms = ExpiryAlarms()
    assert alarms.due([a_certificate(3)], NOW) != []
    assert alarms.due([a_certificate(90, fingerprint="f2")], NOW) == []
    short = a_certificate(2, fingerprint="f3")
    assert alarms.due([short], NOW) == [Alarm(short, Level.WARNING, 2)]


class Process:
    """A file, what is in force of it, and what was logged.

    Nothing here waits by the clock, which jumps whenever there is nothing else to do.
    """

    def __init__(self, directory: Path) -> None:
        self.file = directory / "sbc.pem"
        self.file.write_text("first")
        self.now = NOW
        self.in_force = [a_certificate(100, str(self.file))]
        self._renewing, self.renewals = trio.open_memory_channel[str](0)
        self._saying, self.said = trio.open_memory_channel[bytes](100)
        self.watch = CertificateWatch(
            files=lambda: (self.file,),
            certificates=lambda: self.in_force,
            renew=self.renew,
            log=Log(self._saying.send_nowait),
            wall=lambda: self.now,
        )

    async def renew(self) -> list[str]:
        read = self.file.read_text()
        await self._renewing.send(read)
        return ["it expired"] if read == "bad" else []

    async def renewed(self) -> str:
        """What was read by the next renewal, once it is done."""
        read = await self.renewals.receive()
        await trio.testing.wait_all_tasks_blocked()
        return read


@pytest.fixture
def process(tmp_path: Path) -> Process:
    return Process(tmp_path)


async def test_what_is_wrong_with_new_files_is_kept_until_good_ones_come(
    process: Process, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    nursery.start_soon(process.watch.run)
    assert await process.renewed() == "first"
    process.file.write_text("bad")
    assert await process.renewed() == "bad"
    assert process.watch.trouble == ("it expired",)
    process.file.write_text("second")
    assert await process.renewed() == "second"
    assert process.watch.trouble == ()


async def test_an_alarm_is_logged_at_the_start_and_when_a_threshold_is_passed(
    process: Process, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    process.now = NOW + 80 * DAY_S
    nursery.start_soon(process.watch.run)
    nursery.start_soon(process.renewed)
    line = await process.said.receive()
    assert b"warning certificate-expires" in line
    assert b"days_left=20" in line
    process.now = NOW + 99.5 * DAY_S
    assert b"error certificate-expires" in await process.said.receive()
    process.now = NOW + 101 * DAY_S
    assert b"error certificate-expired" in await process.said.receive()


def test_the_certificates_are_listed_the_one_that_ends_first_at_the_top(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.in_force = [a_certificate(9, "b.pem"), a_certificate(3.5, "a.pem")]
    assert list(process.watch.listing().items()) == [
        ("a.pem", {"days_left": 3, "names": "sbc.example.com"}),
        ("b.pem", {"days_left": 9, "names": "sbc.example.com"}),
    ]
