"""What the import contracts of pyproject.toml cannot say, read from the source."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SIGNALLING = sorted((ROOT / "sbc").rglob("*.py"))

# What signalling may know of the relay; engines and the handshake are the relay's own business.
MEDIA_FOR_SIGNALLING = {
    "media.relay",
    "media.plan",
    "media.types",
    "media.errors",
    "media.events",
    "media.ports",
}


def imports_of(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."
            if node.module in {"media", "sbc"}:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name_of(source: Path) -> str:
    return str(source.relative_to(ROOT))


def test_signalling_knows_the_relay_only_by_its_front() -> None:
    wrong = {
        f"{name_of(source)}: {name}"
        for source in SIGNALLING
        for name in imports_of(source)
        if name.split(".")[0] == "media" and name not in MEDIA_FOR_SIGNALLING
    }
    assert wrong == set()
