"""Guard rails against what runs away; complexity is for ruff to see."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "sbc").rglob("*.py"), *(ROOT / "media").rglob("*.py")])
RUST = sorted(
    path for path in (ROOT / "media" / "native").rglob("*.rs") if "target" not in path.parts
)
MOST_STATEMENTS = 40
MOST_LINES = 450

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(source: Path) -> str:
    return str(source.relative_to(ROOT))


def functions_of(source: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, Function):
            yield node


def statements_of(function: Function) -> int:
    """Statements inside, nested ones too, without the docstring."""
    inside = sum(1 for node in ast.walk(function) if isinstance(node, ast.stmt)) - 1
    return inside - (ast.get_docstring(function) is not None)


def test_no_function_is_longer_than_forty_statements() -> None:
    long = {
        f"{name_of(source)}: {function.name}": statements_of(function)
        for source in SOURCES
        for function in functions_of(source)
        if statements_of(function) > MOST_STATEMENTS
    }
    assert long == {}


def test_no_file_is_much_longer_than_four_hundred_lines() -> None:
    lines = {name_of(source): len(source.read_text().splitlines()) for source in (*SOURCES, *RUST)}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}
