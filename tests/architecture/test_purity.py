"""Cores do no input or output: proved by importing each in an interpreter of its own.

import-linter reads what is written; this sees what really gets loaded, by whatever way.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

CORES = [
    "sbc.sip",
    "sbc.sdp",
    "sbc.b2bua",
    "sbc.registrar",
    "sbc.trunks",
    "sbc.routing",
    # Policies are read by pydantic, which drags in what it likes; deciding knows nothing of it.
    "sbc.policy.access",
    "sbc.policy.admission",
    "sbc.policy.calendars",
    "sbc.policy.ban_data",
    "sbc.policy.caps",
    "sbc.policy.guard",
    "sbc.policy.protected",
    "sbc.policy.conditions",
    "sbc.policy.emergency",
    "sbc.policy.facts",
    "sbc.policy.identity",
    "sbc.policy.model",
    "sbc.policy.numbers",
    "sbc.policy.rules",
    "sbc.policy.sets",
    "sbc.policy.past",
    "sbc.policy.takeover",
    "sbc.policy.topology",
    "sbc.prefixes",
    "sbc.remembered",
    "sbc.bucket",
    # Of rooms that do input and output, what says it does none.
    "sbc.resolver.hosts",
    "sbc.resolver.locate",
    "sbc.firewall.ruleset",
    "sbc.resolver.records",
    "sbc.transport.addresses",
    "sbc.transport.keepalive",
    "sbc.transport.pool",
    "sbc.transport.proof",
    "sbc.transport.sources",
    "sbc.state.cdr",
    "sbc.state.rows",
    "media.types",
    "media.errors",
    "media.plan",
    "media.ports",
    "media.events",
    "media.latch",
    "media.packet",
    "media.quality",
    "media.rating",
    "media.reports",
    "media.statistics",
]

# os and time are part of every interpreter that runs; import-linter watches over those two.
FORBIDDEN = [
    "trio",
    "anyio",
    "asyncio",
    "socket",
    "ssl",
    "select",
    "threading",
    "subprocess",
    "random",
    "secrets",
    "logging",
]

IMPORT_ALL_OF_IT = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
core = importlib.import_module(sys.argv[2])
for module in pkgutil.walk_packages(getattr(core, "__path__", []), core.__name__ + "."):
    importlib.import_module(module.name)
print(*sorted(set(sys.argv[3:]) & set(sys.modules)))
"""


def loaded_by(core: str) -> list[str]:
    command = [sys.executable, "-I", "-S", "-c", IMPORT_ALL_OF_IT, str(ROOT), core, *FORBIDDEN]
    finished = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return finished.stdout.split()


@pytest.mark.parametrize("core", CORES)
def test_a_core_loads_nothing_that_does_input_or_output(core: str) -> None:
    assert loaded_by(core) == []


def test_the_check_would_see_a_forbidden_module() -> None:
    assert "socket" in loaded_by("socket")
