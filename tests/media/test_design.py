"""The design document shows the table that runs."""

from pathlib import Path

from media.latch import draw_table

DESIGN = Path(__file__).parents[2] / "media" / "DESIGN.md"


def test_the_diagram_in_the_design_is_the_table() -> None:
    assert f"```mermaid\n{draw_table()}```\n" in DESIGN.read_text(encoding="utf-8")
