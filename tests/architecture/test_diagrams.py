"""The diagrams in DESIGN.md are those of the tables.

To draw them anew after a table changed: ``SBC_DRAW=1 pytest tests/architecture/test_diagrams.py``.
"""

import os
import re
from pathlib import Path

from sbc.b2bua.diagram import call_diagram, negotiation_diagram
from sbc.health.diagram import health_diagram
from sbc.sip.transaction.diagram import mermaid
from sbc.sip.transaction.tables import (
    INVITE_CLIENT,
    INVITE_SERVER,
    NON_INVITE_CLIENT,
    NON_INVITE_SERVER,
    State,
)
from sbc.trunks.diagram import registration_diagram

PAGE = Path(__file__).parents[2] / "sbc" / "DESIGN.md"
BLOCK = re.compile(r"(<!-- diagram: (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def drawn() -> dict[str, str]:
    """Every diagram by its name."""
    tables = {
        "invite-client": INVITE_CLIENT,
        "invite-server": INVITE_SERVER,
        "non-invite-client": NON_INVITE_CLIENT,
        "non-invite-server": NON_INVITE_SERVER,
    }
    diagrams = {
        name: mermaid(table, State.INITIAL, State.TERMINATED) for name, table in tables.items()
    }
    return {
        **diagrams,
        "call": call_diagram(),
        "negotiation": negotiation_diagram(),
        "health": health_diagram(),
        "trunk-registration": registration_diagram(),
    }


def test_the_page_shows_what_the_tables_say() -> None:
    blocks = {name: f"```mermaid\n{text}```\n" for name, text in drawn().items()}
    page = PAGE.read_text()
    fresh = BLOCK.sub(lambda found: found[1] + blocks[found[2]] + found[4], page)
    if os.environ.get("SBC_DRAW"):
        PAGE.write_text(fresh)
    assert {found[2] for found in BLOCK.finditer(page)} == set(blocks)
    assert PAGE.read_text() == fresh
