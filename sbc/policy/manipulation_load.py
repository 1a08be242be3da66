"""Rules for headers, from what a policy file says to operations, judged as far as that can be.

What would break a dialog, a transaction or the message is refused here, at its place.
"""

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from sbc.document.problem import Path, did_you_mean
from sbc.document.text import Document
from sbc.policy.conditions import Conditions
from sbc.policy.expressions import regular
from sbc.policy.manipulation_guard import objection
from sbc.policy.manipulation_operations import (
    Add,
    Move,
    Operation,
    Pass,
    Regex,
    Remove,
    Rename,
    Set,
)
from sbc.policy.manipulation_parts import HeaderPart, parse_part
from sbc.policy.manipulation_rules import HeaderRule
from sbc.policy.manipulation_schema import VERBS, OperationSection
from sbc.policy.manipulation_values import Template
from sbc.policy.schema import HeaderRuleSection
from sbc.sip.parser import SINGLE

T = TypeVar("T")

_TAKES = {
    "set": ("value",),
    "add": ("value",),
    "remove": (),
    "rename": ("to",),
    "regex": ("match", "replace"),
    "move": ("to",),
    "pass": (),
}
"""The keys that go with each verb."""

_EXTRAS = ("value", "to", "match", "replace")


class HeaderRuleReader:
    """Sections to rules, with their places."""

    __slots__ = ("_document", "_ends")

    def __init__(
        self,
        document: Document,
        networks: Collection[str] | None,
        peers: Collection[str] | None,
    ) -> None:
        """Read rules of a document.

        Args:
            networks: names that ``from`` and ``toward`` may use; None for any.
            peers: likewise.
        """
        self._document = document
        both = None if networks is None or peers is None else (*peers, *networks)
        self._ends = both

    def rule(
        self, section: HeaderRuleSection, where: str, when: Conditions, path: Path
    ) -> HeaderRule:
        """A rule; what is wrong with it is reported in the document."""
        self._check_ends(section, path)
        operations = [
            self._operation(section, one, (*path, "do", number))
            for number, one in enumerate(section.do)
        ]
        return HeaderRule(
            section.name,
            where,
            tuple(one for one in operations if one is not None),
            when,
            section.on,
            section.direction,
            frozenset(section.from_),
            frozenset(section.toward),
        )

    def _check_ends(self, section: HeaderRuleSection, path: Path) -> None:
        if section.direction == "in" and section.toward:
            self._document.report(
                (*path, "toward"),
                "a message that comes in has no destination yet",
                "use `from`, or `direction: out`",
                key=True,
            )
        for key, names in (("from", section.from_), ("toward", section.toward)):
            for number, name in enumerate(names):
                if self._ends is not None and name not in self._ends:
                    place = (*path, key, number)
                    place = place if place in self._document.values else (*path, key)
                    hint = did_you_mean(name, self._ends, "peers and networks")
                    self._document.report(place, f"there is no peer or network {name!r}", hint)
        if section.on == "requests" and getattr(section.when, "status", None):
            self._document.report(
                (*path, "when", "status"),
                "requests have no status",
                "add `on: responses`",
                key=True,
            )

    def _operation(
        self, rule: HeaderRuleSection, section: OperationSection, path: Path
    ) -> Operation | None:
        given = {
            field.alias or name: getattr(section, name)
            for name, field in type(section).model_fields.items()
            if getattr(section, name) is not None
        }
        verbs = [verb for verb in VERBS if verb in given]
        if len(verbs) != 1:
            found = " and ".join(verbs) or "nothing"
            self._document.report(
                path, f"expected one operation, found {found}", f"one of: {', '.join(VERBS)}"
            )
            return None
        verb = verbs[0]
        if not self._complete(verb, given, path):
            return None
        part = self._part(given[verb], verb, (*path, verb))
        if part is None or not self._fits(rule, part, verb, (*path, verb)):
            return None
        return self._built(verb, part, given, path)

    def _complete(self, verb: str, given: dict[str, Any], path: Path) -> bool:
        wanted = _TAKES[verb]
        missing = [key for key in wanted if key not in given]
        for key in missing:
            self._document.report(path, f"{verb!r} needs {key!r} beside it")
        surplus = [key for key in _EXTRAS if key in given and key not in wanted]
        for key in surplus:
            self._document.report((*path, key), f"{verb!r} has no {key!r}", "remove it", key=True)
        return not missing and not surplus

    def _part(self, text: str, verb: str, path: Path) -> HeaderPart | None:
        part = self._read(lambda: parse_part(text), path, "for example: X-Foo, From.display")
        if part is None:
            return None
        objected = objection(part, verb)
        if objected is not None:
            self._document.report(path, *objected)
            return None
        return part

    def _fits(self, rule: HeaderRuleSection, part: HeaderPart, verb: str, path: Path) -> bool:
        """Whether an operation makes sense for that part in that rule."""
        wrong: tuple[str, str] | None = None
        if part.part and verb in ("add", "rename", "pass"):
            wrong = f"{verb!r} is for whole headers", f"write {part.name}"
        elif verb in ("remove", "move") and part.part in ("uri", "uri.host"):
            wrong = f"no address is without its {part.part}", "use set, or remove the header"
        elif verb == "add" and part.key in SINGLE:
            wrong = f"{part.name} may be there only once", f"use `set: {part.name}`"
        elif verb == "pass" and rule.direction == "in":
            wrong = "nothing is hidden of a message that comes in", "write `direction: out`"
        elif part.key in ("from", "to") and rule.on == "responses":
            wrong = f"a response repeats {part.name} of its request", "write `on: requests`"
        if wrong is not None:
            self._document.report(path, *wrong)
        return wrong is None

    def _built(
        self, verb: str, part: HeaderPart, given: dict[str, Any], path: Path
    ) -> Operation | None:
        if verb in ("remove", "pass"):
            return Remove(part) if verb == "remove" else Pass(part)
        if verb in ("set", "add"):
            value = self._read(lambda: Template(given["value"]), (*path, "value"))
            if value is None:
                return None
            return Set(part, value) if verb == "set" else Add(part, value)
        if verb == "regex":
            return self._regex(part, given, path)
        to = self._part(given["to"], verb, (*path, "to"))
        if to is None:
            return None
        if verb == "move":
            return Move(part, to)
        if to.part:
            self._document.report((*path, "to"), "'rename' is for whole headers", "use move")
        return Rename(part, to)

    def _regex(self, part: HeaderPart, given: dict[str, Any], path: Path) -> Operation | None:
        match, replace = given["match"], given["replace"]
        hint = "RE2 has no look-around and no backreferences"
        found = self._read(lambda: regular([match]), (*path, "match"), hint)
        if found is None:
            return None
        if any(f"\\{digit}" in replace for digit in range(10)):
            self._document.report((*path, "replace"), "captures are written $(1), not \\1")
            return None
        captures = 1 + found.compiled.groups
        value = self._read(lambda: Template(replace, captures), (*path, "replace"))
        return None if value is None else Regex(part, match, value, found.compiled)

    def _read(self, read: Callable[[], T], path: Path, hint: str = "") -> T | None:
        try:
            return read()
        except ValueError as error:
            self._document.report(path, str(error), hint)
            return None
