"""What happened to one call, in order: the one record that ladder, CDR and diagnosis read.

Bounded by entries and by bytes. The beginning explains how a call was set up and the end why
it ended, so both are kept and the middle gives way.
"""

import re
import zlib
from typing import NamedTuple

MAX_ENTRIES = 160
MAX_BYTES = 48 * 1024
HEAD_ENTRIES = 40
"""How many of the first entries are never dropped."""

_METHOD = re.compile(rb"\r\n[Cc][Ss][Ee][Qq][ \t]*:[ \t]*[0-9]+[ \t]+([!-~]+)")


class JournalEntry(NamedTuple):
    """One line of a call's story."""

    at: float
    """Monotonic seconds, as handed to the call."""
    kind: str
    """``"sip"``, ``"decision"``, ``"media"``, ``"timer"`` or ``"error"``."""
    side: str
    """The leg it concerns: ``"a"``, ``"b"``, or ``""`` for both."""
    direction: str
    """For SIP ``"in"`` or ``"out"``; otherwise ``""``."""
    text: str
    """One line for people; for SIP empty, since `raw` says it all."""
    raw: bytes = b""
    """The SIP message as received or sent."""

    @property
    def summary(self) -> str:
        """The line to show: the text, or of a SIP message its start line and CSeq method."""
        return self.text or _summary_of(self.raw)


class Journal:
    """A bounded, append-only list of entries.

    The messages of a call resemble each other so much that packed together they take a fifth of
    their size; `pack` does that when a call has settled and may stay for hours.
    """

    __slots__ = ("_bytes", "_entries", "_packed", "_sizes", "dropped")

    def __init__(self) -> None:
        self.dropped = 0
        """Entries that gave way to later ones."""
        self._entries: list[JournalEntry] = []
        self._bytes = 0
        self._packed = b""
        self._sizes: tuple[int, ...] = ()

    @property
    def entries(self) -> list[JournalEntry]:
        """Every entry, oldest first."""
        if not self._packed:
            return self._entries
        raw = zlib.decompress(self._packed)
        entries, at = [], 0
        for entry, size in zip(self._entries, self._sizes, strict=False):
            entries.append(entry._replace(raw=raw[at : at + size]))
            at += size
        return entries + self._entries[len(self._sizes) :]

    @property
    def size(self) -> int:
        """How many bytes the messages and texts of all entries have, unpacked."""
        return self._bytes

    def note(
        self,
        at: float,
        kind: str,
        text: str,
        side: str = "",
        direction: str = "",
        raw: bytes = b"",
    ) -> None:
        """Append one entry; the oldest one after the head gives way when the journal is full."""
        entries = self._entries
        entries.append(JournalEntry(at, kind, side, direction, text, raw))
        self._bytes += len(raw) + len(text)
        if len(entries) > MAX_ENTRIES or self._bytes > MAX_BYTES:
            self._make_room()

    def __eq__(self, other: object) -> bool:
        """Equal when the same entries are kept and as many gave way, packed or not."""
        if not isinstance(other, Journal):
            return NotImplemented
        return self.dropped == other.dropped and self.entries == other.entries

    __hash__ = None  # type: ignore[assignment]  # mutable, so unhashable

    def pack(self) -> None:
        """Keep the messages noted so far in less room; reading them later takes longer."""
        entries = self.entries
        self._packed = zlib.compress(b"".join([entry.raw for entry in entries]), 1)
        self._sizes = tuple([len(entry.raw) for entry in entries])
        self._entries = [entry._replace(raw=b"") for entry in entries]

    def to_data(self) -> dict[str, object]:
        """The journal as plain data; message bytes as latin-1 text."""
        return {
            "dropped": self.dropped,
            "entries": [[*entry[:5], entry.raw.decode("latin-1")] for entry in self.entries],
        }

    @classmethod
    def from_data(cls, data: dict[str, object]) -> "Journal":
        """The journal that `to_data` exported."""
        journal = cls()
        entries = data["entries"]
        dropped = data["dropped"]
        assert isinstance(entries, list)
        assert isinstance(dropped, int)
        for at, kind, side, direction, text, raw in entries:
            journal.note(at, kind, text, side, direction, raw.encode("latin-1"))
        journal.dropped = dropped
        return journal

    def _make_room(self) -> None:
        entries = self._entries = self.entries
        self._packed, self._sizes = b"", ()
        while len(entries) > HEAD_ENTRIES + 1 and (
            len(entries) > MAX_ENTRIES or self._bytes > MAX_BYTES
        ):
            gone = entries.pop(HEAD_ENTRIES)
            self._bytes -= len(gone.raw) + len(gone.text)
            self.dropped += 1


def _summary_of(raw: bytes) -> str:
    """Start line of a message, shortened, with the method of a response."""
    head = raw[:2048]
    line = head.partition(b"\r\n")[0].decode("utf-8", "replace")
    if not line.startswith("SIP/2.0 "):
        method, _, tail = line.partition(" ")
        return f"{method} {tail.rpartition(' ')[0]}"
    found = _METHOD.search(head)
    return line[8:] if found is None else f"{line[8:]} ({found[1].decode()})"
