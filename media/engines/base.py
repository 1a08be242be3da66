"""What any engine must do: commands in, events out, counters on demand.

Written for an engine whose packets never touch Python; the one in Python obeys it too, and one
suite of tests checks both. STUN and DTLS are no engine's business: it hands them up to whoever does
the handshakes and sends what that one answers.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import trio

from media.events import MediaEvent
from media.plan import RelayCommand
from media.types import (
    Component,
    Endpoint,
    FlowCounters,
    LatchRank,
    SideName,
    SrtpAbilities,
    StreamId,
)


class LatchReport(NamedTuple):
    """Where one port's media comes from and goes to."""

    source: Endpoint | None
    """The learned source; None before one was learned."""
    rank: LatchRank
    destination: Endpoint | None
    """Where packets to the leg are sent now; None when there is nowhere yet."""


class Engine(Protocol):
    """Relays the streams it was told of between their two sides.

    All methods are called from the thread that runs trio, and return at once.

    What every engine promises about packets:

    * A packet to a side leaves from exactly the port that was signalled to it.
    * A packet is authenticated before anything is learned from it, and dropped for one of
      `DropReason`, counted at the side it came to, when it is not relayed.
    * A side with rtcp-mux has RTP and RTCP on its RTP port, the other one on two ports; each side
      for itself.
    * Whatever arrives, whenever: no call ends by it, nothing is raised, no memory grows without
      bound.
    """

    @property
    def name(self) -> str:
        """Which engine this is, for the operator."""

    @property
    def srtp(self) -> SrtpAbilities:
        """What it can do of SRTP."""

    @property
    def lost_events(self) -> int:
        """How many events were lost because too many waited to be delivered."""

    def apply(self, commands: Sequence[RelayCommand]) -> None:
        """Does all of the commands, or none.

        When it returns, the ports are open and packets flow; a closed stream takes no further
        packet and its ports are free. Datagrams to send leave last and refuse no list: one that
        cannot be sent is lost, also because its stream is not open.

        Raises:
            MediaRefused: A port cannot be had, an address cannot be used, a key asks for more than
                `srtp` says, a stream to open is open already or one to change is not, or the list
                opens, changes or closes a stream twice; nothing of the list was done.
        """

    def counters(self, stream_id: StreamId) -> dict[SideName, FlowCounters]:
        """A copy of what was counted on both sides since the stream was opened.

        Raises:
            UnknownStream: It is not open. Ask before closing.
        """

    def latches(self, stream_id: StreamId) -> dict[tuple[SideName, Component], LatchReport]:
        """What is learned on each of the stream's ports.

        Raises:
            UnknownStream: It is not open.
        """

    def streams(self) -> list[StreamId]:
        """The streams that are open, in the order they were opened."""

    async def run(
        self,
        deliver: Callable[[Sequence[MediaEvent]], None],
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Works until cancelled, then closes everything.

        Args:
            deliver: Called with each batch of events, in the order they happened.
            task_status: Told when events begin to be delivered.
        """

    def close(self) -> None:
        """Closes every stream and gives everything back; after it `apply` refuses all."""
