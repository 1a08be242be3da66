"""What the switchboard needs of the world, as narrow as it can be."""

from collections.abc import Sequence
from typing import Protocol

from media.plan import RelayCommand
from media.types import FlowCounters, SideName, StreamId
from sbc.b2bua.call import Call
from sbc.sip.flow import Flow


class Wire(Protocol):
    """Where messages leave."""

    def send(self, flow: Flow, data: bytes) -> None:
        """Send without waiting; failures come back through `Switchboard.flow_failed`."""


class MediaRelay(Protocol):
    """The relay, as far as calls command it."""

    def apply(self, commands: Sequence[RelayCommand]) -> None:
        """Do all or none.

        Raises:
            MediaRefused: none was done.
        """

    def counters(self, stream_id: StreamId) -> dict[SideName, FlowCounters]:
        """What was counted on both sides of an open stream."""


class Records(Protocol):
    """Where calls are written down."""

    def call_answered(self, call: Call) -> None:
        """The callee answered: from here on a crash must not lose the call."""

    def call_ended(self, call: Call) -> None:
        """The call is over; its record is complete."""


class Log(Protocol):
    """Where decisions are told; one line each."""

    def __call__(self, level: str, event: str, **fields: object) -> None:
        """Write one line.

        Args:
            level: ``"debug" "info" "warning" "error"``.
            event: what happened, in words that stay the same.
        """
