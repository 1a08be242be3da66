"""What the switchboard needs of the world, as narrow as it can be."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from media.plan import RelayCommand
from media.types import FlowCounters, SideName, StreamId
from sbc.b2bua.call import Call
from sbc.registrar.commands import BindingChanged
from sbc.sip.errors import ParseError
from sbc.sip.flow import Flow
from sbc.sip.message import Request
from sbc.sip.uri import Uri

if TYPE_CHECKING:  # it tells of requests in the words of this file
    from sbc.driver.refused import RefusedRequest


class Wire(Protocol):
    """Where messages leave."""

    def send(self, flow: Flow, data: bytes) -> None:
        """Send without waiting; failures come back through `Switchboard.flow_failed`."""

    def prove(self, flow: Flow) -> None:
        """Let a stream live on: something that came over it was accepted."""

    def names(self, flow: Flow) -> tuple[str, ...]:
        """What the TLS certificate of a flow's client proves, in lower case; often nothing.

        Spec: RFC 5922 §7.1.
        """

    def tls_version(self, flow: Flow) -> float:
        """The version of TLS that a flow has, as 1.3; 0 without."""


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

    def call_refused(self, refused: "RefusedRequest") -> None:
        """A call of somebody we know was refused before it began."""


class BindingRecords(Protocol):
    """Where bindings are written down, for the process after this one."""

    def binding_changed(self, change: BindingChanged) -> None:
        """A binding began, changed or ended."""


class Log(Protocol):
    """Where decisions are told; one line each."""

    def __call__(self, level: str, event: str, **fields: object) -> None:
        """Write one line.

        Args:
            level: ``"debug" "info" "warning" "error"``.
            event: what happened, in words that stay the same.
        """


def told_of(request: Request, flow: Flow) -> dict[str, object]:
    """The fields by which a line of the log tells whose request it decides on."""
    return {
        "method": request.method,
        "call_id": request.headers.first("call-id"),
        "caller": _user(lambda: request.from_.uri),
        "callee": _user(lambda: request.to.uri if request.method == "REGISTER" else request.uri),
        "source": flow.remote,
        "network": flow.network,
    }


def _user(read: Callable[[], Uri]) -> str:
    """The user part of a URI; empty where there is none or it cannot be read."""
    try:
        return read().user or ""
    except ParseError:
        return ""
