"""Configurations as versions: applied, confirmed or gone back from, and put in force again.

The operator's files are the candidate: `apply` and `reload` put in force what stands in them, and a
version that is put in force from elsewhere is written over them, so that between two commands the
files and the process say the same.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Generic, NamedTuple, Protocol, TypeVar

import trio

from sbc.document.reading import why_unreadable
from sbc.management.control import CommandRefused
from sbc.management.listing import Row
from sbc.management.log import Log
from sbc.management.reloading import ReadAgain, Reloading
from sbc.state.database import StoreUnusable
from sbc.state.versions.disk import read_bounded
from sbc.state.versions.fates import FileFate
from sbc.state.versions.history import Change, History, going_back
from sbc.state.versions.version import Standing, Version

C = TypeVar("C")

_DONE = {"write": "file written", "leave": "file left"}

AGAIN_S = 60.0
"""How long after a way back that failed the next one is tried."""


class Outlook(NamedTuple):
    """What an earlier version would bring."""

    files: Mapping[str, bytes]
    """What would be read, by absolute path, and nothing else."""
    fates: list[Row]
    """What would become of the files on disk, as rows."""


class ReadFrom(Protocol[C]):
    """How a configuration is read again."""

    def __call__(self, current: C, given: Mapping[str, bytes], *, only: bool) -> ReadAgain[C]:
        """Read it; may block.

        Args:
            current: The one in force.
            given: Contents of files by absolute path, in place of those on disk.
            only: Whether nothing on disk counts.
        """


class Versions(Generic[C]):
    """Every way in which the configuration in force changes, but for renewed certificates."""

    def __init__(
        self,
        history: History,
        reloading: Reloading[C],
        *,
        read: ReadFrom[C],
        numbered: Callable[[C, int], C],
        log: Log,
        wall: Callable[[], float],
    ) -> None:
        """Nothing is changed yet.

        Args:
            numbered: A configuration with the number of its version.
            wall: Seconds since 1970.
        """
        self._history = history
        self._reloading = reloading
        self._read = read
        self._numbered = numbered
        self._log = log
        self._wall = wall
        self._changed = trio.Event()

    async def run(self) -> None:
        """Go back from versions that nobody confirms in time, until cancelled."""
        while True:
            confirm_by = self._history.standing.confirm_by
            # The clock of the day may be set meanwhile, so it is looked at again every minute.
            wait_s = AGAIN_S if confirm_by is None else min(confirm_by - self._wall(), AGAIN_S)
            await self._changed_within(max(0.0, wait_s))
            if self._is_over() and not await self._go_back():
                await self._changed_within(AGAIN_S)

    async def reload(self, who: str, why: str = "") -> Row:
        """Put in force what stands in the operator's files; what waits for its confirmation still
        does."""
        return await self._put({}, Change(who, why, confirms=False), "reloaded")

    async def apply(
        self, who: str, *, file: Path | None = None, why: str = "", confirm_s: float | None = None
    ) -> Row:
        """Put in force what stands in the operator's files.

        Args:
            file: What stands for sbc.yaml, which is made like it; names in it are relative to
                sbc.yaml all the same.
            confirm_s: How long it holds unless it is confirmed.

        Raises:
            CommandRefused: that file cannot be read.
        """
        change = Change(who, why, confirm_s, writes=file is not None)
        if file is None:
            return await self._put({}, change, "applied")
        try:
            data = await trio.to_thread.run_sync(read_bounded, file)
        except (OSError, ValueError) as error:
            raise CommandRefused(f"{file}: cannot be read: {why_unreadable(error)}") from None
        return await self._put({self._main: data}, change, "applied")

    async def rollback(
        self, number: int, who: str, *, why: str = "", confirm_s: float | None = None
    ) -> Row:
        """Put an earlier version in force again, and write its files over the operator's.

        Raises:
            CommandRefused: there is no such version, what was kept of it cannot be used, or one of
                its files must not be written.
        """
        version = self._one(number)
        for one in await self._fates(version):
            if one.what == "refuse":
                raise CommandRefused(f"nothing was changed: {one.path}: {one.why}")
        change = Change(who, why or f"back to version {number}", confirm_s, writes=True)
        return await self._put_kept(version, change)

    async def outlook(self, number: int) -> Outlook:
        """What going back to a version would read, and what would become of the files.

        Raises:
            CommandRefused: as `rollback`.
        """
        version = self._one(number)
        files = await self._files(version)
        return Outlook(files, [fate_row(one) for one in await self._fates(version)])

    async def confirm(self, who: str) -> Row:
        """Let the version in force stay.

        Raises:
            CommandRefused: nothing waits for that, or it cannot be written down.
        """
        async with self._reloading.one_at_a_time:
            if not self._history.standing.is_pending:
                raise CommandRefused(
                    f"version {self._history.standing.in_force} needs no confirmation; it stays"
                )
            try:
                number = await trio.to_thread.run_sync(self._history.confirm)
            except StoreUnusable as error:
                raise CommandRefused(f"not confirmed: {error}") from None
        self._wake()
        self._log.info("confirmed", version=number, who=who)
        return {"version": number}

    def listing(self) -> list[Row]:
        """Every kept version, the oldest first."""
        standing = self._history.standing
        return [version_row(one, standing.in_force, standing.confirmed) for one in self._kept()]

    def standing(self) -> Row:
        """The version in force, and how long it still waits for its confirmation."""
        standing, version = self._history.standing, self._history.version
        row: Row = {"version": standing.in_force}
        if version is not None:
            row |= {"at": version.at, "who": version.who, "why": version.why}
        if standing.confirm_by is not None:
            row |= {
                "confirm_within_s": max(0, round(standing.confirm_by - self._wall())),
                "else_back_to": standing.confirmed,
            }
        return row

    @property
    def _main(self) -> str:
        version = self._history.version
        return "" if version is None else version.main

    def _one(self, number: int) -> Version:
        """A version of this process's files that is kept."""
        version = self._history.store.version(number)
        if version is None:
            kept = [str(one.number) for one in self._history.store.versions]
            raise CommandRefused(
                f"there is no version {number}; kept are {kept[0]} to {kept[-1]}, see "
                "`sbc versions`"
            )
        if version.main != self._main:
            raise CommandRefused(
                f"version {number} is one of {version.main}, and this process runs on {self._main}"
            )
        return version

    async def _files(self, version: Version, *, kept: bool = False) -> dict[str, bytes]:
        store = self._history.store
        try:
            return await trio.to_thread.run_sync(store.kept if kept else store.files, version)
        except StoreUnusable as error:
            raise CommandRefused(str(error)) from None

    async def _fates(self, version: Version) -> tuple[FileFate, ...]:
        try:
            return await trio.to_thread.run_sync(self._history.store.fates, version)
        except StoreUnusable as error:
            raise CommandRefused(str(error)) from None

    def _kept(self) -> tuple[Version, ...]:
        return self._history.store.versions

    def _is_over(self) -> bool:
        confirm_by = self._history.standing.confirm_by
        return confirm_by is not None and confirm_by <= self._wall()

    async def _go_back(self) -> bool:
        """Put the last confirmed version in force again; whether that could be done."""
        standing = self._history.standing
        version = self._history.store.version(standing.confirmed)
        if version is None:
            self._log.error("not gone back", why=f"version {standing.confirmed} is gone")
            return False
        change = going_back(standing)
        self._log.warning("going back", why=change.why)
        try:
            answer = await self._put_kept(version, change, standing)
        except CommandRefused as refusal:
            self._log.error("not gone back", why=str(refusal))
            return False
        if not answer["applied"]:
            self._log.error(
                "not gone back",
                why="it cannot be used now; see the lines above",
                still_in_force=standing.in_force,
                try_again_s=AGAIN_S,
            )
        return answer["applied"] is True

    async def _put_kept(
        self, version: Version, change: Change, expected: Standing | None = None
    ) -> Row:
        files = await self._files(version)
        put = partial(self._put, change=change, done="rolled back", only=True, expected=expected)
        answer = await put(files)
        kept = await self._files(version, kept=True)
        if answer["applied"] or kept == files:
            return answer
        # A feed that is broken now must not keep anybody from going back.
        return await put(kept)

    async def _put(
        self,
        given: Mapping[str, bytes],
        change: Change,
        done: str,
        *,
        only: bool = False,
        expected: Standing | None = None,
    ) -> Row:
        """Read, keep, swap and write; as `Reloading.reload`, with the number of the version.

        Args:
            expected: What must still stand when it begins; None for anything.
        """
        step = _Step(self._history, change, expected, self._numbered, self._wall)
        read = partial(self._read, given=given, only=only)
        answer = await self._reloading.reload(read, step, done)
        if answer["applied"]:
            version = self._history.version
            told = {} if version is None else {"version": version.number, "why": version.why}
            self._log.info("version in force", **told, who=change.who)
        for one in step.fates:
            self._log.info(_DONE[one.what], file=one.path, why=one.why)
        if step.trouble:
            self._log.error("files differ", why=step.trouble)
        self._wake()
        standing = self._history.standing
        left = None if standing.confirm_by is None else round(standing.confirm_by - self._wall())
        told = {"files": [fate_row(one) for one in step.fates], "trouble": step.trouble}
        return {**answer, **told, "version": standing.in_force, "confirm_within_s": left}

    async def _changed_within(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


class _Step(Generic[C]):
    """What happens on disk around one swap; called in threads, so it logs nothing."""

    __slots__ = (
        "_before",
        "_change",
        "_expected",
        "_history",
        "_numbered",
        "_wall",
        "fates",
        "trouble",
    )

    def __init__(
        self,
        history: History,
        change: Change,
        expected: Standing | None,
        numbered: Callable[[C, int], C],
        wall: Callable[[], float],
    ) -> None:
        self.fates: tuple[FileFate, ...] = ()
        """What became of the operator's files."""
        self.trouble = ""
        """What could not be done on disk."""
        self._history = history
        self._before = history.standing
        self._change = change
        self._expected = expected
        self._numbered = numbered
        self._wall = wall

    def begin(self, again: ReadAgain[C], configuration: C) -> C:
        """As `Transaction.begin`."""
        self._before = self._history.standing
        if self._expected not in (None, self._before):
            raise StoreUnusable("another version was put in force or confirmed meanwhile")
        number = self._history.begin(again.read, self._change, self._wall())
        return self._numbered(configuration, number)

    def finish(self) -> None:
        """As `Transaction.finish`."""
        try:
            self.fates = self._history.finish()
        except StoreUnusable as error:
            self.trouble = (
                "the version in force cannot be written over the files it belongs to; until it "
                f"can be, a start reads it from where it is kept: {error}"
            )

    def undo(self) -> None:
        """As `Transaction.undo`."""
        try:
            self._history.undo(self._before)
        except StoreUnusable as error:
            self.trouble = f"the next start begins with what could not be put in force: {error}"


def version_row(version: Version, in_force: int, confirmed: int) -> Row:
    """A version as commands show it."""
    state = ""
    if version.number == in_force:
        state = "in force" if in_force == confirmed else "in force, not confirmed"
    elif version.number == confirmed:
        state = "to go back to"
    return {
        "version": version.number,
        "at": version.at,
        "who": version.who,
        "why": version.why,
        "state": state,
        "files": len(version.files),
    }


def fate_row(one: FileFate) -> Row:
    """What becomes of a file, as commands show it."""
    return {"file": one.path, "what": one.what, "why": one.why}
