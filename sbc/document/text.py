"""YAML text to plain values that remember where they stand.

A narrow YAML: mappings, lists and scalars, one document. Aliases, tags, keys that are not plain
words and repeated keys are refused, because each of them has surprised an operator elsewhere.
All scalars stay text (only nothing, ``null`` and ``~`` become None): the schema decides what is a
number, so that ``off``, ``0049`` and ``12:30`` mean what they look like.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias

import yaml

from sbc.document.problem import Path, Place, Problem, Severity, path_text

Value: TypeAlias = "str | list[Value] | dict[str, Value] | None"

MAX_DEPTH = 32
"""How deep lists and mappings may nest; an operator needs six."""

MOST_VALUES = 2_000_000
"""Of one text, half a gigabyte of memory; 100 000 rules have half as many."""

MOST_PROBLEMS = 1000
"""Of one text; whoever has more knows enough."""

_FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NOTHING = frozenset(("", "~", "null", "Null", "NULL"))
_VARIABLE = re.compile(r"\$\{([^}]*)(\}?)")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(slots=True)
class Document:
    """What a YAML text says, where it says it, and what is wrong with it."""

    file: str
    data: Value = None
    values: dict[Path, Place] = field(default_factory=dict)
    """Where each value begins."""
    keys: dict[Path, Place] = field(default_factory=dict)
    """Where the key of each mapping entry begins."""
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: Path, *, key: bool = False) -> Place:
        """Where a value (or its key) stands; the nearest enclosing one if it is not there."""
        first, second = (self.keys, self.values) if key else (self.values, self.keys)
        while path:
            found = first.get(path) or second.get(path)
            if found is not None:
                return found
            path = path[:-1]
            first, second = self.keys, self.values
        return self.values.get((), Place(self.file, 1, 1))

    def report(
        self,
        path: Path,
        message: str,
        hint: str = "",
        *,
        severity: Severity = Severity.ERROR,
        key: bool = False,
    ) -> None:
        """Complain about a value, or with `key` about the key in front of it."""
        self.report_at(self.place(path, key=key), path, message, hint, severity=severity)

    def report_at(
        self,
        place: Place,
        path: Path,
        message: str,
        hint: str = "",
        *,
        severity: Severity = Severity.ERROR,
    ) -> None:
        """Complain about a position."""
        self.problems.append(
            Problem(severity, place.file, place.line, place.column, path_text(path), message, hint)
        )

    @property
    def broken(self) -> bool:
        """Whether any problem is an error."""
        return any(problem.is_error for problem in self.problems)


def read_document(text: str, file: str, environment: Mapping[str, str] | None = None) -> Document:
    """Read a YAML text; whatever is wrong with it becomes a problem of the document.

    Args:
        file: the name to show for it.
        environment: what ``${NAME}`` in a value stands for; with None nothing is replaced.
    """
    document = Document(file)
    builder = _Builder(document, environment)
    try:
        for event in _events(text):
            if not builder.take(event) or builder.has_enough:
                break
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = builder.last if mark is None else Place(file, mark.line + 1, mark.column + 1)
        document.report_at(place, (), f"not valid YAML: {error.problem or error.context}")
    except yaml.reader.ReaderError as error:
        before = text[: error.position].split("\n")
        document.report_at(
            Place(file, len(before), len(before[-1]) + 1),
            (),
            f"not valid YAML: the character U+{_code_point(error.character):04X} is not allowed",
        )
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # PyYAML lets chr() and int() fail on escapes and versions that no file of ours has.
        document.report_at(builder.last, (), f"not valid YAML: {error}")
    return document


def _events(text: str) -> Iterator[yaml.Event]:
    """What stands in a text, in its order.

    libyaml reads sixty times as fast, which counts where lists are long and reloads frequent. Of
    what it does not understand PyYAML's own parser is asked from there on: it says more clearly
    what is wrong, and it is there where libyaml is not.
    """
    taken = 0
    try:
        for event in yaml.parse(text, Loader=_FAST):
            taken += 1
            yield event
    except (yaml.YAMLError, ValueError, OverflowError):
        yield from islice(yaml.parse(text, Loader=yaml.SafeLoader), taken, None)


def _code_point(character: str | bytes | int) -> int:
    return character if isinstance(character, int) else ord(character)


@dataclass(slots=True)
class _Open:
    """A list or mapping that is still being read."""

    path: Path
    into: list[Value] | dict[str, Value]
    key: str | None = None
    """The key whose value comes next; None when a key comes next."""
    skipping: bool = False
    """Whether the value that comes next belongs to a refused key."""


class _Builder:
    """Turns parser events into values on a stack of its own, so that depth is bounded."""

    __slots__ = ("_document", "_environment", "_stack", "_started", "last")

    def __init__(self, document: Document, environment: Mapping[str, str] | None) -> None:
        self._document = document
        self._environment = environment
        self._stack: list[_Open] = []
        self._started = False
        self.last = Place(document.file, 1, 1)

    @property
    def has_enough(self) -> bool:
        """Whether there is more than anybody writes, or than anybody wants to be told of."""
        document = self._document
        if len(document.values) > MOST_VALUES:
            self._complain(f"more than {MOST_VALUES} values", "put long lists into files of sets")
            return True
        if len(document.problems) > MOST_PROBLEMS:
            self._complain(f"more than {MOST_PROBLEMS} problems; the rest of the file is not read")
            return True
        return False

    def take(self, event: yaml.Event) -> bool:
        """Use one event; False when reading makes no sense any more."""
        mark = event.start_mark
        if mark is not None and not self._is_missing(event):
            self.last = Place(self._document.file, mark.line + 1, mark.column + 1)
        if isinstance(event, yaml.DocumentStartEvent):
            return self._start()
        if isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            self._stack.pop()
            return True
        if isinstance(event, yaml.AliasEvent):
            self._complain(f"the alias *{event.anchor} is not understood", "write the value out")
            self._add(None)
            return True
        if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)):
            return self._node(event)
        return True

    def _is_missing(self, event: yaml.Event) -> bool:
        """Whether a key has no value: where that is not, the parsers disagree; the key stands."""
        nothing = isinstance(event, yaml.ScalarEvent) and not event.value and not event.style
        return nothing and bool(self._stack) and self._stack[-1].key is not None

    def _start(self) -> bool:
        if self._started:
            self._complain("a second document in the file", "remove everything from '---' on")
            return False
        self._started = True
        return True

    def _node(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> bool:
        if event.tag is not None:
            self._complain(f"the tag {event.tag} is not understood", "remove it")
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
            return True
        if len(self._stack) >= MAX_DEPTH:
            self._complain(f"more than {MAX_DEPTH} levels of nesting")
            return False
        into: list[Value] | dict[str, Value]
        into = {} if isinstance(event, yaml.MappingStartEvent) else []
        if self._expects_key():
            self._complain("a list or mapping cannot be a key", "write a plain word")
            self._refuse_key()
            path: Path = (*self._stack[-1].path, "?")
        else:
            path = self._add(into)
        self._stack.append(_Open(path, into))
        return True

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        plain = not event.style
        if self._expects_key():
            self._key(event.value)
        elif plain and event.value in _NOTHING:
            self._add(None)
        else:
            self._add(self._substituted(event.value))

    def _expects_key(self) -> bool:
        if not self._stack:
            return False
        top = self._stack[-1]
        return isinstance(top.into, dict) and top.key is None and not top.skipping

    def _key(self, key: str) -> None:
        top = self._stack[-1]
        path = (*top.path, key)
        if not key:
            self._complain("a key is missing before the colon")
            self._refuse_key()
        elif key in top.into:
            first = self._document.keys[path].line
            self._document.report_at(
                self.last, path, f"the key {key!r} is repeated", f"it stands in line {first} too"
            )
            self._refuse_key()
        else:
            self._document.keys[path] = self.last
            top.key = key

    def _refuse_key(self) -> None:
        self._stack[-1].skipping = True

    def _add(self, value: Value) -> Path:
        """Put a value where it belongs, and say at which path that is."""
        document = self._document
        if not self._stack:
            document.data = value
            document.values[()] = self.last
            return ()
        top = self._stack[-1]
        if self._expects_key():  # an alias as a key
            self._refuse_key()
            return (*top.path, "?")
        if top.skipping:
            # Its values are read, for their own problems, but belong nowhere.
            top.skipping = False
            return (*top.path, "?")
        if isinstance(top.into, list):
            path: Path = (*top.path, len(top.into))
            top.into.append(value)
        else:
            key = top.key or ""
            path = (*top.path, key)
            top.into[key] = value
            top.key = None
        document.values.setdefault(path, self.last)
        return path

    def _substituted(self, text: str) -> str:
        environment = self._environment
        if environment is None or "${" not in text:
            return text

        def replacement(match: re.Match[str]) -> str:
            name = match[1]
            if not match[2] or not _VARIABLE_NAME.fullmatch(name):
                self._complain(f"{match[0]!r} names no variable", "write ${NAME}")
            elif not environment.get(name):
                self._complain(
                    f"the environment variable {name} is not set", f"set it: {name}=... sbc run"
                )
            return environment.get(name, "")

        return _VARIABLE.sub(replacement, text)

    def _complain(self, message: str, hint: str = "") -> None:
        path = self._here()
        self._document.report_at(self.last, path, message, hint)

    def _here(self) -> Path:
        if not self._stack:
            return ()
        top = self._stack[-1]
        if isinstance(top.into, list):
            return (*top.path, len(top.into))
        return top.path if top.key is None else (*top.path, top.key)
