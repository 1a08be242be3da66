"""One field per engine for all attacks: to lay its cables takes longer than most of them."""

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tests.attack.field", "tests.attack.siege", "tests.kit.talkers")

from tests.attack.field import Field  # noqa: E402 - its assertions are rewritten first
from tests.kit.engines import ENGINES, need_engine  # noqa: E402 - as above
from tests.kit.hosts import Lab, missing_for_namespaces  # noqa: E402 - as above


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """The engine that relays, as the configuration names it."""
    missing = missing_for_namespaces("nft")
    if missing is not None:
        pytest.skip(missing)
    need_engine(request.param)
    return str(request.param)


@pytest.fixture(scope="session")
def battlefield(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """The field of most attacks on one engine."""
    directory = tmp_path_factory.mktemp("attack")
    with Lab(directory) as lab:
        field = Field(lab, directory, engine)
        yield field
        field.stop()


@pytest.fixture
def field(battlefield: Field) -> Iterator[Field]:
    """The field, which every test leaves as quiet as it found it."""
    yield battlefield
    battlefield.is_quiet()
