"""Values that rules for headers write: text with ``$(variables)``, put together per message.

``$(...)`` is looked up when a message passes; ``${...}`` belongs to the file and is gone by then.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import dropwhile
from typing import Final, NamedTuple

from sbc.document.problem import did_you_mean
from sbc.policy.facts import SECRET, Facts
from sbc.policy.manipulation_parts import HeaderPart, IllegalValue, parse_part
from sbc.sip.grammar import split_commas
from sbc.sip.headers import Headers
from sbc.sip.message import Message, Response
from sbc.sip.uri import escape_user

MAX_VALUE: Final = 2048
"""Bytes of the longest value that a rule may make."""

_VARIABLE = re.compile(r"\$\(([^()]*)\)")
_HEADER: Final = "header:"
_STRUCTURE: Final = frozenset('<>"\\')
"""What begins and ends the parts of an address."""


class End(NamedTuple):
    """Who is at one end of a message's way."""

    peer: str
    """A PBX, a trunk, or a group of phones; empty for a stranger."""
    network: str


OURSELVES: Final = End("", "")
"""Who sends what we answer ourselves: no peer, on no network."""


@dataclass(slots=True)
class Passing:
    """One message on its way, as the operations of rules see it."""

    facts: Facts
    message: Message
    sender: End
    receiver: End | None = None
    """None where that is not known yet."""
    source: Message | None = None
    """The other side's message that it stands for."""
    headers: Headers = field(init=False)
    """Of the message; operations change them."""

    def __post_init__(self) -> None:
        self.headers = self.message.headers


class Variable(NamedTuple):
    """Something that differs from message to message."""

    read: Callable[[Passing], str]
    description: str


def _status(passing: Passing) -> str:
    return str(passing.message.status) if isinstance(passing.message, Response) else ""


def _toward(passing: Passing) -> str:
    receiver = passing.receiver
    return "" if receiver is None else receiver.peer or receiver.network


VARIABLES: Final[dict[str, Variable]] = {
    "caller": Variable(
        lambda p: escape_user(p.facts.caller_number),
        "the caller's number in the form that it has inside, as a URI may have it",
    ),
    "called": Variable(lambda p: escape_user(p.facts.called_number), "the called number, likewise"),
    "peer": Variable(lambda p: p.sender.peer, "the peer or group of phones it comes from"),
    "toward": Variable(_toward, "the peer or group of phones it goes to, or else the network"),
    "network": Variable(lambda p: p.facts.network, "the network it comes from"),
    "source": Variable(lambda p: p.facts.host, "the address it comes from"),
    "method": Variable(lambda p: p.facts.method, "its method, of a response that of the request"),
    "status": Variable(_status, "the status of a response"),
}
"""By the name in ``$(name)``."""


class Template:
    """A value as a file has it: texts, variables, headers, captures."""

    __slots__ = ("_inner", "_outline", "_pieces", "text")

    def __init__(self, text: str, captures: int = 0) -> None:
        """Read it.

        Args:
            captures: how many groups ``$(1)`` and the following may name; ``$(0)`` is all of it.

        Raises:
            ValueError: it names what is not there; the text says what would be right.
        """
        self.text = text
        self._pieces: list[str | int | Variable | HeaderPart] = []
        end = 0
        for match in _VARIABLE.finditer(text):
            self._pieces += [text[end : match.start()], _named(match[1], captures)]
            end = match.end()
        self._pieces.append(text[end:])
        if any(isinstance(piece, str) and "$(" in piece for piece in self._pieces):
            raise ValueError(f"{text!r} has a $( without its )")
        self._inner = _inner(self._pieces)
        self._outline = "".join(one if isinstance(one, str) else "x" for one in self._pieces)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Template) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __str__(self) -> str:
        return self.text

    def expand(self, passing: Passing, groups: Sequence[str | None] = ()) -> str:
        """The value for one message; what is not there is empty."""
        return "".join([_said(piece, passing, groups) for piece in self._pieces])

    def check_addresses(self, text: str, passing: Passing) -> None:
        """Make sure that, where it says addresses, no header does more than fill its place.

        Or whoever sends it could close a quote or a bracket, and say another address.

        Args:
            text: What it became.

        Raises:
            IllegalValue: one does.
        """
        for part in self._inner:
            said = part.read(passing.headers) or ""
            if not _STRUCTURE.isdisjoint(said):
                raise IllegalValue(
                    f"{part} says {said!a}, which could change the address around it"
                )
        if self._inner and len(split_commas(text)) != len(split_commas(self._outline)):
            raise IllegalValue(f"{self.text!r} becomes more addresses than it says")


def _inner(pieces: Iterable[str | int | Variable | HeaderPart]) -> tuple[HeaderPart, ...]:
    """The headers that text goes before; one at the beginning may well be a whole address."""
    behind = list(dropwhile(lambda one: not isinstance(one, str) or not one.strip(), pieces))
    return tuple(one for one in behind if isinstance(one, HeaderPart))


def _named(word: str, captures: int) -> int | Variable | HeaderPart:
    if word.isascii() and word.isdigit():
        number = int(word[:4])
        if not captures:
            raise ValueError(f"$({word}) stands for a capture, which only `regex` has")
        if number >= captures:
            raise ValueError(f"$({word}): the expression has {captures - 1} captures")
        return number
    if word.startswith(_HEADER):
        part = parse_part(word.removeprefix(_HEADER))
        if part.key in SECRET:
            raise ValueError(f"$({word}): {part.name} proves who sends, and is shown to nobody")
        return part
    found = VARIABLES.get(word)
    if found is None:
        known = (*VARIABLES, "header:NAME")
        raise ValueError(f"there is no $({word}): {did_you_mean(word, known, 'variables')}")
    return found


def _said(
    piece: str | int | Variable | HeaderPart, passing: Passing, groups: Sequence[str | None]
) -> str:
    if isinstance(piece, str):
        return piece
    if isinstance(piece, int):
        return groups[piece] or ""
    if isinstance(piece, Variable):
        return piece.read(passing)
    return piece.read(passing.headers) or ""
