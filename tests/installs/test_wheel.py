"""What `pip install` makes of the source distribution: an SBC that runs, with a Rust or without.

Takes minutes and package registries, so it runs when it is named: `make installs`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
EXTENSION = "media/_native.abi3.so"
_BUILD_SDIST = "import setuptools.build_meta as b, sys; b.build_sdist(sys.argv[1])"
_BUILD_S = 1200
"""Within which a build ends, the download of its tools included, on a machine that does more."""


def run(*command: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> str:
    """What a command prints; fails with all of it where the command does."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_BUILD_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


class Installed:
    """A fresh virtual environment, and what is built for it from the source distribution."""

    def __init__(self, directory: Path) -> None:
        run(sys.executable, "-c", _BUILD_SDIST, directory)
        (self._sdist,) = directory.glob("sbc-*.tar.gz")
        self._directory = directory
        run(sys.executable, "-m", "venv", directory / "venv")
        self._pip = (directory / "venv/bin/python", "-m", "pip", "--no-input", "--quiet")

    def wheel(self, name: str, env: Mapping[str, str] | None = None) -> Path:
        """A wheel that is built in isolation, as pip does it by default."""
        to = self._directory / name
        run(*self._pip, "wheel", "--no-deps", "--wheel-dir", to, self._sdist, env=env)
        (made,) = to.iterdir()
        return made

    def install(self, wheel: Path, *options: str) -> dict[str, str]:
        """Install a wheel; what ``sbc version`` says then."""
        run(*self._pip, "install", *options, wheel)
        told = json.loads(self.sbc("version", "--json"))
        assert isinstance(told, dict)
        return told

    def sbc(self, *words: str) -> str:
        """What the installed command prints, away from the tree."""
        return run(self._directory / "venv/bin/sbc", *words, cwd=self._directory)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("installed"))


def files_of(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def without_rust(directory: Path) -> dict[str, str]:
    """No directory on the path has a compiler or cargo."""
    places = [Path(place) for place in os.environ["PATH"].split(os.pathsep)]
    tools = "cargo", "rustc"
    left = [place for place in places if not any((place / tool).exists() for tool in tools)]
    path = os.pathsep.join(map(str, left))
    assert shutil.which("cargo", path=path) is shutil.which("rustc", path=path) is None
    return {"PATH": path}


def with_an_old_rust(directory: Path) -> dict[str, str]:
    """As Debian 12 has it."""
    for tool in ("rustc", "cargo"):
        (directory / tool).write_text(f"#!/bin/sh\necho {tool} 1.63.0\n")
        (directory / tool).chmod(0o755)
    return {"PATH": f"{directory}{os.pathsep}{os.environ['PATH']}"}


def without_crates(directory: Path) -> dict[str, str]:
    """A machine that has a Rust, but has not got the crates and cannot fetch them."""
    return {"CARGO_HOME": str(directory), "CARGO_NET_OFFLINE": "true"}


def test_with_a_rust_one_wheel_serves_all_pythons_and_relays_by_the_native_engine(
    installed: Installed,
) -> None:
    wheel = installed.wheel("native")
    assert re.fullmatch(r"sbc-[0-9.]+-cp311-abi3-linux_\w+\.whl", wheel.name)
    assert EXTENSION in files_of(wheel)
    assert not [name for name in files_of(wheel) if name.startswith("media/native/")]
    told = installed.install(wheel)
    assert told["engine"] == "native", told
    assert "media engine: native" in installed.sbc("demo", "--once")


@pytest.mark.parametrize("lack", [without_rust, with_an_old_rust, without_crates])
def test_whatever_is_missing_of_rust_the_sbc_installs_and_says_what_relays(
    installed: Installed, tmp_path: Path, lack: Callable[[Path], dict[str, str]]
) -> None:
    wheel = installed.wheel(tmp_path.name, lack(tmp_path))
    assert EXTENSION not in files_of(wheel)
    told = installed.install(wheel, "--force-reinstall", "--no-deps")
    assert told["engine"] == "python"
    assert "was not built when this was installed" in told["why"]
    assert "media engine: python" in installed.sbc("demo", "--once")
