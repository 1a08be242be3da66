"""The relay as signalling sees it: one engine, commands in, events out."""

from collections import deque
from collections.abc import Callable, Sequence

import trio

from media.engines.base import Engine, LatchReport
from media.engines.extension import why_absent
from media.engines.reference import ReferenceEngine
from media.events import MediaEvent
from media.plan import RelayCommand
from media.types import Component, FlowCounters, SideName, SrtpAbilities, StreamId

try:
    from media.engines.native import NativeEngine
except ImportError as error:
    _WITHOUT_NATIVE: str | None = why_absent(error)
else:
    _WITHOUT_NATIVE = None

_MAX_WAITING_EVENTS = 10_000


class Relay:
    """Owns the engine that moves the packets.

    Commands are done at once and as a whole; events come to `on_event`, or wait for
    `take_events` when there is none.
    """

    def __init__(
        self,
        on_event: Callable[[MediaEvent], None] | None = None,
        *,
        workers: int | None = None,
        native: bool = True,
    ) -> None:
        """Chooses the engine: the native one wherever it works.

        Args:
            on_event: Called with each event, in the thread of trio, between two tasks' turns;
                it may call `apply`.
            workers: Threads of the native engine; None for one per core.
            native: False to relay in Python all the same.
        """
        self._engine, self._reason = _choose(workers, native)
        self._on_event = on_event
        self._waiting: deque[MediaEvent] = deque(maxlen=_MAX_WAITING_EVENTS)

    @property
    def engine_name(self) -> str:
        """Which engine runs."""
        return self._engine.name

    @property
    def engine_reason(self) -> str:
        """Why this engine, as one line for the operator."""
        return self._reason

    @property
    def srtp(self) -> SrtpAbilities:
        """What the engine can do of SRTP."""
        return self._engine.srtp

    @property
    def lost_events(self) -> int:
        """How many events nobody heard of, because too many waited."""
        return self._engine.lost_events

    def apply(self, commands: Sequence[RelayCommand]) -> None:
        """Does all of the commands before it returns, or none of them.

        Raises:
            MediaRefused: See `media.engines.base.Engine.apply`.
        """
        self._engine.apply(commands)

    def counters(self, stream_id: StreamId) -> dict[SideName, FlowCounters]:
        """A copy of what was counted on both sides; ask before closing.

        Raises:
            UnknownStream: It is not open.
        """
        return self._engine.counters(stream_id)

    def latches(self, stream_id: StreamId) -> dict[tuple[SideName, Component], LatchReport]:
        """What is learned on each of the stream's ports.

        Raises:
            UnknownStream: It is not open.
        """
        return self._engine.latches(stream_id)

    def streams(self) -> list[StreamId]:
        """The streams that are open."""
        return self._engine.streams()

    def take_events(self) -> list[MediaEvent]:
        """The events since the last call, oldest first; the oldest go when too many wait."""
        events = list(self._waiting)
        self._waiting.clear()
        return events

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Relays until cancelled, then closes every port."""
        await self._engine.run(self._deliver, task_status)

    def close(self) -> None:
        """Closes every port; for a relay that was never run."""
        self._engine.close()

    def _deliver(self, events: Sequence[MediaEvent]) -> None:
        on_event = self._on_event
        if on_event is None:
            self._waiting.extend(events)
            return
        for event in events:
            on_event(event)


def _choose(workers: int | None, native: bool) -> tuple[Engine, str]:
    """The engine to use and, as one line, why."""
    if not native:
        return ReferenceEngine(), "the engine in Python, as configured"
    if _WITHOUT_NATIVE is not None:
        return ReferenceEngine(), f"the engine in Python: {_WITHOUT_NATIVE}"
    try:
        engine = NativeEngine(workers)
    except OSError as error:
        return ReferenceEngine(), f"the engine in Python: the native one cannot start ({error})"
    return engine, engine.reason
