"""Whatever is wrong with the extension, media is relayed in Python and the reason is told."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from media.engines.extension import check_interface

ROOT = Path(__file__).parents[3]
ASK = """
from media.relay import Relay
relay = Relay(workers=1)
relay.close()
print(relay.engine_name, relay.engine_reason, sep=": ", end="")
"""
NOT_BUILT = "import sys; sys.modules['media._native'] = None"
OF_OTHER_SOURCES = """
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
other = sys.modules['media._native'] = ModuleType('media._native')
other.__spec__ = ModuleSpec('media._native', None)
other.INTERFACE = 1
"""
OF_OTHER_TIMES = OF_OTHER_SOURCES.replace("other.INTERFACE = 1", "")
BROKEN = "import media; media.__path__.insert(0, sys.argv[1])"


def told(wrong: str, *words: str) -> str:
    """Which engine a process has in which something is wrong, and why."""
    command = [sys.executable, "-c", f"import sys; {wrong}\n{ASK}", *words]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_one_that_was_not_built_says_what_that_takes() -> None:
    assert told(NOT_BUILT) == (
        "python: the engine in Python: the native one was not built when this was installed "
        "for this Python; that takes cargo and Rust 1.85 or later"
    )


def test_one_of_other_sources_is_not_used() -> None:
    assert told(OF_OTHER_SOURCES) == (
        "python: the engine in Python: the native one cannot be loaded "
        "(it was built from other sources than this Python code; install again)"
    )
    assert "cannot be loaded (cannot import name 'INTERFACE'" in told(OF_OTHER_TIMES)


def test_one_that_is_no_library_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "_native.abi3.so").write_bytes(b"\x7fELF of somebody else")
    why = r".*: the native one cannot be loaded \(.*_native.abi3.so: .*\)"
    assert re.fullmatch(why, told(BROKEN, str(tmp_path)))


def test_the_reason_names_the_rust_that_the_crates_need() -> None:
    cargo = tomllib.loads((ROOT / "media/native/Cargo.toml").read_text())["workspace"]["package"]
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (extension,) = python["tool"]["setuptools-rust"]["ext-modules"]
    assert extension["rust-version"] == f">={cargo['rust-version']}"
    assert cargo["version"] == python["project"]["version"]
    assert f"Rust {cargo['rust-version']} or later" in told(NOT_BUILT)


def test_a_stub_that_is_missing_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media.engines.extension._STUB", Path("/nowhere/_native.pyi"))
    with pytest.raises(ImportError, match="stub cannot be read"):
        check_interface(1)
