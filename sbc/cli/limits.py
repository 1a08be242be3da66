"""``sbc limits``: what is used of each rate limit, what it drops, and what would suit it."""

from argparse import Namespace

from sbc.cli.answers import mapping, rows
from sbc.cli.operate import OK, control_socket, show_json
from sbc.cli.table import draw_table
from sbc.management.control import ask

_COLUMNS = (
    "limit", "network", "per", "rate", "burst", "sources", "dropped", "would drop",
    "at once p50/p99/p99.9/max", "a minute p50/p99/p99.9/max",
)  # fmt: skip


def limits(arguments: Namespace) -> int:
    """``sbc limits``."""
    found = rows(ask(control_socket(arguments), "limits"))
    if arguments.json:
        show_json(found)
        return OK
    print(draw_table(_COLUMNS, [_cells(row) for row in found]), end="")
    for row in found:
        print(f"{row.get('limit')} on {row.get('network')} ({row.get('where')}): {row['advice']}")
    return OK


def _cells(row: dict[str, object]) -> list[object]:
    keys = ("limit", "network", "per", "rate", "burst", "remembered")
    return [
        *(row.get(key) for key in keys),
        "shadow" if row.get("shadow") else row.get("dropped"),
        row.get("would_drop") if row.get("shadow") else None,
        _quantiles(row.get("at_once")),
        _quantiles(row.get("per_minute")),
    ]


def _quantiles(values: object) -> str:
    found = mapping(values)
    return "/".join(str(found.get(name)) for name in ("p50", "p99", "p999", "most"))
