"""The house's words: one name for one thing, and none for things that have no name."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "sbc").rglob("*.py"), *(ROOT / "media").rglob("*.py")])

NO_MODULE = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "base_utils"}
NO_PART_OF_A_NAME = re.compile(r"(?:^|_)(?:utils?|helpers?|managers?|dialplan)(?:_|$)")
NO_CLASS = re.compile(r"(?:Manager|Helper|Utils?|Dialplan|Conversation)")
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
# A silenced checker needs its reason, on the same line or in a comment right above.
SILENCED = re.compile(r"#\s*(?:noqa|type:\s*ignore)(?P<rest>.*)$")
REASON = re.compile(r"\s-\s\S|#\s*\S+\s+\S+")


def name_of(source: Path) -> str:
    return str(source.relative_to(ROOT))


def test_modules_have_names_that_say_something() -> None:
    assert [name_of(source) for source in SOURCES if source.stem in NO_MODULE] == []


def test_functions_and_classes_use_the_house_words() -> None:
    wrong = []
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                if node.name.startswith(("get_", "_get_")) or NO_PART_OF_A_NAME.search(node.name):
                    wrong.append(f"{name_of(source)}: {node.name}")
            elif isinstance(node, ast.ClassDef) and NO_CLASS.search(node.name):
                wrong.append(f"{name_of(source)}: {node.name}")
    assert wrong == []


def test_nothing_is_left_unfinished_or_silenced_without_a_reason() -> None:
    wrong = []
    for source in SOURCES:
        reason_above = False
        for number, line in enumerate(source.read_text().splitlines(), start=1):
            silenced = SILENCED.search(line)
            has_reason = reason_above or (silenced and REASON.search(silenced["rest"]))
            if UNFINISHED.search(line) or (silenced and not has_reason):
                wrong.append(f"{name_of(source)}:{number}: {line.strip()}")
            # One comment may stand above several lines that are silenced for the same reason.
            reason_above = line.lstrip().startswith("#") or (reason_above and bool(silenced))
    assert wrong == []


def test_every_public_thing_says_what_it_is() -> None:
    silent = []
    for source in SOURCES:
        tree = ast.parse(source.read_text())
        if not ast.get_docstring(tree):
            silent.append(name_of(source))
        silent += [
            f"{name_of(source)}: {node.name}"
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and not node.name.startswith("_")
            and not ast.get_docstring(node)
        ]
    assert silent == []
