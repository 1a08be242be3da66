"""What rules for headers do: set, add, remove, rename, regex, move, pass.

Operations change a copy of the headers; whether the result can be said is judged afterwards.
"""

from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from sbc.policy.manipulation_parts import ADDRESSES, HeaderPart, IllegalValue, check_text
from sbc.policy.manipulation_values import MAX_VALUE, Passing, Template

_LONGEST_SEARCHED: Final = 4096
"""Characters of the longest value that `regex` looks at."""


class Operation(Protocol):
    """One change of headers."""

    @property
    def part(self) -> HeaderPart:
        """What it changes."""

    def apply(self, passing: Passing) -> None:
        """Do it.

        Raises:
            IllegalValue: it would say what a header cannot.
        """


@dataclass(frozen=True, slots=True)
class Set:
    """Make a header, or a part of its addresses, say something."""

    part: HeaderPart
    value: Template

    def apply(self, passing: Passing) -> None:
        """See `Operation`; an empty value changes nothing."""
        _write(passing, self.part, _expanded(self.part, self.value, passing))


@dataclass(frozen=True, slots=True)
class Add:
    """Add a header, whether there is one of that name or not."""

    part: HeaderPart
    value: Template

    def apply(self, passing: Passing) -> None:
        """See `Operation`; an empty value changes nothing."""
        value = _expanded(self.part, self.value, passing)
        if value:
            passing.headers.append(self.part.name, value)


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a header, or a part of its addresses."""

    part: HeaderPart

    def apply(self, passing: Passing) -> None:
        """See `Operation`."""
        _remove(passing, self.part)


@dataclass(frozen=True, slots=True)
class Rename:
    """Give a header another name."""

    part: HeaderPart
    to: HeaderPart

    def apply(self, passing: Passing) -> None:
        """See `Operation`."""
        passing.headers.rename(self.part.key, self.to.name)


@dataclass(frozen=True, slots=True)
class Move:
    """Let one header, or part, say what another one says, and remove that."""

    part: HeaderPart
    to: HeaderPart

    def apply(self, passing: Passing) -> None:
        """See `Operation`."""
        value = self.part.read(passing.headers)
        if value is None:
            return
        check_text(value)
        _write(passing, self.to, value)
        _remove(passing, self.part)


@dataclass(frozen=True, slots=True)
class Regex:
    """Replace whatever an expression of RE2 matches in a header, or in a part of it."""

    part: HeaderPart
    match: str
    value: Template
    compiled: Any = field(compare=False, repr=False)

    def apply(self, passing: Passing) -> None:
        """See `Operation`."""

        def change(text: str | None) -> str | None:
            if text is None:
                return None
            if len(text) > _LONGEST_SEARCHED:
                raise IllegalValue(f"{self.part} is longer than {_LONGEST_SEARCHED} characters")
            replaced = self.compiled.sub(
                lambda match: self.value.expand(passing, (match[0], *match.groups())),
                _searchable(text),
            )
            return replaced or None

        self.part.edit(passing.headers, change)


@dataclass(frozen=True, slots=True)
class Pass:
    """Let the other side's header through as it came, though topology hiding would not."""

    part: HeaderPart

    def apply(self, passing: Passing) -> None:
        """See `Operation`."""
        values = [] if passing.source is None else passing.source.headers.all(self.part.key)
        if values:
            passing.headers.remove(self.part.key)
            for value in values:
                passing.headers.append(self.part.name, value)


def touched(operation: Operation) -> frozenset[str]:
    """The lookup keys of the headers that an operation may change."""
    to = getattr(operation, "to", operation.part)
    return frozenset({operation.part.key, to.key})


def _expanded(part: HeaderPart, value: Template, passing: Passing) -> str:
    text = value.expand(passing)
    check_text(text)
    if len(text) > MAX_VALUE:
        raise IllegalValue(f"{value.text!r} becomes longer than {MAX_VALUE} characters")
    if part.key in ADDRESSES and not part.part:
        value.check_addresses(text, passing)
    return text.strip(" \t")


def _write(passing: Passing, part: HeaderPart, value: str) -> None:
    if not value:
        return
    if part.part:
        part.edit(passing.headers, lambda _: value)
    else:
        passing.headers.set(part.name, value)


def _remove(passing: Passing, part: HeaderPart) -> None:
    part.edit(passing.headers, lambda _: None)


def _searchable(text: str) -> str:
    """What RE2 can look at.

    Raises:
        IllegalValue: it is no UTF-8.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise IllegalValue(f"{text!a} is no UTF-8, so no expression can look at it") from None
    return text
