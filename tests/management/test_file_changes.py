"""Files that change are taken once whole."""

from pathlib import Path

import pytest

from sbc.management.file_changes import FileChanges, Signatures, signatures

ONE, TWO, THREE = ({Path("a"): (1, 1, n), Path("b"): None} for n in range(3))


@pytest.mark.parametrize(
    ("found", "due"),
    [
        ([ONE, ONE, ONE, ONE], [1]),
        ([ONE, ONE, TWO, TWO, TWO], [1, 3]),
        ([ONE, ONE, TWO, THREE, THREE, THREE], [1, 4]),
        ([ONE, ONE, TWO, ONE, ONE], [1]),
        ([ONE, TWO, ONE, TWO], []),
    ],
)
def test_files_are_taken_when_two_looks_find_the_same(
    found: list[Signatures], due: list[int]
) -> None:
    changes = FileChanges()
    assert [number for number, one in enumerate(found) if changes.due(one)] == due


def test_a_file_is_known_by_time_size_and_inode_and_may_be_missing(tmp_path: Path) -> None:
    file, missing = tmp_path / "a", tmp_path / "b"
    file.write_text("x")
    before = signatures((file, missing))
    assert before[missing] is None
    fresh = tmp_path / "c"
    fresh.write_text("x")
    fresh.replace(file)
    assert signatures((file, missing)) != before
