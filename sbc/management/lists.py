"""Files that are taken by themselves when they change: sets of policies, databases of places.

A file is read when it has been left alone from one look to the next. One that is missing or broken
changes nothing: what was read before goes on, and the operator is told.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

import trio

from sbc.document.reading import why_unreadable
from sbc.geo.database import GeoUnusable, What, open_database
from sbc.geo.places import GeoPlaces
from sbc.management.file_changes import LOOK_S, FileChanges, Signature, signatures
from sbc.management.listing import Row
from sbc.management.log import Log
from sbc.policy.sets import EntrySet, read_entries, told

ReadText = Callable[[Path], str]


class Unreadable(Exception):
    """A file that cannot be taken; its text says why."""


class Watched(Protocol):
    """Something that is read from a file."""

    @property
    def what(self) -> str:
        """What it is, in a log: ``set feed``."""

    @property
    def file(self) -> Path:
        """Where it is read from."""

    def look(self, now: float, modified: float | None) -> None:
        """Tell the time (seconds since 1970), and when the file changed, if it is there."""

    def read(self) -> Callable[[], None]:
        """Read the file; may block. Returns what puts it in use, to be called in the loop.

        Raises:
            Unreadable: it cannot be used.
        """

    def fail(self, why: str) -> None:
        """The file cannot be taken; empty when it could."""

    @property
    def trouble(self) -> str:
        """What the operator should see to; empty for nothing."""

    @property
    def holds(self) -> bool:
        """Whether what was read before still counts."""


class SetFile:
    """The file of a named set."""

    def __init__(self, named: EntrySet, read: ReadText) -> None:
        self._set = named
        self._read = read
        self.what = f"set {named.name}"
        self.file = Path(named.file)

    def look(self, now: float, modified: float | None) -> None:
        """See `Watched`."""
        self._set.look(now, modified)

    def read(self) -> Callable[[], None]:
        """See `Watched`."""
        try:
            text = self._read(self.file)
        except (OSError, ValueError) as error:
            raise Unreadable(f"cannot be read: {why_unreadable(error)}") from None
        named = self._set
        entries, faults = read_entries(named.kind, text.split("\n"), named.entries_here)
        if faults:
            raise Unreadable(told(str(self.file), faults))
        return partial(named.replace, entries)

    def fail(self, why: str) -> None:
        """See `Watched`."""
        self._set.trouble = why

    @property
    def trouble(self) -> str:
        """See `Watched`."""
        return _trouble_of(self._set)

    @property
    def holds(self) -> bool:
        """See `Watched`."""
        return not self._set.stale


class GeoFile:
    """The file of a database of places."""

    def __init__(self, places: GeoPlaces, asked: What, file: Path) -> None:
        self._places = places
        self._asked: What = asked
        self.what = f"geo database {asked}"
        self.file = file

    def look(self, now: float, modified: float | None) -> None:
        """See `Watched`."""

    def read(self) -> Callable[[], None]:
        """See `Watched`."""
        try:
            database = open_database(self.file, self._asked)
        except GeoUnusable as error:
            raise Unreadable(str(error)) from None
        return partial(self._places.take, self._asked, database)

    def fail(self, why: str) -> None:
        """See `Watched`."""
        if why:
            self._places.fail(self._asked, why)

    @property
    def trouble(self) -> str:
        """See `Watched`."""
        return self._places.trouble.get(self._asked, "")

    @property
    def holds(self) -> bool:
        """See `Watched`."""
        return True


class _Looks:
    """All looks at one file."""

    __slots__ = ("changes", "taken", "told", "watched")

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self.changes = FileChanges()
        self.taken = False
        """Whether it was read since it was loaded."""
        self.told = ""
        """What was said last of its trouble."""


class ListWatch:
    """Looks at the files, and tells sets the time."""

    def __init__(self, log: Log, *, read: ReadText, wall: Callable[[], float]) -> None:
        """Watch nothing yet.

        Args:
            read: Reads a file; raises OSError or ValueError.
            wall: Seconds since 1970.
        """
        self._log = log
        self._read = read
        self._wall = wall
        self._looks: list[_Looks] = []
        self._sets: tuple[EntrySet, ...] = ()
        self.places: GeoPlaces | None = None
        """The databases in use."""

    def watch(self, sets: Iterable[EntrySet], places: GeoPlaces) -> None:
        """Watch the files of another configuration from now on."""
        self._sets, self.places = tuple(sets), places
        files: list[Watched] = [SetFile(one, self._read) for one in self._sets if one.file]
        files += [GeoFile(places, asked, file) for asked, file in places.settings.files.items()]
        self._looks = [_Looks(one) for one in files]
        now = self._wall()
        for one in self._sets:
            one.look(now)

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await self.look()
            await trio.sleep(LOOK_S)

    async def look(self) -> None:
        """Look once; what changed is taken before this returns."""
        looks = self._looks
        files = [one.watched.file for one in looks]
        found = await trio.to_thread.run_sync(signatures, files, abandon_on_cancel=True)
        now = self._wall()
        for one in self._sets:
            one.look(now)
        for look in looks:
            signature = found[look.watched.file]
            look.watched.look(now, _modified(signature))
            if look.changes.due({look.watched.file: signature}):
                await self._take(look)
            self._tell(look)

    async def _take(self, look: _Looks) -> None:
        watched, first, look.taken = look.watched, not look.taken, True
        try:
            use = await trio.to_thread.run_sync(watched.read, abandon_on_cancel=True)
        except Unreadable as error:
            watched.fail(str(error))
            return
        watched.fail("")
        use()
        if not first:
            self._log.info("list taken", what=watched.what, file=str(watched.file))

    def _tell(self, look: _Looks) -> None:
        """Say once what is wrong, and once that it is over."""
        watched, trouble = look.watched, look.watched.trouble
        if trouble == look.told:
            return
        look.told = trouble
        if not trouble:
            self._log.info("list", what=watched.what, file=str(watched.file), trouble="over")
            return
        meanwhile = "what was read before goes on" if watched.holds else "see why nobody renews it"
        self._log.error(
            "list",
            what=watched.what,
            file=str(watched.file),
            trouble=trouble,
            advice=f"{meanwhile}; a good file is taken without a reload",
        )

    def listing(self) -> Row:
        """The sets and databases in use: how much is in them, how old they are, what is wrong."""
        now = self._wall()
        return {
            "sets": {one.name: _set_row(one, now) for one in self._sets},
            "geo": {} if self.places is None else _geo_rows(self.places),
        }


def _trouble_of(one: EntrySet) -> str:
    if one.trouble or not one.stale:
        return one.trouble
    return f"it has not changed for {one.expires_s:g} s, so none of its entries counts any more"


def _modified(signature: Signature | None) -> float | None:
    return None if signature is None else signature[0] / 1e9


def _set_row(one: EntrySet, now: float) -> Row:
    row: Row = {"kind": one.kind, "entries": one.entries, "hits": one.hits}
    if one.file:
        row |= {
            "file": one.file,
            "age_s": round(max(now - one.modified, 0.0)),
            "trouble": _trouble_of(one),
        }
    return row


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def _geo_rows(places: GeoPlaces) -> Row:
    rows: Row = {}
    for asked, file in places.settings.files.items():
        database = places.database(asked)
        rows[asked] = {
            "file": str(file),
            "kind": None if database is None else database.kind,
            "built": None if database is None else _day(database.built),
            "trouble": places.trouble.get(asked, ""),
            "on_failure": places.settings.on_failure,
        }
    return rows
