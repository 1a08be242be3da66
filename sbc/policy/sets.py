"""Named sets of networks and numbers, whose entries change while rules use them.

The set that a condition holds stays the same object; what is in it is exchanged as one reference,
between two turns of the loop. A hundred thousand entries cost a decision no more than ten do.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from typing import Final, Literal, NamedTuple, Protocol

from sbc.prefixes import PrefixKey, PrefixMap, prefix_key
from sbc.routing.patterns import Exact, NumberPattern, Prefix, number_matches, parse_number_pattern

SetKind = Literal["networks", "numbers"]

MOST_ENTRIES: Final = 1_000_000
"""Of one set."""
MOST_TRIED: Final = 1000
"""Ranges and globs of one set, which are tried one after the other."""
MOST_FAULTS: Final = 20
"""Complaints about one file; whoever has more knows enough."""


class Fault(NamedTuple):
    """What is wrong with one line."""

    line: int
    """From 1."""
    why: str


def told(file: str, faults: Sequence[Fault]) -> str:
    """What is wrong with a file, in one line; empty for nothing."""
    if not faults:
        return ""
    line, why = faults[0]
    more = f", and {len(faults) - 1} more lines are wrong" if len(faults) > 1 else ""
    return f"{file}:{line}: {why}{more}"


class _Found(Protocol):
    """Entries of one kind."""

    def find_all(self, item: str) -> Iterable[str]:
        """Every entry that holds an address or a number."""


class _NumberEntries:
    """Number patterns, kept so that most of them cost nothing."""

    __slots__ = ("_exact", "_others", "_prefixes")

    def __init__(self, entries: Iterable[tuple[NumberPattern, str]]) -> None:
        self._exact: dict[str, str] = {}
        self._others: list[tuple[NumberPattern, str]] = []
        prefixes: dict[int, dict[str, str]] = {}
        for pattern, text in entries:
            if isinstance(pattern, Exact):
                self._exact.setdefault(pattern.text, text)
            elif isinstance(pattern, Prefix):
                prefixes.setdefault(len(pattern.text), {}).setdefault(pattern.text, text)
            else:
                self._others.append((pattern, text))
        self._prefixes = sorted(prefixes.items(), reverse=True)

    def find_all(self, item: str) -> Iterator[str]:
        """See `_Found`."""
        found = self._exact.get(item)
        if found is not None:
            yield found
        for length, level in self._prefixes:
            found = level.get(item[:length])
            if found is not None:
                yield found
        for pattern, text in self._others:
            if number_matches(pattern, item):
                yield text


_NOTHING: Final[PrefixMap[str]] = PrefixMap()


@dataclass(frozen=True, slots=True)
class Entries:
    """What is in a set at a time. Immutable."""

    count: int = 0
    found: _Found = field(default=_NOTHING, compare=False, repr=False)
    until: Mapping[str, float] = field(default_factory=dict)
    """When (seconds since 1970) an entry ends, for those that do."""

    def find(self, item: str, now: float) -> str | None:
        """The entry that holds an address or a number at a time; None for none."""
        for text in self.found.find_all(item):
            if self.until.get(text, inf) > now:
                return text
        return None

    def live(self, now: float) -> int:
        """How many entries have not ended."""
        return self.count - sum(end <= now for end in self.until.values())


def read_entries(
    kind: SetKind, lines: Iterable[str], more: Iterable[str] = ()
) -> tuple[Entries, list[Fault]]:
    """Read the entries of a set, one on a line: ``ENTRY [until ISO-TIME] [# comment]``.

    What follows ``#`` or ``;`` is a comment; a time without a zone is UTC. The broken lines are
    told and left out.

    Args:
        more: Entries that stand elsewhere; their faults have negative lines.
    """
    reader = _NetworkReader() if kind == "networks" else _NumberReader()
    faults: list[Fault] = []
    until: dict[str, float] = {}
    seen: set[str] = set()
    for number, line in _numbered(lines, more):
        words = line.partition("#")[0].partition(";")[0].split()
        if not words:
            continue
        if len(seen) >= MOST_ENTRIES:
            faults.append(Fault(number, f"more than {MOST_ENTRIES} entries; the rest is left out"))
            break
        try:
            end = _end_of(words)
            reader.take(words[0])
        except ValueError as error:
            faults.append(Fault(number, str(error)))
            if len(faults) >= MOST_FAULTS:
                break
            continue
        if end != inf or until:
            _keep_longest(until, seen, words[0], end)
        seen.add(words[0])
    return Entries(len(seen), reader.entries(), until), faults


def _numbered(lines: Iterable[str], more: Iterable[str]) -> Iterator[tuple[int, str]]:
    yield from enumerate(lines, start=1)
    for number, line in enumerate(more, start=1):
        yield -number, line


def _keep_longest(until: dict[str, float], seen: set[str], entry: str, end: float) -> None:
    """Of an entry that stands there twice the later end counts."""
    before = until.get(entry, inf) if entry in seen else -inf
    if end > before or entry not in seen:
        if end == inf:
            until.pop(entry, None)
        else:
            until[entry] = end


def _end_of(words: list[str]) -> float:
    if len(words) == 1:
        return inf
    if len(words) not in {3, 4} or words[1] != "until":
        raise ValueError(f"{' '.join(words)[:80]!r} is not ENTRY [until TIME] [# comment]")
    text = " ".join(words[2:])
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:80]!r} is no time like 2026-12-31T18:00Z") from None
    return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()


class _NetworkReader:
    __slots__ = ("_read",)

    def __init__(self) -> None:
        self._read: list[tuple[PrefixKey, str]] = []

    def take(self, text: str) -> None:
        if text.endswith("/0"):
            # One such line in somebody's feed would shut everybody out.
            raise ValueError(f"{text!r} is every address; a rule without a set says that")
        self._read.append((prefix_key(text), text))

    def entries(self) -> _Found:
        return PrefixMap.of_keys(self._read)


class _NumberReader:
    __slots__ = ("_read", "_tried")

    def __init__(self) -> None:
        self._read: list[tuple[NumberPattern, str]] = []
        self._tried = 0

    def take(self, text: str) -> None:
        pattern = parse_number_pattern(text)
        if not isinstance(pattern, Exact | Prefix):
            self._tried += 1
            if self._tried > MOST_TRIED:
                raise ValueError(f"more than {MOST_TRIED} ranges and globs; write prefixes")
        self._read.append((pattern, text))

    def entries(self) -> _Found:
        return _NumberEntries(self._read)


class EntrySet:
    """One named set.

    Time comes to it by `look`, every few seconds: within them an entry may outlive its end.
    """

    __slots__ = (
        "_entries", "_now", "entries_here", "expires_s", "feed", "file", "hits", "kind", "modified",
        "name", "trouble", "where",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        kind: SetKind,
        entries: Entries,
        *,
        where: str = "",
        file: str = "",
        entries_here: tuple[str, ...] = (),
        expires_s: float = inf,
        feed: str = "",
    ) -> None:
        """Begin with some entries.

        Args:
            where: ``file:line`` that defines it.
            file: Where more of its entries come from; empty for nowhere.
            entries_here: Those that stand in the policy.
            expires_s: After so long without a change of the file none of the entries counts.
            feed: By what it is known that others renew the file; empty where a person writes it.
        """
        self.name = name
        self.kind = kind
        self.where = where
        self.file = file
        self.entries_here = entries_here
        self.expires_s = expires_s
        self.feed = feed
        self.modified = -inf
        """When the file changed last, in seconds since 1970, as far as somebody looked."""
        self.trouble = ""
        """Why the file that is there now is not taken, or does not count any more."""
        self.hits = 0
        """How often a condition found something in it."""
        self._entries = entries
        self._now = -inf

    def __eq__(self, other: object) -> bool:
        """Whether both are defined alike; what is in them at the moment does not count."""
        return isinstance(other, EntrySet) and self._definition == other._definition

    def __hash__(self) -> int:
        return hash(self._definition)

    def __str__(self) -> str:
        of = f" of {self.file}" if self.file else ""
        return f"{self.kind}{of}, {len(self.entries_here)} in the policy"

    @property
    def _definition(self) -> tuple[object, ...]:
        return self.name, self.kind, self.file, self.entries_here, self.expires_s

    @property
    def entries(self) -> int:
        """How many entries count now."""
        return 0 if self.stale else self._entries.live(self._now)

    @property
    def stale(self) -> bool:
        """Whether the file has not changed for longer than it may."""
        return self._now - self.modified > self.expires_s

    def replace(self, entries: Entries) -> None:
        """Have other entries from now on."""
        self._entries = entries

    def look(self, now: float, modified: float | None = None) -> None:
        """Tell the time (seconds since 1970), and when the file changed last, if it is there."""
        self._now = now
        if modified is not None:
            self.modified = modified
        elif self.modified == -inf:
            # A file that nobody has seen yet begins to age now.
            self.modified = now

    def find(self, item: str) -> str | None:
        """The entry that holds an address or a number; None for none."""
        return None if self.stale else self._entries.find(item, self._now)

    def hit(self, item: str) -> bool:
        """Whether an address or a number is in it; counted if it is."""
        if self.find(item) is None:
            return False
        self.hits += 1
        return True
