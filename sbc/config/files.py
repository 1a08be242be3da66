"""The files that a configuration is read from, remembered as they were when they were read."""

from collections.abc import Mapping
from pathlib import Path

from sbc.state.versions.disk import read_bounded


class Files:
    """What one load reads: from disk, or what is given in place of it."""

    __slots__ = ("_given", "_only", "seen")

    def __init__(self, given: Mapping[str, bytes] | None = None, *, only: bool = False) -> None:
        """Nothing is read yet.

        Args:
            given: Contents by absolute path, that stand for what is on disk.
            only: Whether there is nothing else.
        """
        self._given = given or {}
        self._only = only
        self.seen: dict[str, bytes] = {}
        """Every file that was read, by absolute path; each is read once, however often it is asked
        for, so that one load sees one content of it."""

    def read(self, path: Path) -> str:
        """A file as text.

        Raises:
            OSError: it cannot be read.
            ValueError: it is too long, or not UTF-8.
        """
        name = str(path.absolute())
        data = self.seen.get(name)
        if data is None:
            data = self.seen[name] = self._bytes(path, name)
        return data.decode("utf-8-sig")

    def _bytes(self, path: Path, name: str) -> bytes:
        given = self._given.get(name)
        if given is not None:
            return given
        if self._only:
            raise FileNotFoundError(2, "not among the files of that version")
        return read_bounded(path)


def read_text(path: Path) -> str:
    """A file as text.

    Raises:
        OSError: it cannot be read.
        ValueError: it is too long, or not UTF-8.
    """
    return read_bounded(path).decode("utf-8-sig")
