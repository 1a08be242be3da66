"""A real browser registers by WSS under the shipped example, calls and is called.

Spec: RFC 7118.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

import pytest

from tests.kit.baresip import Account, Phone, running_phone
from tests.kit.certificates import Authority
from tests.kit.hosts import Host, Lab, Program, missing_for_namespaces, wait_until
from tests.kit.operator import told

pytestmark = pytest.mark.interop

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent / "browser"
EXAMPLE = ROOT / "deploy/examples/browser-phones.yaml"
OUTER, INNER, PBX = "203.0.113.10", "192.168.10.2", "192.168.10.5"
"""As the example has them."""
BROWSER = "203.0.113.77"
DOMAIN = "pbx.example.com"
ORIGIN = "https://phones.example.com"
USER, COLLEAGUE, PASSWORD, ECHO = "1001", "1002", "secret", "600"
_READY_S = 20.0
_BROWSER_S = 60.0
_SOON_S = 15.0
_INSTALL_S = 600.0


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The page's libraries, as the lock file has them, in a cache of this user."""
    reason = missing_for_namespaces("chromium", "node", "npm", "baresip")
    if reason is not None:
        pytest.skip(reason)
    lock = (HERE / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    made = cache / "sbc-browser-tests" / hashlib.sha256(lock).hexdigest()[:16]
    if not (made / "complete").exists():
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, made)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(
            command, cwd=made, capture_output=True, text=True, timeout=_INSTALL_S, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        (made / "complete").touch()
    return made


class Browser:
    """Chromium on a host, with the page open."""

    def __init__(self, host: Host, directory: Path) -> None:
        self.program = host.start(
            "browser",
            *("node", "drive.mjs", shutil.which("chromium") or "chromium", ORIGIN),
            cwd=directory,
            env={"HOME": str(directory)},
            stdin=subprocess.PIPE,
        )
        self.program.expect("ready", within_s=_BROWSER_S)

    def close(self) -> None:
        """Close the browser."""
        stdin = self.program.process.stdin
        assert stdin is not None
        stdin.close()

    def does(self, what: str, **how: object) -> None:
        """Tell the page to do something."""
        stdin: IO[bytes] | None = self.program.process.stdin
        assert stdin is not None
        stdin.write(json.dumps({"does": what, **how}).encode() + b"\n")
        stdin.flush()

    def tells(self, what: str, *, times: int = 1, within_s: float = _SOON_S) -> None:
        """Wait until the page has told of an event, so often."""
        self.program.expect(f"event {what}", within_s=within_s, times=times)


class Scene:
    """The example's networks: a browser and the border outside, a PBX inside."""

    def __init__(self, lab: Lab, directory: Path, modules: Path) -> None:
        internet, office = lab.switch("internet"), lab.switch("office")
        self.lab = lab
        self.directory = directory
        self.border, self.pbx, self.home = lab.host("border"), lab.host("pbx"), lab.host("home")
        self.border.join(internet, f"{OUTER}/24")
        self.border.join(office, f"{INNER}/24")
        self.pbx.join(office, f"{PBX}/24")
        self.home.join(internet, f"{BROWSER}/24")
        self.office = office
        self._pages = directory / "page"
        self._pages.mkdir()
        for name in ("page.js", "drive.mjs"):
            shutil.copy(HERE / name, self._pages)
        (self._pages / "node_modules").symlink_to(modules / "node_modules")
        self.sbc = self._start_sbc()
        self._start_pbx()

    def browser(self, *, medialess: bool) -> Browser:
        """A browser that has registered."""
        browser = self.lab.keep(closing(Browser(self.home, self._pages)))
        uri = f"sip:{USER}@{DOMAIN}"
        url = f"wss://{OUTER}/sip"
        browser.does("start", url=url, uri=uri, password=PASSWORD, medialess=medialess)
        browser.tells("registered")
        return browser

    @contextmanager
    def colleague(self) -> Iterator[Phone]:
        """A desk phone in the office, which registers with the PBX itself."""
        desk = self.lab.host("desk")
        desk.join(self.office, "192.168.10.20/24")
        account = Account(COLLEAGUE, PBX, outbound=f"{PBX}:5060", password=PASSWORD, register_s=300)
        with running_phone(desk, account, tune="callee") as phone:
            phone.registered()
            yield phone

    @contextmanager
    def desk_phone(self) -> Iterator[Phone]:
        """A phone outside that speaks TLS to the port of the browsers, and only SRTP."""
        account = Account(
            USER,
            DOMAIN,
            outbound=f"{OUTER}:443",
            password=PASSWORD,
            register_s=300,
            transport="tls",
            srtp=True,
        )
        with running_phone(self.home, account, tune="caller") as phone:
            phone.registered()
            yield phone

    def asked(self, *words: str) -> list[dict[str, object]]:
        """What a command of the SBC lists."""
        rows = json.loads(
            told(self._configuration, *words, "--json", environment=self._environment)
        )
        assert isinstance(rows, list)
        return rows

    def last_call(self) -> dict[str, object]:
        """The record of the last call, once none is up any more."""
        wait_until(lambda: not self.asked("calls"), within_s=_SOON_S, what="no call is left")

        def ended() -> list[dict[str, object]]:
            records = [one for one in self.asked("cdr") if one["status"] not in (401, 407)]
            return records if records and all(one["ended_at"] for one in records) else []

        return wait_until(ended, within_s=_SOON_S, what="a record")[0]

    def _start_sbc(self) -> Program:
        files = Authority().issue("sbc.example.com", OUTER).write(self.directory)
        text = EXAMPLE.read_text()
        for written, here in (
            ("../../policies", str(ROOT / "policies")),
            ("/var/lib/sbc", str(self.directory / "state")),
        ):
            assert written in text
            text = text.replace(written, here)
        self._configuration = self.directory / "sbc.yaml"
        self._configuration.write_text(text)
        self._environment = {"CERTIFICATE": str(files.certificate), "KEY": str(files.key)}
        sbc = self.border.start(
            "sbc",
            *(sys.executable, "-m", "sbc", "run", str(self._configuration)),
            cwd=ROOT,
            env={"PYTHONUNBUFFERED": "1", **self._environment},
        )
        sbc.expect("ready", within_s=_READY_S)
        return sbc

    def _start_pbx(self) -> None:
        users = [word for user in (USER, COLLEAGUE) for word in ("--user", f"{user}:{PASSWORD}")]
        listen = ("--listen", f"{PBX}:5060")
        program = self.pbx.start(
            "pbx", *(sys.executable, "-m", "sbc.demo.pbx", *listen, *users), cwd=ROOT
        )
        program.expect("PBX at", within_s=_READY_S)


@pytest.fixture
def scene(node_modules: Path, tmp_path: Path) -> Iterator[Scene]:
    with Lab(tmp_path) as lab:
        yield Scene(lab, tmp_path, node_modules)


def test_a_browser_registers_calls_is_called_and_goes(scene: Scene) -> None:
    browser = scene.browser(medialess=True)
    (binding,) = scene.asked("registrations")
    assert binding["reachable"] is True

    browser.does("call", target=f"sip:{ECHO}@{DOMAIN}", medialess=True)
    browser.tells("confirmed")
    browser.does("hangUp")
    browser.tells("ended local Terminated")
    assert scene.last_call()["status"] == 200

    with scene.colleague() as colleague:
        colleague.command(f"dial sip:{USER}@{PBX}")
        browser.tells("incoming")
        browser.does("answer", medialess=True)
        browser.tells("confirmed", times=2)
        colleague.hang_up()
        browser.tells("ended remote Terminated")
    assert scene.last_call()["status"] == 200

    browser.does("unregister")
    browser.tells("unregistered")
    assert scene.asked("registrations") == []
    assert "Traceback" not in scene.sbc.output


def test_calls_with_a_browsers_own_media_are_refused_at_once_either_way(scene: Scene) -> None:
    browser = scene.browser(medialess=False)
    browser.does("call", target=f"sip:{ECHO}@{DOMAIN}")
    browser.tells("failed remote Incompatible SDP 488")
    assert scene.last_call()["status"] == 488

    with scene.colleague() as colleague:
        colleague.command(f"dial sip:{USER}@{PBX}")
        # SRTP is offered first, and then RTP: neither is what a browser speaks.
        for offers in (1, 2):
            browser.tells("incoming", times=offers)
            browser.does("answer")
            browser.tells("failed", times=1 + offers)
    assert scene.last_call()["status"] == 488
    assert "Traceback" not in scene.sbc.output


def test_a_desk_phone_calls_and_is_called_by_tls_with_srtp_on_the_port_of_the_browsers(
    scene: Scene,
) -> None:
    with scene.desk_phone() as phone, scene.colleague() as colleague:
        (binding,) = scene.asked("registrations")
        assert binding["reachable"] is True

        phone.dial(f"sip:{ECHO}@{DOMAIN}")
        phone.hears_tune("caller", 2, within_s=_SOON_S)
        phone.hang_up()
        phone.call_ended()

        colleague.dial(f"sip:{USER}@{PBX}")
        phone.in_call()
        phone.hears_tune("callee", 2, within_s=_SOON_S)
        colleague.hears_tune("caller", 2, within_s=_SOON_S)
        colleague.hang_up()
        phone.call_ended()
    assert scene.last_call()["status"] == 200
    assert "Traceback" not in scene.sbc.output
