"""What an operator types beside a running SBC, without a Python of its own for each command."""

import os
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

from sbc.cli.main import main


def told(configuration: Path, *words: str, environment: Mapping[str, str] | None = None) -> str:
    """What a command prints that asks the SBC of a configuration.

    Its control socket is a file, so no command must run on the SBC's own host.

    Args:
        configuration: its file.
        words: the command and its options.
        environment: the variables that the configuration names.

    Raises:
        RuntimeError: the command failed; what it said is in the message.
    """
    out, err = StringIO(), StringIO()
    with patch.dict(os.environ, environment or {}), redirect_stdout(out), redirect_stderr(err):
        code = main([*words, "--config", str(configuration)])
    if code != 0:
        raise RuntimeError(f"sbc {' '.join(words)}: {code}: {err.getvalue() or out.getvalue()}")
    return out.getvalue()
