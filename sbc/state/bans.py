"""The bans in force on disk, for the process after this one: a small file of JSON.

Both functions block.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from sbc.state.versions.disk import write_whole

MOST: Final = 10_000
"""Bans that are kept, the newest: the others are of sources that have to begin anew."""

_MOST_BYTES: Final = 67_108_864


def read_bans(path: Path) -> list[Mapping[str, object]]:
    """What was kept; nothing where there is no such file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is something else.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return []
    if len(data) > _MOST_BYTES:
        raise ValueError(f"longer than {_MOST_BYTES} bytes")
    found = json.loads(data)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ValueError("no list of bans")
    return found


def write_bans(path: Path, bans: Sequence[Mapping[str, object]]) -> None:
    """Keep these bans and no others.

    Raises:
        OSError: they cannot be written; what was kept before still is.
    """
    write_whole(path, json.dumps(bans[-MOST:], separators=(",", ":")).encode())
