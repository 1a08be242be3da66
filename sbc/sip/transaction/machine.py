"""One machine that runs all four transaction tables.

What a live transaction keeps, besides its key, flow and state:

- INVITE client: its request with the bytes until a response comes, then the request without them
  (the ACK is made from it), after a non-2xx the ACK, after a 2xx nothing;
- non-INVITE client: its request with the bytes until the final response, then nothing;
- INVITE server: the last provisional, after a non-2xx that response until the ACK, after a 2xx
  nothing (the TU repeats 2xx);
- non-INVITE server: the request until the first response, then the last response.

Spec: RFC 3261 §17, RFC 6026, RFC 4320.
"""

from collections.abc import Callable
from typing import Final

from sbc.sip.flow import Flow
from sbc.sip.headers import Headers
from sbc.sip.message import Message, Request, Response, make_response, serialize
from sbc.sip.timers import LONGEST_INTERVAL_S, RELIABLE_S, T2, UNRELIABLE_S, Deadlines, Timer
from sbc.sip.transaction.events import (
    AckArrived,
    Output,
    RequestArrived,
    RequestFailed,
    ResponseArrived,
    ResponseUnacknowledged,
    StrayResponse,
    TransactionKey,
    Transmit,
)
from sbc.sip.transaction.tables import (
    INVITE_CLIENT,
    INVITE_SERVER,
    NON_INVITE_CLIENT,
    NON_INVITE_SERVER,
    Action,
    Event,
    Rows,
    State,
    compile_rows,
)

INVITE_CLIENT_ROWS: Final = compile_rows(INVITE_CLIENT)
NON_INVITE_CLIENT_ROWS: Final = compile_rows(NON_INVITE_CLIENT)
INVITE_SERVER_ROWS: Final = compile_rows(INVITE_SERVER)
NON_INVITE_SERVER_ROWS: Final = compile_rows(NON_INVITE_SERVER)

TimerDeadlines = Deadlines[tuple[TransactionKey, Timer]]


class Transaction:
    """One of the four machines at work."""

    __slots__ = ("cancels", "data", "flow", "interval_s", "key", "message", "rows", "state")

    def __init__(self, key: TransactionKey, rows: Rows, flow: Flow) -> None:
        self.key = key
        self.rows = rows
        self.flow = flow
        """Where this transaction sends: the request's way, or the way its responses take."""
        self.state = State.INITIAL
        self.message: Message | None = None
        """What may be needed again, see the module's list."""
        self.data = b""
        """The bytes that `message` was sent as; empty when it was not, or need not be again."""
        self.cancels: TransactionKey | None = None
        """For a CANCEL: the INVITE server transaction it names."""
        self.interval_s = 0.0
        """The next interval of the timer that backs off; zero before its first start."""

    @property
    def ended(self) -> bool:
        """Whether the transaction is terminated and must be forgotten at once."""
        return self.state is State.TERMINATED

    def step(
        self,
        event: Event | Timer,
        now: float,
        deadlines: TimerDeadlines,
        outputs: list[Output],
        *,
        message: Message | None = None,
        flow: Flow | None = None,
    ) -> None:
        """Run one row of the table, and append what it asks for to `outputs`.

        Args:
            deadlines: Where this transaction's timers run, by its key and the timer.
            message: The request or response that the event is about; None for timers.
            flow: Where the message came from; None when it did not come from the wire.

        Raises:
            ValueError: A message of the TU cannot be serialised; nothing changed.
        """
        step = self.rows[self.state].get(event)
        if step is None:
            return
        for action in step.actions:
            _PERFORM[action](self, message, flow, outputs)
        self.state = step.state
        for timer in step.stops:
            deadlines.cancel((self.key, timer))
        due_now: Timer | None = None
        for timer in step.starts:
            if self._start(timer, now, deadlines):
                due_now = timer
        if due_now is not None:
            self.step(due_now, now, deadlines, outputs)

    def _start(self, timer: Timer, now: float, deadlines: TimerDeadlines) -> bool:
        """Start a timer; True when it has no time to run and is due at once."""
        longest_s = LONGEST_INTERVAL_S.get(timer)
        seconds = RELIABLE_S[timer] if self.flow.reliable else UNRELIABLE_S[timer]
        if seconds is None:
            return False
        if longest_s is not None:
            seconds = self.interval_s or seconds
            self.interval_s = min(2 * seconds, longest_s)
        elif seconds == 0:
            return True
        deadlines.set((self.key, timer), now + seconds)
        return False


def make_ack(request: Request, response: Response) -> Request:
    """Make the ACK of a non-2xx final response to INVITE; it belongs to the INVITE's transaction.

    The TU makes the ACK of a 2xx itself, see `sbc.sip.dialog.Dialog.build_ack`.

    Spec: RFC 3261 §17.1.1.3.
    """
    sent, received = request.headers, response.headers
    headers = Headers()
    headers.append("Via", sent.values("via")[0])
    headers.append("Max-Forwards", sent.first("max-forwards") or "70")
    headers.append("From", sent.first("from") or "")
    headers.append("To", received.first("to") or "")
    headers.append("Call-ID", request.call_id)
    headers.append("CSeq", f"{request.cseq.number} ACK")
    for route in sent.all("route"):
        headers.append("Route", route)
    return Request("ACK", request.uri_text, headers)


