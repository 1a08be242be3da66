"""Where a process keeps its things, by what its configuration says, however broken that is."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sbc.config.files import read_text
from sbc.document.text import read_document
from sbc.state.places import CDR_FILE, CONTROL_SOCKET, STATE_DIR, VERSIONS_DIR


@dataclass(frozen=True, slots=True)
class Places:
    """Where to find what a running process leaves."""

    control_socket: Path
    call_records: Path
    versions: Path


def find_places(configuration: Path | None, environment: Mapping[str, str] = os.environ) -> Places:
    """What a configuration says of places, even when something else in it is wrong.

    An operator must reach the running process while its configuration file is being edited.
    """
    keys: Mapping[str, object] = {}
    base = Path()
    if configuration is not None:
        base = configuration.parent
        keys = _keys(configuration, environment)
    state = base / _text(keys, "state_dir", str(STATE_DIR))
    control = _text(keys, "control_socket", "")
    return Places(
        base / control if control else state / CONTROL_SOCKET,
        state / CDR_FILE,
        state / VERSIONS_DIR,
    )


def _keys(path: Path, environment: Mapping[str, str]) -> Mapping[str, object]:
    try:
        data = read_document(read_text(path), str(path), environment).data
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _text(keys: Mapping[str, object], name: str, otherwise: str) -> str:
    value = keys.get(name)
    return value if isinstance(value, str) and value else otherwise
