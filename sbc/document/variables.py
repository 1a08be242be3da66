"""Variables of a document: ``${NAME}`` in a value stands for what the document, or what was read
before it, says under that name, and else for the environment variable of that name.

A value that is nothing but ``${NAME}`` may stand for a list; in a list its entries then take the
place of the one.
"""

import re
from collections.abc import Mapping
from typing import Final

from sbc.document.problem import Path, Place, did_you_mean
from sbc.document.text import Document, Value

KEY: Final = "variables"
"""The key of a document that says what its variables stand for."""

MOST_VALUES: Final = 100_000
"""Entries that variables may put into the lists of a document; more belong into a file."""

MOST_CHARACTERS: Final = 1_000_000
"""That variables may put into the texts of a document, or a few lines would fill all memory."""

_REFERENCE = re.compile(r"\$\{([^}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def expand(
    document: Document, known: dict[str, Value], environment: Mapping[str, str] | None = None
) -> None:
    """Replace all variables in a document; what is wrong becomes a problem of it.

    Args:
        known: What variables stand for; those of the document are added.
        environment: What the names stand for that are no variables.
    """
    data = document.data
    if not isinstance(data, dict):
        return
    own = data.get(KEY)
    expansion = _Expansion(document, known, environment or {})
    if isinstance(own, dict):
        for name, value in own.items():
            expansion.define(name, value)
    document.data = expansion.value({k: v for k, v in data.items() if k != KEY}, (), ())
    if KEY in data and isinstance(document.data, dict):
        # Read already; it stays for the schema to look at.
        document.data[KEY] = expansion.value(own, (KEY,), (KEY,))
    document.values, document.keys = expansion.values, expansion.keys


class _Expansion:
    """One pass over a document, which finds new paths for everything behind a longer list."""

    def __init__(
        self, document: Document, known: dict[str, Value], environment: Mapping[str, str]
    ) -> None:
        self._document = document
        self._known = known
        self._environment = environment
        self._count = 0
        self._characters = 0
        self._told: set[Path] = set()
        self.values: dict[Path, Place] = {}
        self.keys: dict[Path, Place] = {}

    def define(self, name: str, value: Value) -> None:
        """Have a variable of the document."""
        path = (KEY, name)
        if _NAME.fullmatch(name) is None:
            self._complain(path, f"{name!r} is no name of a variable", "letters, digits and _")
        elif name in self._known:
            self._complain(path, f"the variable {name} is there already", "give it another name")
        else:
            self._known[name] = self.value(value, path, path)

    def value(self, value: Value, old: Path, new: Path) -> Value:
        """A value with its variables replaced.

        Args:
            old: Where it stands in the document as written.
            new: Where it will stand.
        """
        self._place(old, new)
        if isinstance(value, dict):
            return {key: self.value(one, (*old, key), (*new, key)) for key, one in value.items()}
        if isinstance(value, list):
            return self._list(value, old, new)
        if isinstance(value, str) and "${" in value:
            return self._text(value, old)
        return value

    def _place(self, old: Path, new: Path) -> None:
        document = self._document
        if old in document.values:
            self.values[new] = document.values[old]
        if old in document.keys:
            self.keys[new] = document.keys[old]

    def _list(self, values: list[Value], old: Path, new: Path) -> list[Value]:
        found: list[Value] = []
        for number, one in enumerate(values):
            here = (*old, number)
            value = self.value(one, here, (*new, len(found)))
            if not (isinstance(one, str) and isinstance(value, list)):
                found.append(value)
                continue
            self._count += len(value)
            if self._count > MOST_VALUES:
                self._complain(here, f"variables make more than {MOST_VALUES} entries of lists")
                return found
            for entry in value:
                self._place(here, (*new, len(found)))
                found.append(entry)
        return found

    def _text(self, text: str, path: Path) -> Value:
        whole = _REFERENCE.fullmatch(text)
        if whole is not None:
            return self._meaning(whole, path)

        def replacement(match: re.Match[str]) -> str:
            meaning = self._meaning(match, path)
            if meaning is None or isinstance(meaning, str):
                return self._bounded(meaning or "", path)
            self._complain(path, f"{match[0]} is a list, and can only be a whole value")
            return ""

        return _REFERENCE.sub(replacement, text)

    def _bounded(self, text: str, path: Path) -> str:
        self._characters += len(text)
        if self._characters <= MOST_CHARACTERS:
            return text
        self._complain(path, f"variables make more than {MOST_CHARACTERS} characters of texts")
        return ""

    def _meaning(self, match: re.Match[str], path: Path) -> Value:
        name = match[1]
        if not match[2] or _NAME.fullmatch(name) is None:
            self._complain(path, f"{match[0]!r} names no variable", "write ${NAME}")
        elif name in self._known:
            return self._known[name]
        elif self._environment.get(name):
            return self._environment[name]
        else:
            hint = did_you_mean(name, self._known, "variables")
            self._complain(path, f"there is no variable {name}, and none in the environment", hint)
        return ""

    def _complain(self, path: Path, message: str, hint: str = "") -> None:
        # The variables of the document are read twice.
        if path not in self._told:
            self._told.add(path)
            self._document.report(path, message, hint)