def _send(transaction: Transaction, message: Message, outputs: list[Output]) -> None:
    data = serialize(message)
    transaction.message = message
    transaction.data = data
    outputs.append(Transmit(transaction.flow, data, message, False, transaction.key))


def _send_message(
    transaction: Transaction, message: Message | None, _flow: Flow | None, outputs: list[Output]
) -> None:
    if message is not None:
        _send(transaction, message, outputs)


def _send_again(
    transaction: Transaction, message: Message | None, _flow: Flow | None, outputs: list[Output]
) -> None:
    if message is not None:
        data = serialize(message)
        outputs.append(Transmit(transaction.flow, data, message, True, transaction.key))


def _send_ack(
    transaction: Transaction, message: Message | None, _flow: Flow | None, outputs: list[Output]
) -> None:
    request = transaction.message
    if isinstance(request, Request) and isinstance(message, Response):
        _send(transaction, make_ack(request, message), outputs)


def _send_trying(
    transaction: Transaction, _message: Message | None, _flow: Flow | None, outputs: list[Output]
) -> None:
    request = transaction.message
    if isinstance(request, Request):
        _send(transaction, make_response(request, 100), outputs)


def _resend(
    transaction: Transaction, _message: Message | None, _flow: Flow | None, outputs: list[Output]
) -> None:
    message = transaction.message
    if message is not None and transaction.data:
        outputs.append(Transmit(transaction.flow, transaction.data, message, True, transaction.key))


def _tell_request(
    transaction: Transaction, message: Message | None, flow: Flow | None, outputs: list[Output]
) -> None:
    if isinstance(message, Request) and flow is not None:
        outputs.append(RequestArrived(transaction.key, message, flow, transaction.cancels))


def _tell_ack(
    _transaction: Transaction, message: Message | None, flow: Flow | None, outputs: list[Output]
) -> None:
    if isinstance(message, Request) and flow is not None:
        outputs.append(AckArrived(message, flow))


def _tell_response(
    transaction: Transaction, message: Message | None, flow: Flow | None, outputs: list[Output]
) -> None:
    if isinstance(message, Response) and flow is not None:
        outputs.append(ResponseArrived(transaction.key, message, flow))


def _tell_stray(
    _transaction: Transaction, message: Message | None, flow: Flow | None, outputs: list[Output]
) -> None:
    if isinstance(message, Response) and flow is not None:
        outputs.append(StrayResponse(message, flow))


def _tell_timeout(
    transaction: Transaction, _message: Message | None, _flow: Flow | None, outputs: list[Output]
) -> None:
    outputs.append(RequestFailed(transaction.key, "timeout"))


def _tell_transport(
    transaction: Transaction, _message: Message | None, _flow: Flow | None, outputs: list[Output]
) -> None:
    outputs.append(RequestFailed(transaction.key, "transport"))


def _tell_unacknowledged(
    transaction: Transaction, _message: Message | None, _flow: Flow | None, outputs: list[Output]
) -> None:
    outputs.append(ResponseUnacknowledged(transaction.key))


def _slow_down(
    transaction: Transaction, _message: Message | None, _flow: Flow | None, _outputs: list[Output]
) -> None:
    transaction.interval_s = T2


def _keep_request(
    transaction: Transaction, message: Message | None, _flow: Flow | None, _outputs: list[Output]
) -> None:
    transaction.message = message


def _forget_bytes(
    transaction: Transaction, _message: Message | None, _flow: Flow | None, _outputs: list[Output]
) -> None:
    transaction.data = b""


def _forget(
    transaction: Transaction, _message: Message | None, _flow: Flow | None, _outputs: list[Output]
) -> None:
    transaction.message = None
    transaction.data = b""


_PERFORM: Final[
    dict[Action, Callable[[Transaction, Message | None, Flow | None, list[Output]], None]]
] = {
    Action.TELL_REQUEST: _tell_request,
    Action.TELL_ACK: _tell_ack,
    Action.TELL_RESPONSE: _tell_response,
    Action.TELL_STRAY: _tell_stray,
    Action.TELL_TIMEOUT: _tell_timeout,
    Action.TELL_TRANSPORT: _tell_transport,
    Action.TELL_UNACKNOWLEDGED: _tell_unacknowledged,
    Action.SEND_REQUEST: _send_message,
    Action.SEND_ACK: _send_ack,
    Action.SEND_RESPONSE: _send_message,
    Action.SEND_AGAIN: _send_again,
    Action.SEND_TRYING: _send_trying,
    Action.RESEND: _resend,
    Action.SLOW_DOWN: _slow_down,
    Action.KEEP_REQUEST: _keep_request,
    Action.FORGET_BYTES: _forget_bytes,
    Action.FORGET: _forget,
}
