"""How long tests wait for what real sockets and processes do."""

from collections.abc import Callable

import trio

PATIENCE_S = 30.0
"""Far above what anything takes: a busy machine fails no test, only a fault waits so long."""


async def until(condition: Callable[[], object]) -> None:
    """Wait for what nobody tells of.

    Raises:
        trio.TooSlowError: it did not come true.
    """
    with trio.fail_after(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # a counter sets no event
            await trio.sleep(0.001)
