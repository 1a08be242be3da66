"""What the oldest supported interpreter, Debian 12's Python 3.11.2, gets wrong."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "sbc").rglob("*.py"), *(ROOT / "media").rglob("*.py")])

# Before Python 3.11.5 a possessive quantifier after a group does not go back to where the group
# began when the group fails half-way: (?:(a+)@)?+a does not match "a". An atomic group does:
# (?>(?:(a+)@)?)a. After a single character or a class both are right.
POSSESSIVE_GROUP = re.compile(r"(?<!\\)\)(?:[*+?]|\{[0-9,]+\})\+")


def test_no_pattern_has_a_possessive_quantifier_after_a_group() -> None:
    wrong = [
        f"{source.relative_to(ROOT)}:{number}: {line.strip()}"
        for source in SOURCES
        for number, line in enumerate(source.read_text().splitlines(), start=1)
        if POSSESSIVE_GROUP.search(line)
    ]
    assert wrong == []
