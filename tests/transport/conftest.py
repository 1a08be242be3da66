from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from sbc.routing.model import Network
from sbc.sip.parser import DEFAULT, Limits
from sbc.transport.doorkeeper import Doorkeeper
from sbc.transport.limits import TransportLimits
from sbc.transport.tls.contexts import TlsContexts
from tests.transport.edge import Edge

Start = Callable[..., Awaitable[Edge]]


@pytest.fixture
async def start(nursery: trio.Nursery) -> AsyncIterator[Start]:
    """Starts transports that run until the test ends."""

    async def run(
        *networks: Network,
        limits: TransportLimits | None = None,
        message_limits: Limits = DEFAULT,
        echo: bool = False,
        contexts: TlsContexts | None = None,
        doorkeeper: Doorkeeper | None = None,
    ) -> Edge:
        edge = Edge(
            networks,
            limits or TransportLimits(),
            message_limits=message_limits,
            echo=echo,
            contexts=contexts,
            doorkeeper=doorkeeper,
        )
        await nursery.start(edge.transports.run)
        return edge

    yield run
    nursery.cancel_scope.cancel()


@pytest.fixture
def jumping_clock() -> MockClock:
    """Jumps only when the sockets are quiet too, for the kernel lives in real time."""
    return MockClock(autojump_threshold=0.02)
