"""The directory in which versions are kept.

    standing.json     which version is in force: replacing this file is what puts one in force
    12.json           a version: who, when, why, and the digest of each of its files
    files/DIGEST      what was in a file; one that many versions share is there once

A version is whole on disk before `standing.json` names it, and whatever is to be written over the
operator's files is written after, so that each moment at which the process or the machine can end
leaves one whole version, and a start that knows which.

Everything here blocks; usable from any thread, but from one at a time.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from sbc.state.database import StoreDamaged, StoreUnusable, locked
from sbc.state.versions.disk import read_bounded, read_whole, settle_directory, write_whole
from sbc.state.versions.fates import FileFate, Refused, fates
from sbc.state.versions.version import (
    NoVersion,
    Read,
    Standing,
    Version,
    read_standing,
    read_version,
    standing_text,
    version_text,
)

MOST_VERSIONS = 100
MOST_BYTES = 268_435_456
"""Of all kept files together. The oldest versions go first; the one in force, and the one to go
back to, never."""

STANDING = "standing.json"
"""The file that says which version is in force."""


class VersionStore:
    """Versions that one process keeps."""

    def __init__(self, directory: Path) -> None:
        """Open a directory, make it where there is none, and lock it.

        Raises:
            StoreInUse: another process has it.
            StoreUnusable: it cannot be made, or what is in it is damaged.
        """
        self.directory = directory
        self._contents = directory / "files"
        try:
            self._contents.mkdir(parents=True, exist_ok=True, mode=0o700)
            directory.chmod(0o700)
            self._lock = locked(directory / STANDING)
        except OSError as error:
            raise StoreUnusable(f"{directory}: {error.strerror}") from error
        try:
            self.versions, self.standing = read_versions(directory)
        except StoreUnusable:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Unlock it."""
        os.close(self._lock)

    def version(self, number: int) -> Version | None:
        """A kept version."""
        return next((one for one in self.versions if one.number == number), None)

    def keep(self, read: Read, *, who: str, why: str, at: float) -> Version:
        """Keep a configuration as a new version, not yet in force.

        Raises:
            StoreUnusable: it could not be kept.
        """
        digests = digests_of(read.files)
        newest = max((one.number for one in self.versions), default=0)
        number = max(newest, self.standing.in_force) + 1
        version = Version(
            number, at, who, why, read.main, digests, dict(read.referred), dict(read.feeds)
        )
        try:
            for path, data in read.files.items():
                place = self._contents / digests[path]
                if not place.exists():
                    write_whole(place, data)
            write_whole(self.directory / f"{number}.json", version_text(version))
        except OSError as error:
            raise StoreUnusable(f"{self.directory}: {error.strerror or error}") from error
        self.versions = (*self.versions, version)
        return version

    def stand(self, standing: Standing) -> None:
        """Say which version is in force: from here on a start begins with it.

        Raises:
            StoreUnusable: what stood before still stands.
        """
        try:
            write_whole(self.directory / STANDING, standing_text(standing))
        except OSError as error:
            raise StoreUnusable(f"{self.directory}: {error.strerror or error}") from error
        self.standing = standing

    def files(self, version: Version) -> dict[str, bytes]:
        """What the files of a version are when it is put in force again, by absolute path.

        That is what was kept; but feeds are as others renewed them since, if they are there.

        Raises:
            StoreUnusable: some of it is gone or damaged.
        """
        found = self.kept(version)
        for path in self._feeds(version).keys() & found.keys():
            with contextlib.suppress(OSError, ValueError):
                found[path] = read_bounded(Path(path))
        return found

    def kept(self, version: Version) -> dict[str, bytes]:
        """What was in the files of a version when it was kept, by absolute path.

        Raises:
            StoreUnusable: some of it is gone or damaged.
        """
        found: dict[str, bytes] = {}
        for path, digest in version.files.items():
            try:
                data = (self._contents / digest).read_bytes()
            except OSError as error:
                raise StoreUnusable(
                    f"version {version.number}: {path} was kept but cannot be read: "
                    f"{error.strerror}"
                ) from error
            if hashlib.sha256(data).hexdigest() != digest:
                raise StoreDamaged(f"version {version.number}: what was kept of {path} is damaged")
            found[path] = data
        return found

    def fates(self, version: Version) -> tuple[FileFate, ...]:
        """What `write_out` would do to the files on disk.

        Raises:
            StoreUnusable: what was kept, or what is there, cannot be read.
        """
        known = {digest for one in self.versions for digest in one.files.values()}
        try:
            return tuple(fates(version.main, self.kept(version), self._feeds(version), known))
        except OSError as error:
            raise StoreUnusable(f"{error.filename}: {error.strerror or error}") from error

    def _feeds(self, version: Version) -> dict[str, str]:
        """What others renew by a version, or by the one in force: it may have been a file of the
        operator's before."""
        in_force = self.version(self.standing.in_force)
        return {**({} if in_force is None else in_force.feeds), **version.feeds}

    def write_out(self, version: Version) -> tuple[FileFate, ...]:
        """Make the files on disk those of a version, each as a whole; say what became of them.

        Raises:
            StoreUnusable: some of them could not be written; those that could are.
        """
        found = self.fates(version)
        kept = self.kept(version)
        troubles: list[str] = []
        for one in found:
            try:
                _carry_out(one, kept[one.path])
            except OSError as error:
                troubles.append(f"{one.path}: {error.strerror or error}")
            except (Refused, ValueError) as error:
                troubles.append(f"{one.path}: {error}")
        if troubles:
            raise StoreUnusable("; ".join(troubles))
        return found

    def forget_old(self) -> None:
        """Forget the oldest versions beyond the bounds, and what only they had.

        What cannot be removed now is removed another time.
        """
        kept = self._within_bounds()
        gone = [one for one in self.versions if one not in kept]
        self.versions = kept
        wanted = {digest for one in kept for digest in one.files.values()}
        with contextlib.suppress(OSError):
            for version in gone:
                (self.directory / f"{version.number}.json").unlink(missing_ok=True)
            if gone:
                settle_directory(self.directory)
            for place in self._contents.iterdir():
                if place.name not in wanted:
                    place.unlink(missing_ok=True)

    def _within_bounds(self) -> tuple[Version, ...]:
        standing = {self.standing.in_force, self.standing.confirmed}
        sizes = {place.name: place.stat().st_size for place in self._contents.iterdir()}
        newest_first = sorted(self.versions, key=lambda one: one.number, reverse=True)
        order = [one for one in newest_first if one.number in standing]
        order += [one for one in newest_first if one.number not in standing]
        kept: list[Version] = []
        counted: set[str] = set()
        size = 0
        for version in order:
            new = set(version.files.values()) - counted
            size += sum(sizes.get(digest, 0) for digest in new)
            over = len(kept) >= MOST_VERSIONS or size > MOST_BYTES
            if over and version.number not in standing:
                break
            counted |= new
            kept.append(version)
        return tuple(sorted(kept, key=lambda one: one.number))


