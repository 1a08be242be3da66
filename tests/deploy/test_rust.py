"""What the scripts say where there is no Rust that could build the native engine."""

import os
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CARGO = tomllib.loads((ROOT / "media/native/Cargo.toml").read_text())
NEEDED = CARGO["workspace"]["package"]["rust-version"]
NONE, OLD, OLDEST_THAT_DOES = "exit 1", "echo rustc 1.63.0", f"echo rustc {NEEDED}.0"


def rust(directory: Path, compiler: str, *words: str) -> tuple[int, str]:
    """The exit status of the script and what it prints, with such a compiler on the path."""
    for tool, does in (("rustc", compiler), ("cargo", "exit 0")):
        (directory / tool).write_text(f"#!/bin/sh\n{does}\n")
        (directory / tool).chmod(0o755)
    path = f"{directory}{os.pathsep}{os.environ['PATH']}"
    command = [ROOT / "deploy/rust.sh", *words]
    done = subprocess.run(
        command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("compiler", "told"),
    [
        (NONE, (0, f"it takes cargo and Rust {NEEDED} or later, and here is none\n")),
        (OLD, (0, f"it takes Rust {NEEDED} or later, and here is 1.63.0\n")),
        (OLDEST_THAT_DOES, (1, "")),
        ("echo rustc 1.100.0", (1, "")),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, compiler: str, told: tuple[int, str]) -> None:
    assert rust(tmp_path, compiler, "missing") == told


@pytest.mark.parametrize("task", ["lint", "test"])
def test_without_a_rust_the_crates_are_left_out_with_one_line(tmp_path: Path, task: str) -> None:
    status, told = rust(tmp_path, OLD, task)
    assert (status, told.count("\n")) == (0, 1)
    assert told.startswith("The crates in media/native are left out: it takes Rust")
