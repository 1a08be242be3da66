"""Which configuration a command means, when it does not say."""

import os
from collections.abc import Mapping
from pathlib import Path

SEARCHED = (Path("sbc.yaml"), Path("deploy/sbc.yaml"), Path("/etc/sbc/sbc.yaml"))
"""Configuration files that are looked for, in this order."""


def find_configuration(environment: Mapping[str, str] = os.environ) -> Path | None:
    """``SBC_CONFIG``, or the first file of `SEARCHED` that exists."""
    named = environment.get("SBC_CONFIG")
    if named:
        return Path(named)
    return next((path for path in SEARCHED if path.exists()), None)
