"""When files that somebody changes are whole.

Whoever renews them may write several, one after the other, or a long one in pieces; they are read
when they have been left alone from one look to the next.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

LOOK_S = 5.0
"""Seconds between two looks at the files."""

Signature = tuple[int, int, int]
"""Modification time, size and inode of a file."""
Signatures = Mapping[Path, Signature | None]
"""By what each file is known from its next version; None while it cannot be looked at."""


class FileChanges:
    """Says when files that changed are whole: when two looks at them find the same."""

    __slots__ = ("_before", "_taken")

    def __init__(self) -> None:
        self._taken: Signatures | None = None
        self._before: Signatures | None = None

    def due(self, found: Signatures) -> bool:
        """Whether what a look found is to be taken now; then it counts as taken.

        What is found first is taken too, since it may be newer than what was loaded.
        """
        whole, self._before = found == self._before, found
        if not whole or found == self._taken:
            return False
        self._taken = found
        return True


def signatures(files: Sequence[Path]) -> Signatures:
    """Look at files."""
    found: dict[Path, Signature | None] = {}
    for file in files:
        try:
            status = file.stat()
        except OSError:
            found[file] = None
        else:
            found[file] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return found