def _carry_out(fate: FileFate, data: bytes) -> None:
    if fate.what == "refuse":
        raise Refused(fate.why)
    if fate.aside is not None:
        with _held(fate.aside) as place:
            write_whole(place, read_bounded(fate.place))
    if fate.what == "write":
        with _held(fate.place) as place:
            write_whole(place, data)


@contextlib.contextmanager
def _held(place: Path) -> Iterator[Path]:
    """A place that stays in the directory where it was found, whatever is put there meanwhile.

    Raises:
        Refused: the directory is behind a link by now.
    """
    directory = os.open(place.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        held = Path(f"/proc/self/fd/{directory}")
        if held.readlink() != place.parent:
            raise Refused(f"{place.parent} leads to {held.readlink()} all of a sudden")
        yield held / place.name
    finally:
        os.close(directory)


def digests_of(files: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 of each file, as versions have it."""
    return {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}


def read_versions(directory: Path) -> tuple[tuple[Version, ...], Standing]:
    """Every version that is kept, the oldest first, and which stands.

    Raises:
        StoreUnusable: they cannot be read, or are damaged.
    """
    versions: list[Version] = []
    path = directory
    try:
        for path in directory.glob("[0-9]*.json"):
            versions.append(read_version(path.read_bytes()))  # noqa: PERF401 - the error names path
        path = directory / STANDING
        text = read_whole(path)
        standing = Standing() if text is None else read_standing(text)
    except OSError as error:
        raise StoreUnusable(f"{path}: {error.strerror or error}") from error
    except NoVersion as error:
        raise StoreDamaged(f"{path}: {error}") from error
    versions.sort(key=lambda one: one.number)
    numbers = {one.number for one in versions}
    if not {standing.in_force, standing.confirmed} <= {*numbers, 0}:
        raise StoreDamaged(f"{path}: the version it names is not there")
    return tuple(versions), standing
