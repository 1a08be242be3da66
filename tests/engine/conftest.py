"""Every test that takes a `rig` runs once on each engine."""

from collections.abc import AsyncIterator

import pytest
import trio

from media.engines.reference import ReferenceEngine
from tests.engine.kit import Rig

ENGINES = {"reference": ReferenceEngine}


@pytest.fixture(params=sorted(ENGINES))
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    rig = Rig(ENGINES[request.param]())
    async with trio.open_nursery() as nursery:
        await nursery.start(rig.engine.run, rig.deliver)
        yield rig
        nursery.cancel_scope.cancel()
    assert rig.engine.streams() == []
    for phone in rig.open_sockets:
        phone.socket.close()
