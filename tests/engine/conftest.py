"""Every test that takes a `rig` runs once on each engine, and on each tier of the native one."""

from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest
import trio

from media.engines.base import Engine
from media.engines.reference import ReferenceEngine
from tests.engine.kit import Rig

ENGINES: dict[str, Callable[[], Engine]] = {"reference": ReferenceEngine}
try:
    from media.engines.native import NativeEngine
except ImportError:  # the extension is not built: it is not there to be tested
    pass
else:
    for tier in ("io_uring", "epoll"):
        try:
            NativeEngine(1, tier).close()
        except OSError:  # this machine forbids the tier
            continue
        ENGINES[f"native-{tier}"] = partial(NativeEngine, 2, tier)


@pytest.fixture(params=list(ENGINES))
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    rig = Rig(ENGINES[request.param]())
    async with trio.open_nursery() as nursery:
        await nursery.start(rig.engine.run, rig.deliver)
        yield rig
        nursery.cancel_scope.cancel()
    assert rig.engine.streams() == []
    for phone in rig.open_sockets:
        phone.socket.close()
