"""The media engines that can be tested here; each by its name in the configuration.

NATIVE_ENGINE=required makes a native engine that is missing a failure: without that, a broken
build would look like a machine that has no Rust.
"""

import os
from importlib import import_module
from types import ModuleType

import pytest

from media.relay import Relay

ENGINES = ("native", "python")
"""What an engine that runs calls itself, too."""


def native_module() -> ModuleType:
    """The module of the native engine; skips the module that asks where there is none."""
    if os.environ.get("NATIVE_ENGINE") == "required":
        return import_module("media.engines.native")
    reason = "there is no native engine here"
    module: ModuleType = pytest.importorskip(
        "media.engines.native", reason=reason, exc_type=ImportError
    )
    return module


def need_tier(tier: str) -> None:
    """Skip where the native engine has not this way to read and write, and say why."""
    engine = native_module().NativeEngine
    try:
        engine(1, tier).close()
    except OSError as error:
        if os.environ.get("NATIVE_ENGINE") == "required":
            pytest.fail(f"{tier} cannot be had here: {error}")
        pytest.skip(f"{tier} cannot be had here: {error}")


def need_engine(engine: str) -> None:
    """Skip where this machine has no such engine, and say why."""
    relay = Relay(workers=1, native=engine == "native")
    relay.close()
    if relay.engine_name == engine:
        return
    if os.environ.get("NATIVE_ENGINE") == "required":
        pytest.fail(relay.engine_reason)
    pytest.skip(relay.engine_reason)
