"""What policy files define and share: variables, sets, calendars, and the files they include."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Final

from sbc.document.problem import Path, Place, Severity
from sbc.document.reading import why_unreadable
from sbc.document.text import Document, Value
from sbc.document.variables import KEY, expand
from sbc.policy.calendar_schema import build_calendar
from sbc.policy.emergency import Emergency
from sbc.policy.library_schema import Definitions, EmergencySection, SetSection
from sbc.policy.sets import Entries, EntrySet, read_entries, told

if TYPE_CHECKING:
    from sbc.policy.calendars import WorkingCalendar

MAX_INCLUDES_DEEP: Final = 8


def nothing_to_read(path: FilePath) -> str:
    """Read a file where there is none."""
    raise FileNotFoundError(2, "no files can be read here", str(path))


@dataclass(slots=True)
class Library:
    """What the policy files of one configuration define, in the order in which they are read."""

    read: Callable[[FilePath], str] = nothing_to_read
    """Reads a file; raises OSError or ValueError."""
    environment: Mapping[str, str] = field(default_factory=dict)
    variables: dict[str, Value] = field(default_factory=dict)
    sets: dict[str, EntrySet] = field(default_factory=dict)
    calendars: dict[str, "WorkingCalendar"] = field(default_factory=dict)
    files: set[FilePath] = field(default_factory=set)
    """Those that were read."""
    _open: list[FilePath] = field(default_factory=list)
    _defined: dict[tuple[str, str], str] = field(default_factory=dict)

    def has_read(self, path: FilePath) -> bool:
        """Whether a policy file was read already."""
        return _normal(path) in self.files

    def include(self, document: Document, load: Callable[[str, str], None]) -> None:
        """Read the files that a document includes, before anything else of it is understood.

        Args:
            load: Given the text and the name of each.
        """
        here = _normal(FilePath(document.file))
        self.files.add(here)
        self._open.append(here)
        for path, name in _includes(document):
            file = FilePath(document.file).parent / name
            if self._may_read(document, path, file):
                try:
                    text = self.read(file)
                except (OSError, ValueError) as error:
                    why = why_unreadable(error)
                    document.report(path, f"{name}: cannot be read: {why}", f"looked at {file}")
                else:
                    load(text, str(file))
        self._open.pop()

    def _may_read(self, document: Document, path: Path, file: FilePath) -> bool:
        if _normal(file) in self._open:
            document.report(path, f"{file} includes itself", "remove one of the includes")
            return False
        if len(self._open) >= MAX_INCLUDES_DEEP:
            document.report(path, f"files are included more than {MAX_INCLUDES_DEEP} deep")
            return False
        return not self.has_read(file)

    def expand(self, document: Document, text: str) -> None:
        """Replace the variables of a document."""
        if "${" in text or (isinstance(document.data, dict) and KEY in document.data):
            expand(document, self.variables, self.environment)

    def define(self, document: Document, definitions: Definitions) -> Mapping[str, EntrySet]:
        """Have what a document defines; its sets."""
        sets: dict[str, EntrySet] = {}
        for name, section in definitions.sets.items():
            if self._is_new(document, "sets", name):
                sets[name] = self._set(document, name, section)
        self.sets.update(sets)
        for name, calendar in definitions.calendars.items():
            if self._is_new(document, "calendars", name):
                self.calendars[name] = build_calendar(name, calendar)
        return sets

    def _is_new(self, document: Document, key: str, name: str) -> bool:
        where = document.place((key, name), key=True).where
        first = self._defined.setdefault((key, name), where)
        if first != where:
            document.report((key, name), f"the name {name!r} is taken", f"by {first}", key=True)
        return first == where

    def _set(self, document: Document, name: str, section: SetSection) -> EntrySet:
        path: Path = ("sets", name)
        file = None if section.file is None else FilePath(document.file).parent / section.file
        severity = Severity.WARNING if section.optional else Severity.ERROR
        text, trouble = "", ""
        if file is None and section.expires is not None:
            document.report((*path, "expires"), "without a file nothing expires", "remove it")
        if file is not None:
            try:
                text = self.read(file)
            except (OSError, ValueError) as error:
                trouble = f"cannot be read: {why_unreadable(error)}"
                message = f"{section.file}: {trouble}"
                hint = f"looked at {file}; `optional: true` starts without it"
                document.report((*path, "file"), message, hint, severity=severity)
        entries, faults = read_entries(section.kind, text.split("\n"), section.entries)
        for line, why in faults:
            if line < 0:
                document.report((*path, "entries", -line - 1), why)
            else:
                document.report_at(Place(str(file), line, 1), path, why, severity=severity)
        made = EntrySet(
            name,
            section.kind,
            entries,
            where=document.place(path).where,
            file="" if file is None else str(file),
            entries_here=section.entries,
            expires_s=inf if section.expires is None else section.expires,
            feed="" if file is None else _feed(section, entries),
        )
        made.trouble = trouble or told(str(file), [one for one in faults if one.line > 0])
        return made


def _feed(section: SetSection, entries: Entries) -> str:
    """By what it is known that others renew the file of a set; empty where a person writes it."""
    if section.expires is not None:
        return "its set `expires`"
    if section.optional:
        return "its set is `optional`"
    here = {entry.split(maxsplit=1)[0] for entry in section.entries if entry.strip()}
    return "entries in it end (`until`)" if entries.until.keys() - here else ""


def emergency_of(section: EmergencySection | None) -> Emergency:
    """What a file says of emergency calls."""
    if section is None:
        return Emergency()
    return Emergency(section.numbers, section.country, tuple(section.services.items()))


def _includes(document: Document) -> list[tuple[Path, str]]:
    """The files that a document includes, as it was written, with their places."""
    data = document.data
    given = data.get("include") if isinstance(data, dict) else None
    if isinstance(given, str):
        return [(("include",), given)] if given else []
    if not isinstance(given, list):
        return []
    return [
        (("include", number), name)
        for number, name in enumerate(given)
        if isinstance(name, str) and name
    ]


def _normal(path: FilePath) -> FilePath:
    """A path without detours, so that the same file has the same name."""
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and parts and parts[-1] not in {"..", path.anchor}:
            parts.pop()
        else:
            parts.append(part)
    return FilePath(*parts)
