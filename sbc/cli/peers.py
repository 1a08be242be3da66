"""``sbc peers``: where calls can go, and how it stands with each place."""

from argparse import Namespace

from sbc.cli.answers import rows
from sbc.cli.operate import OK, control_socket, show_json
from sbc.cli.table import draw_table, span
from sbc.management.control import ask

_COLUMNS = (
    "peer", "target", "place", "state", "since", "calls", "of the peer", "new/s", "kbit/s",
    "last seen",
)  # fmt: skip


def peers(arguments: Namespace) -> int:
    """``sbc peers``."""
    found = rows(ask(control_socket(arguments), "peers"))
    if arguments.json:
        show_json(found)
    else:
        print(draw_table(_COLUMNS, [_cells(row) for row in found]), end="")
    return OK


def _cells(row: dict[str, object]) -> list[object]:
    seen = row.get("evidence")
    ago = span(row.get("evidence_s"))
    return [
        row.get("peer"),
        row.get("target"),
        row.get("place"),
        _state(row),
        span(row.get("state_s")),
        row.get("calls"),
        _of(row.get("peer_calls"), row.get("max_calls")),
        _of(row.get("begun_last_second"), row.get("calls_per_second")),
        None if row.get("kbps") is None else _of(row.get("kbps"), row.get("max_kbps")),
        seen if ago is None else f"{seen} ({ago} ago)",
    ]


def _state(row: dict[str, object]) -> str:
    words = [str(row.get("state"))]
    if row.get("registration") is not None:
        words.append(str(row.get("registration")))
    if row.get("drain") is True:
        words.append("drained")
    if row.get("rests_s"):
        words.append(f"rests {span(row.get('rests_s'))}")
    return ", ".join(words)


def _of(count: object, cap: object) -> str:
    """How many there are, and of how many if that is limited."""
    return str(count) if cap is None else f"{count} of {cap}"
