"""kill -9 at every line that writes: a start always has one whole version, in force and on disk."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sbc.state.versions import disk

ROOT = Path(__file__).parents[3]
OLD, NEW = [11, 11, 11], [22, 22, 22]
"""What sbc.yaml, its policy and the files on disk say."""


def starts_after_kills(directory: Path, story: str) -> list[list[int]]:
    program = [sys.executable, "-m", "tests.state.versions.power_cut", str(directory / "x"), story]
    done = subprocess.run(
        program, check=False, cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    found: list[list[int]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("story", ["apply", "confirm"])
def test_a_start_has_all_of_the_old_version_or_all_of_the_new_one(
    story: str, tmp_path: Path
) -> None:
    found = starts_after_kills(tmp_path, story)
    olds = found.count(OLD)
    assert olds > 5
    assert found == [OLD] * olds + [NEW] * (len(found) - olds)
    assert found[-1] == NEW


def test_a_way_back_writes_over_all_files_or_none_and_never_over_a_feed(tmp_path: Path) -> None:
    found = starts_after_kills(tmp_path, "roll_back")
    news = found.count(NEW)
    assert news > 5
    assert found == [NEW] * news + [OLD] * (len(found) - news)
    assert found[-1] == OLD


@pytest.mark.parametrize("story", ["try_out", "restart"])
def test_a_version_that_nobody_confirmed_never_outlives_the_process(
    story: str, tmp_path: Path
) -> None:
    found = starts_after_kills(tmp_path, story)
    assert len(found) > 40
    assert found == [OLD] * len(found)


def test_nothing_takes_a_place_before_it_is_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    for name in ("fsync", "replace"):
        monkeypatch.setattr(disk.os, name, noted(steps, name, getattr(os, name)))
    disk.write_whole(tmp_path / "sbc.yaml", b"x")
    assert steps == ["fsync", "replace", "fsync"]


def noted(steps: list[str], name: str, work):  # type: ignore[no-untyped-def]  # any function of os
    def step(*arguments):  # type: ignore[no-untyped-def]
        steps.append(name)
        return work(*arguments)

    return step
