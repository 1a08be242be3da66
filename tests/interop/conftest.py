"""What every interop test needs: hosts to play on, or a reason why there are none."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.hosts import Lab, missing_for_namespaces


@pytest.fixture(scope="session")
def namespaces() -> None:
    """Skip, and say why, where hosts or the programs on them cannot be had."""
    reason = missing_for_namespaces("nft", "sipp", "baresip")
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture
def lab(namespaces: None, tmp_path: Path) -> Iterator[Lab]:
    """Hosts that live as long as the test; their logs stay in the test's directory."""
    with Lab(tmp_path) as made:
        yield made
