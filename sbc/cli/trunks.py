"""``sbc trunks``: the registrations of the running process with trunks."""

from argparse import Namespace

from sbc.cli.answers import rows
from sbc.cli.operate import OK, control_socket, show_json
from sbc.cli.table import draw_table, span
from sbc.management.control import ask

_COLUMNS = ("trunk", "account", "state", "for", "target", "expires in", "next", "last error")


def trunks(arguments: Namespace) -> int:
    """``sbc trunks``, and with ``--register`` one of them is registered with at once."""
    if arguments.register is not None:
        found = rows(ask(control_socket(arguments), "register", {"trunk": arguments.register}))
    else:
        found = rows(ask(control_socket(arguments), "trunks"))
    if arguments.json:
        show_json(found)
    else:
        print(draw_table(_COLUMNS, [_cells(row) for row in found]), end="")
    return OK


def _cells(row: dict[str, object]) -> list[object]:
    return [
        row.get("trunk"),
        row.get("account"),
        row.get("state"),
        span(row.get("state_s")),
        row.get("target"),
        span(row.get("expires_in_s")),
        span(row.get("next_in_s")),
        _error(row),
    ]


def _error(row: dict[str, object]) -> str | None:
    """The last failure and how long ago it was, also when all is well again."""
    ago = span(row.get("last_error_ago_s"))
    return None if ago is None else f"{row.get('last_error')} ({ago} ago)"
