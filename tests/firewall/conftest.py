"""A border and a stranger for what only a kernel can show."""

from collections.abc import Iterator

import pytest

from tests.kit.hosts import Host, Lab, missing_for_namespaces


@pytest.fixture(scope="package")
def wired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Host]]:
    """A border and a stranger with a cable between them."""
    missing = missing_for_namespaces("nft")
    if missing is not None:
        pytest.skip(missing)
    with Lab(tmp_path_factory.mktemp("nftables")) as lab:
        switch = lab.switch("internet")
        border, stranger = lab.host("border"), lab.host("stranger")
        border.join(switch, "203.0.113.1/24", "2001:db8::1/64")
        stranger.join(switch, "203.0.113.66/24", "203.0.113.67/24", "2001:db8::66/64")
        lab.settle()
        yield border, stranger
