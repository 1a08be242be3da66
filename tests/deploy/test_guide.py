"""The guide to a quiet PBX, run as it is written: on a border between an Internet and a PBX."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from tests.deploy.guide import Step, changed, fits, steps_of, write
from tests.kit.geo import COUNTRIES, written
from tests.kit.hosts import Lab, missing_for_namespaces, wait_until
from tests.kit.patience import PATIENCE_S
from tests.kit.stranger import Stranger, bytes_of

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "deploy/QUIET-PBX.md"
BORDER, PHONE, CUSTOMER = "203.0.113.1", "203.0.113.7", "203.0.113.80"
SCANNER, GUESSER, FLOODER = "203.0.113.66", "203.0.113.67", "203.0.113.68"
INNER, PBX = "10.20.0.1", "10.20.0.2"
USER, PASSWORD = "150", "correct horse"
_TOOL_S = 30


class Reader:
    """Somebody who does what the guide says, on a machine between the Internet and a PBX."""

    def __init__(self, lab: Lab, directory: Path) -> None:
        self.directory = directory
        self._lab = lab
        internet, office = lab.switch("internet"), lab.switch("office")
        self.border, self.pbx, self.world = lab.host("border"), lab.host("pbx"), lab.host("world")
        self.border.join(internet, f"{BORDER}/24")
        self.border.join(office, f"{INNER}/24")
        self.pbx.join(office, f"{PBX}/24")
        hosts = (SCANNER, GUESSER, FLOODER, PHONE, CUSTOMER)
        self.world.join(internet, *(f"{host}/24" for host in hosts))
        lab.settle()
        words = ("--listen", f"{PBX}:5060", "--user", f"{USER}:{PASSWORD}")
        server = self.pbx.start("pbx", sys.executable, "-m", "sbc.demo.pbx", *words, cwd=ROOT)
        server.expect("PBX at", within_s=PATIENCE_S)
        (directory / "sbc").symlink_to(ROOT)
        (directory / "bin").mkdir()
        command = directory / "bin/sbc"
        command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m sbc "$@"\n')
        command.chmod(0o755)
        self.place = directory / "border"
        self.place.mkdir()
        self.phone: Stranger | None = None
        self.users = count(1000)

    @property
    def log(self) -> str:
        """What the SBC logged."""
        log = self.place / "sbc.log"
        return log.read_text() if log.exists() else ""

    def does(self, step: Step) -> str:
        """Do one step; what it said."""
        if step.what == "command":
            return self._runs(step.name)
        if step.what == "meanwhile":
            HAPPENS[step.name](self)
        else:
            write(self.place, step)
        return ""

    @property
    def environment(self) -> dict[str, str]:
        """What commands see of the world."""
        path = f"{self.directory}/bin:{os.environ['PATH']}:/usr/sbin:/sbin"
        return {"HOME": str(self.directory), "PATH": path, "PYTHONUNBUFFERED": "1"}

    def _runs(self, line: str) -> str:
        if line.endswith(" &"):
            words = ("sh", "-c", f"exec {line.removesuffix(' &')}")
            starts = self.log.count(" ready ")
            self.border.start("sbc", *words, cwd=self.place, env=self.environment)
            wait_until(
                lambda: self.log.count(" ready ") > starts, within_s=PATIENCE_S, what="it is ready"
            )
            return ""
        done = subprocess.run(
            self.border.command("sh", "-c", line),
            cwd=self.place, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            timeout=PATIENCE_S * 3,
        )  # fmt: skip
        return done.stdout

    def stranger(self, address: str) -> Stranger:
        """Somebody on the Internet."""
        return self._lab.keep(closing(Stranger(self.world, BORDER, address=address)))


def a_phone_registers(reader: Reader) -> None:
    reader.phone = reader.stranger(PHONE)
    assert reader.phone.register(USER, PASSWORD) == 200


def somebody_scans(reader: Reader) -> None:
    words = ("timeout", str(_TOOL_S), "svmap", "-p5060", BORDER)
    subprocess.run(
        reader.world.command(*words), cwd=reader.directory, env=reader.environment,
        stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_TOOL_S + 20,
    )  # fmt: skip


def somebody_guesses(reader: Reader) -> None:
    thief = reader.stranger(GUESSER)
    wait_until(
        lambda: thief.register(str(next(reader.users)), "1234", within_s=3) == 0,
        within_s=PATIENCE_S * 3, what="who guesses is heard no more",
    )  # fmt: skip


def somebody_floods(reader: Reader) -> None:
    flooder = reader.stranger(FLOODER)
    for _ in range(300):
        flooder.send(bytes_of(flooder.write("OPTIONS", "600")))


def a_customer_calls(reader: Reader) -> None:
    asks(reader.stranger(CUSTOMER), "INVITE", "600", "3c26-customer")
    wait_until(
        lambda: "3c26-customer" in reader.log, within_s=PATIENCE_S, what="the log tells of the call"
    )


def a_stolen_password_is_used(reader: Reader) -> None:
    assert reader.phone is not None
    asks(reader.phone, "INVITE", "+447012345678", "77d1-stolen")


def a_phone_in_the_clear(reader: Reader) -> None:
    asks(reader.stranger(CUSTOMER), "REGISTER", USER, "5e0a-clear")


def asks(phone: Stranger, method: str, called: str, call_id: str) -> None:
    """Ask something that is refused."""
    request = phone.write(method, called)
    request.headers.set("Call-ID", call_id)
    answer = phone.ask(request)
    assert answer is not None
    assert answer.status == 403


HAPPENS: dict[str, Callable[[Reader], None]] = {
    "a phone registers": a_phone_registers,
    "somebody scans": somebody_scans,
    "somebody guesses users and passwords": somebody_guesses,
    "somebody floods": somebody_floods,
    "a customer who is not registered calls": a_customer_calls,
    "a stolen password is used": a_stolen_password_is_used,
    "a phone registers in the clear": a_phone_in_the_clear,
}


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    missing = missing_for_namespaces("nft", "svmap", "openssl")
    if missing is not None:
        pytest.skip(missing)
    with Lab(tmp_path) as lab:
        one = Reader(lab, tmp_path)
        written(one.place / "country.mmdb", COUNTRIES)
        yield one
        assert "Traceback" not in one.log, one.log


@pytest.mark.interop
def test_the_guide_is_so(reader: Reader) -> None:
    for step in steps_of(GUIDE.read_text()):
        said = reader.does(step)
        where = f"{GUIDE.name}:{step.line}: {step.name}\nshown:\n{step.text}\nsaid:\n{said}"
        assert step.what != "command" or fits(said, step.text), where


def test_the_guide_has_something_to_do_in_every_part() -> None:
    parts = GUIDE.read_text().split("\n## ")[1:]
    assert [bool(steps_of(part)) for part in parts] == [True] * len(parts)


def test_a_command_that_says_something_else_is_noticed() -> None:
    assert fits("a  7 b\n\nmore\n", "a ... b\n...\n")
    assert not fits("a  7 c\n", "a ... b\n")
    assert not fits("a\nb\n", "a\n")


def test_a_changed_file_has_its_other_sections_as_before() -> None:
    old = "# head\none: 1\ntwo:\n  - 2\nthree: 3\n"
    new = "# f.yaml, changed\ntwo: 22\nfour: 4\n"
    assert changed(old, new) == "# head\none: 1\ntwo: 22\nthree: 3\nfour: 4\n"


def test_a_block_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="line 1: a block without the name of its file"):
        steps_of("```yaml\nversion: 1\n```\n")
