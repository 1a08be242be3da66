"""What every interop test needs: hosts to play on, or a reason why there are none."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.scene import Scene
from tests.kit.engines import ENGINES, need_engine
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


@pytest.fixture(params=ENGINES)
def scene(request: pytest.FixtureRequest, lab: Lab, tmp_path: Path) -> Scene:
    """The stage, whose SBC relays by each engine in turn."""
    need_engine(request.param)
    return Scene(lab, tmp_path, request.param)
