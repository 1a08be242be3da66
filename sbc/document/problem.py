"""What is wrong in a file, where, and what would be right."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from typing import NamedTuple

Path = tuple[str | int, ...]
"""Keys and list positions from the top of a document: ``("networks", "outside", "listen", 0)``."""


class Severity(Enum):
    """Whether a file can be used in spite of a problem."""

    ERROR = "error"
    WARNING = "warning"


class Place(NamedTuple):
    """A position in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    @property
    def where(self) -> str:
        """The short form that decisions and logs carry: ``file:line``."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One complaint. `str()` gives it on one line, as compilers do."""

    severity: Severity
    file: str
    line: int
    column: int
    path: str
    """Key path like ``networks.outside.listen[0]``; empty for the whole file."""
    message: str
    hint: str = ""
    """What would be right; empty where the message says it all."""

    def __str__(self) -> str:
        path = f"{self.path}: " if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return (
            f"{self.file}:{self.line}:{self.column}: {self.severity.value}: "
            f"{path}{self.message}{hint}"
        )

    @property
    def is_error(self) -> bool:
        """Whether the file must be refused."""
        return self.severity is Severity.ERROR


def path_text(path: Path) -> str:
    """A path as people write it: ``networks.outside.listen[0]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def did_you_mean(word: str, known: Iterable[str], what: str) -> str:
    """A hint for a word that is not among the known ones.

    Args:
        what: what the known words are, in the plural: ``"peers"``.
    """
    names = sorted(set(known))
    by_lower = {name.lower(): name for name in names}
    close = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.65)
    if close:
        return f"did you mean {by_lower[close[0]]!r}?"
    if not names:
        return f"there are no {what}"
    return f"{what}: {', '.join(names)}"
