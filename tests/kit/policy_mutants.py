"""Policy files, each wrong in one place: a line that may be wrong unnoticed is not tested."""

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

import yaml

Path = tuple[str | int, ...]

ORDERED: Final = ("sources", "rate_limits", "requirements", "rules", "geo", "identity", "fraud",
                  "media")  # fmt: skip
"""Lists of rules of which the first that fits decides."""

_OTHER: Final = {
    "untrusted": "trusted", "trusted": "untrusted", "udp": "tcp", "network": "flow",
    "flow": "network", "none": "sdes", "dtls": "none", "foreign": "own", "audio": "video",
    "INVITE": "MESSAGE", "REGISTER": "SUBSCRIBE", "OPTIONS": "PUBLISH", "SUBSCRIBE": "PUBLISH",
    "MESSAGE": "PUBLISH", "premium": "mobile", "satellite": "mobile", "shared-cost": "mobile",
    "toll-free": "mobile", "invalid": "mobile", "unallocated": "mobile",
    "Europe/Berlin": "Europe/London",
}  # fmt: skip
"""A word of the same kind, in place of one that is not any."""

_VERBS: Final = ("allow", "pass", "drop", "reject 499")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A policy that is wrong in one place."""

    line: int
    """Which one that is."""
    what: str
    rule: str
    """The name of the rule that it is in; empty for none."""
    text: str
    """The whole policy."""


def mutants(text: str) -> Iterator[Mutant]:
    """A policy with one thing left out, changed, or exchanged with its neighbour."""
    data = yaml.safe_load(text)
    root = yaml.compose(text)
    for path, line in _places(root):
        if path[-1] in ("name", "version"):
            continue
        told = ".".join(map(str, path))
        for what, changed in (*_without(data, path), *_otherwise(data, path)):
            yield Mutant(line, f"{told} {what}", _rule_at(data, path), _dumped(changed))
        if path[0] in ORDERED and len(path) == 2:
            yield from _exchanged(data, path, line)
        last = path[-1]
        if path[-2:-1] == ("prefer",) and isinstance(last, int) and last:
            changed = deepcopy(data)
            words = _at(changed, path[:-1])
            words.insert(last - 1, words.pop(last))
            yield Mutant(line, f"{told} first", _rule_at(data, path), _dumped(changed))


def _places(node: Any, path: Path = ()) -> Iterator[tuple[Path, int]]:
    """Everything that a policy says, and the line where it does."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*path, key.value), key.start_mark.line + 1
            yield from _places(value, (*path, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield (*path, number), value.start_mark.line + 1
            yield from _places(value, (*path, number))


def _at(data: Any, path: Path) -> Any:
    for key in path:
        data = data[key]
    return data


def _dumped(data: Any) -> str:
    return yaml.dump(data, Dumper=yaml.CSafeDumper, sort_keys=False)


def _rule_at(data: Any, path: Path) -> str:
    in_rule = path[0] in ORDERED and len(path) > 1
    return str(data[path[0]][path[1]]["name"]) if in_rule else ""


def _without(data: Any, path: Path) -> Iterator[tuple[str, Any]]:
    changed = deepcopy(data)
    parent = _at(changed, path[:-1])
    del parent[path[-1]]
    if parent or path[-2:-1] in (("when",), ("not",)):
        yield "left out", changed


def _otherwise(data: Any, path: Path) -> Iterator[tuple[str, Any]]:
    value = _at(data, path)
    if isinstance(value, dict | list):
        return
    for other in _others(str(path[-1]), value):
        changed = deepcopy(data)
        _at(changed, path[:-1])[path[-1]] = other
        yield f"{other!r} in place of {value!r}", changed


def _others(key: str, value: Any) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif key in ("rate", "burst") or isinstance(value, float):
        yield from (value * 2, value / 2)
    elif isinstance(value, int):
        yield from (value + 1, value - 1)
    elif key == "then":
        yield from _other_actions(value)
    else:
        yield from _other_words(value)


def _other_actions(then: str) -> Iterator[str]:
    verb, _, rest = then.partition(" ")
    yield from (other for other in _VERBS if other.partition(" ")[0] != verb)
    if verb == "reject":
        status, _, text = rest.partition(" ")
        yield from (f"reject {int(status) + 1} {text}", f"reject {status} Other {text}")
    elif rest:
        yield f"{verb} {rest}1" if rest.isdecimal() else f"{verb} other"


def _other_words(word: str) -> Iterator[str]:
    prefix = re.fullmatch(r"(.*/)(\d+)", word)
    hours = re.fullmatch(r"(\d\d):00-(\d\d):00", word)
    if word in _OTHER:
        yield _OTHER[word]
    elif re.fullmatch(r"[A-Z]{2}", word):
        yield "IS"
    elif prefix is not None:
        yield f"{prefix[1]}{int(prefix[2]) + 1}"
    elif hours is not None:
        first, last = int(hours[1]), int(hours[2])
        yield from (f"{first + 1:02}:00-{last}:00", f"{first - 1:02}:00-{last}:00")
        yield from (f"{first:02}:00-{last + 1}:00", f"{first:02}:00-{last - 1}:00")
    elif word == "mon-fri":
        yield from ("mon-thu", "mon-sat", "tue-fri", "sun-fri")
    elif word.endswith("*"):
        yield f"{word[:-1]}9*"
    else:
        yield f"{word}9"


def _exchanged(data: Any, path: Path, line: int) -> Iterator[Mutant]:
    """A rule before the one that stands before it, where some request fits both."""
    section, number = path
    assert isinstance(number, int)
    rules = data[section]
    if not number or _exclude_each_other(rules[number - 1], rules[number]):
        return
    if section == "rate_limits" and rules[number - 1].get("per") != rules[number].get("per"):
        return
    changed = deepcopy(data)
    changed[section].insert(number - 1, changed[section].pop(number))
    name = rules[number]["name"]
    yield Mutant(line, f"{section} {name!r} before its neighbour", name, _dumped(changed))


def _exclude_each_other(one: Any, other: Any) -> bool:
    here, there = one.get("when", {}), other.get("when", {})
    for key in here.keys() & there.keys() - {"not"}:
        values = _words(here[key]), _words(there[key])
        if None not in values and values[0].isdisjoint(values[1]):
            return True
    for this, that in ((here, there), (there, here)):
        for key, excluded in this.get("not", {}).items():
            wanted, barred = _words(that.get(key)), _words(excluded)
            if wanted and barred and wanted <= barred:
                return True
    return False


def _words(value: Any) -> Any:
    """The values that a condition wants; None for what is no list of them."""
    if isinstance(value, dict) or value is None:
        return None
    found = set(map(str, value if isinstance(value, list) else [value]))
    return None if any("*" in one or ":" in one or "$" in one for one in found) else found
