"""What happens to versions: one is put in force, confirmed, taken back, or gone back from.

Putting a version in force is four steps, with the process's own swap in the middle: `begin` keeps
it and names it, then the process swaps, then `finish` writes it over the operator's files, or
`undo` names the one before. Whatever ends the process or the machine between two of them, `settle`
at the next start makes it whole: the version in force if it needs no confirmation, else the last
one that was confirmed.

Everything here blocks; usable from any thread, but from one at a time.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace

from sbc.state.database import StoreUnusable
from sbc.state.versions.fates import FileFate
from sbc.state.versions.store import VersionStore, digests_of
from sbc.state.versions.version import Read, Standing, Version

OURSELVES = "sbc"
"""Who goes back when nobody confirms."""


@dataclass(frozen=True, slots=True)
class Change:
    """Who puts a configuration in force, why, and for how long."""

    who: str
    why: str = ""
    confirm_s: float | None = None
    """How long it holds unless it is confirmed; None for ever."""
    confirms: bool = True
    """Whether it ends what waits for a confirmation: a plain reload does not, since whoever sends
    SIGHUP need not be who tries something out."""
    writes: bool = False
    """Whether it comes from elsewhere than the operator's files, which are then made like it. It
    becomes a version of its own though nothing differs from the one in force."""


class History:
    """The versions of one process."""

    def __init__(self, store: VersionStore) -> None:
        self.store = store

    @property
    def standing(self) -> Standing:
        """Which version is in force."""
        return self.store.standing

    @property
    def version(self) -> Version | None:
        """The version in force; None before the first."""
        return self.store.version(self.standing.in_force)

    def settle(self, main: str, now: float) -> tuple[list[str], str]:
        """Make whole what the end of the process before left half done.

        A version that waited for its confirmation is gone back from, however much of its time is
        left: whoever tried it out may have been cut off by it.

        Args:
            main: the absolute path of the sbc.yaml that is started with; versions of another one
                are left alone.

        Returns:
            What was done, and why the files of the version in force could not be written; empty
            where they stand as they should.

        Raises:
            StoreUnusable: the version to go back to cannot be read, or the standing not be written.
        """
        told: list[str] = []
        version = self.version
        if version is None or version.main != main:
            return told, ""
        if self.standing.is_pending:
            version = self._step_back(now)
            told.append(f"{version.why}; that is version {version.number} now")
        try:
            told += [f"{one.path} was written" for one in self.finish() if one.what == "write"]
        except StoreUnusable as error:
            return told, str(error)
        return told, ""

    def begin(self, read: Read, change: Change, now: float) -> int:
        """Name what was read as the version in force; its number.

        Raises:
            StoreUnusable: it cannot be kept; nothing has changed.
        """
        before = self.standing
        version = self.version
        if version is None or change.writes or not _same(version, read):
            version = self.store.keep(read, who=change.who, why=change.why, at=now)
        standing = _standing(before, version.number, change, now)
        if standing != before:
            self.store.stand(standing)
        return version.number

    def finish(self) -> tuple[FileFate, ...]:
        """Make the operator's files those of the version in force; say what became of them.

        Raises:
            StoreUnusable: some cannot be written; the version is in force all the same, and a
                start will try again.
        """
        version = self.version
        if version is None or self.standing.written:
            return ()
        fates = self.store.write_out(version)
        self.store.stand(replace(self.standing, written=True))
        self.store.forget_old()
        return fates

    def undo(self, before: Standing) -> None:
        """Name what stood before a `begin`, because the process could not swap.

        Raises:
            StoreUnusable: as `begin`.
        """
        if self.standing != before:
            self.store.stand(before)

    def confirm(self) -> int:
        """Let the version in force stay; its number.

        Raises:
            StoreUnusable: as `begin`.
        """
        self.store.stand(self.standing.settled())
        return self.standing.in_force

    def _step_back(self, now: float) -> Version:
        """Name the last confirmed version, again, as the one in force."""
        confirmed = self.store.version(self.standing.confirmed)
        if confirmed is None:
            raise StoreUnusable(f"version {self.standing.confirmed} is gone")
        files = self.store.files(confirmed)
        read = Read(confirmed.main, files, confirmed.referred, confirmed.feeds)
        self.begin(read, going_back(self.standing), now)
        return self.store.versions[-1]


def going_back(standing: Standing) -> Change:
    """The change by which the version in force is gone back from."""
    why = f"version {standing.in_force} was not confirmed, so back to version {standing.confirmed}"
    return Change(OURSELVES, why, writes=True)


def _same(version: Version, read: Read) -> bool:
    """Whether a version has just what was read, but for what is in feeds."""
    return (
        version.main == read.main
        and version.feeds.keys() == read.feeds.keys()
        and _without(version.feeds, version.files) == _without(read.feeds, digests_of(read.files))
    )


def _without(feeds: Container[str], digests: Mapping[str, str]) -> dict[str, str]:
    return {path: digest for path, digest in digests.items() if path not in feeds}


def _standing(before: Standing, number: int, change: Change, now: float) -> Standing:
    """What stands when a version is put in force."""
    written = before.written if number == before.in_force else not change.writes
    if before.is_pending and not change.confirms:
        return replace(before, in_force=number, written=written)
    if change.confirm_s is None or not before.confirmed:
        return Standing(number, number, None, written)
    if number == before.confirmed:
        return before  # nothing differs from what is confirmed, so there is nothing to confirm
    return Standing(number, before.confirmed, now + change.confirm_s, written)
