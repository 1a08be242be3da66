"""Every test that takes a `rig` runs once on each engine, and on each tier of the native one."""

from collections.abc import AsyncIterator

import pytest
import trio

from media.engines.base import Engine
from media.engines.reference import ReferenceEngine
from tests.engine.kit import Rig
from tests.kit.engines import need_engine, need_tier


def _engine(name: str) -> Engine:
    """The engine of that name; skips where there is none."""
    if name == "reference":
        return ReferenceEngine()
    need_engine("native")
    from media.engines.native import NativeEngine, Tier

    tier: Tier = "io_uring" if name == "native-io_uring" else "epoll"
    need_tier(tier)
    return NativeEngine(2, tier)


@pytest.fixture(params=["reference", "native-io_uring", "native-epoll"])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    rig = Rig(_engine(request.param))
    async with trio.open_nursery() as nursery:
        await nursery.start(rig.engine.run, rig.deliver)
        yield rig
        nursery.cancel_scope.cancel()
    assert rig.engine.streams() == []
    for phone in rig.open_sockets:
        phone.socket.close()
