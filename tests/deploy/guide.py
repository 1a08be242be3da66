"""A guide in Markdown as steps that can be run: files to write, commands and what they say."""

import re
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$|^<!-- meanwhile: (.*?) -->$", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r"# (\S+\.\w+)(, changed)?\n")
_SECTION = re.compile(r"^(?=\w+:)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that the guide has its reader do, or that happens meanwhile."""

    line: int
    what: str
    """``file``, ``changed``, ``command`` or ``meanwhile``."""
    name: str
    """The file's name, the command line, or what happens."""
    text: str = ""
    """What the file has in it, or what the command says."""


def steps_of(guide: str) -> list[Step]:
    """The steps of a guide, in order.

    A YAML block that begins with ``# FILE`` is a file, with ``# FILE, changed`` sections that take
    the place of those in it. A ``console`` block has commands after ``$``. What the surroundings do
    stands in a comment: ``<!-- meanwhile: ... -->``. A ``text`` block is only looked at.

    Raises:
        ValueError: a block is none of these.
    """
    steps: list[Step] = []
    for found in _FENCE.finditer(guide):
        kind, text, happens = found.groups()
        line = guide.count("\n", 0, found.start()) + 1
        if happens is not None:
            steps.append(Step(line, "meanwhile", happens))
        elif kind == "text":
            continue
        elif kind == "console":
            steps += _commands(text, line + 1)
        else:
            title = _TITLE.match(text)
            if title is None:
                raise ValueError(f"line {line}: a block without the name of its file")
            name, changed = title.groups()
            steps.append(Step(line, "changed" if changed else "file", name, text))
    return steps


def _commands(text: str, line: int) -> list[Step]:
    steps: list[Step] = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE):
        command, _, said = part.partition("\n")
        if command:
            steps.append(Step(line, "command", command, said))
        line += part.count("\n")
    return steps


def changed(old: str, text: str) -> str:
    """A YAML file of which some top-level sections are exchanged, or new."""
    sections = {_key(one): one for one in _SECTION.split(old)}
    for one in _SECTION.split(text.partition("\n")[2]):
        if one:
            sections[_key(one)] = one
    return "".join(sections.values())


def _key(section: str) -> str:
    return section.partition(":")[0] if _SECTION.match(section) else ""


def write(directory: Path, step: Step) -> None:
    """Write the file of a step."""
    path = directory / step.name
    text = step.text if step.what == "file" else changed(path.read_text(), step.text)
    path.write_text(text)


def fits(said: str, shown: str) -> bool:
    """Whether what a command said is what the guide shows.

    ``...`` stands for anything; how much space is between words does not count.
    """
    pattern = r"\s+".join(".*?".join(map(re.escape, word.split("..."))) for word in shown.split())
    return re.fullmatch(rf"\s*{pattern}\s*", said, re.DOTALL) is not None
