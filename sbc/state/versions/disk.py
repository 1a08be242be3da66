"""Files written so that whoever reads them, after whatever end of ours, finds one of two wholes.

Everything here blocks.
"""

import os
import stat
from pathlib import Path

MOST_FILE_BYTES = 33_554_432
"""Longest file that is read: far more than anybody writes, far less than hurts."""


def read_bounded(path: Path) -> bytes:
    """What is in a file that somebody names.

    Raises:
        OSError: it cannot be read.
        ValueError: it is too long, or no file: a pipe, say, on which one might wait for ever.
    """
    # Looked at once it is open, for it may be another one before; nobody waits for a pipe's writer.
    with open(path, "rb", opener=_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is no regular file")
        data = file.read(MOST_FILE_BYTES + 1)
    if len(data) > MOST_FILE_BYTES:
        raise ValueError(f"longer than {MOST_FILE_BYTES} bytes")
    return data


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def read_whole(path: Path) -> bytes | None:
    """What is in a file; None where there is none.

    Raises:
        OSError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def write_whole(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Put a file in the place of what is there, at once and for good.

    A file that is there already keeps its mode and, where we may give files away, its owner. A link
    is replaced itself, and what it leads to is left alone.

    Args:
        mode: of a file that is new.

    Raises:
        OSError: it cannot be written; then the old one is still there, whole.
    """
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)  # of a process that was ended in between
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            _take_after(descriptor, path, mode)
            os.fsync(descriptor)
        os.replace(temporary, path)  # noqa: PTH105 - beside the other calls of os that it needs
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    settle_directory(path.parent)


def settle_directory(directory: Path) -> None:
    """Let the names in a directory outlive a loss of power.

    Raises:
        OSError: they may not.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _take_after(descriptor: int, place: Path, mode: int) -> None:
    try:
        before = place.lstat()
    except FileNotFoundError:
        before = None
    if before is None or stat.S_ISLNK(before.st_mode):
        os.fchmod(descriptor, mode)
        return
    if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
        try:
            os.fchown(descriptor, before.st_uid, before.st_gid)
        except PermissionError:
            pass  # then it is ours, which the operator can see and mend
    os.fchmod(descriptor, before.st_mode & 0o7777)
