"""The four SIP transactions as tables: (state, event) -> (next state, actions).

What a table leaves out does nothing and changes nothing. Everything the wire can bring is
written out in every state, also where it is absorbed. A timer among the actions is started, or
started again. It runs as long as the state hears it: a transition into a state that has no row
for it stops it, which is what the RFC's "ceases" and "is ignored" come to.

Spec: RFC 3261 §17 as changed by RFC 6026 (Accepted, L, M), RFC 4320 (late 100, expiry).
"""

from enum import StrEnum
from typing import Final, NamedTuple

from sbc.sip.timers import LONGEST_INTERVAL_S, Timer


class State(StrEnum):
    """The states by the RFC's names, and the point before the first."""

    INITIAL = "Initial"
    CALLING = "Calling"
    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    ACCEPTED = "Accepted"
    COMPLETED = "Completed"
    CONFIRMED = "Confirmed"
    TERMINATED = "Terminated"


class Event(StrEnum):
    """What happens to a transaction, apart from its timers."""

    REQUEST = "request"
    """The request from the wire: the first, or a retransmission."""
    ACK = "ACK"
    PROVISIONAL = "1xx"
    SUCCESS = "2xx"
    FAILURE = "300-699"
    SEND_REQUEST = "request from TU"
    SEND_PROVISIONAL = "1xx from TU"
    SEND_SUCCESS = "2xx from TU"
    SEND_FAILURE = "300-699 from TU"
    TRANSPORT_ERROR = "transport error"
    """The flow that this transaction sends on is gone."""
    ABANDON = "given up by TU"
    """The TU wants nothing more of it (RFC 3261 §9.1: an INVITE cancelled and not answered)."""


class Action(StrEnum):
    """What a transition does, in the order of the row."""

    TELL_REQUEST = "request to TU"
    TELL_ACK = "ACK to TU"
    TELL_RESPONSE = "response to TU"
    TELL_STRAY = "stray response to TU"
    TELL_TIMEOUT = "inform TU of timeout"
    TELL_TRANSPORT = "inform TU of transport error"
    TELL_UNACKNOWLEDGED = "inform TU that no ACK came"
    SEND_REQUEST = "send request"
    SEND_ACK = "send ACK"
    SEND_RESPONSE = "send response"
    SEND_AGAIN = "send 2xx again"
    SEND_TRYING = "send 100"
    RESEND = "resend"
    """Sends the stored bytes once more: the request, its ACK, or the last response."""
    SLOW_DOWN = "interval T2"
    """The running back-off continues at T2."""
    STOP_RESENDING = "stop resending"
    """Stops the timer that backs off; what the peer asks for again is still sent."""
    KEEP_REQUEST = "keep request"
    """Holds the request until the first response, for the late 100."""
    FORGET_BYTES = "forget bytes"
    """Lets go of the stored bytes, keeps the message."""
    FORGET = "forget message"
    """Lets go of the stored message and its bytes."""


class Transition(NamedTuple):
    """Where a row leads, and what it does."""

    state: State
    actions: tuple[Action | Timer, ...] = ()


Table = dict[tuple[State, Event | Timer], Transition]


INVITE_CLIENT: Final[Table] = {
    (State.INITIAL, Event.SEND_REQUEST): Transition(
        State.CALLING, (Action.SEND_REQUEST, Timer.A, Timer.B)
    ),
    (State.CALLING, Timer.A): Transition(State.CALLING, (Action.RESEND, Timer.A)),
    (State.CALLING, Timer.B): Transition(State.TERMINATED, (Action.TELL_TIMEOUT,)),
    (State.CALLING, Event.PROVISIONAL): Transition(
        State.PROCEEDING, (Action.TELL_RESPONSE, Action.FORGET_BYTES)
    ),
    (State.CALLING, Event.SUCCESS): Transition(
        State.ACCEPTED, (Action.TELL_RESPONSE, Action.FORGET, Timer.M)
    ),
    (State.CALLING, Event.FAILURE): Transition(
        State.COMPLETED, (Action.SEND_ACK, Action.TELL_RESPONSE, Timer.D)
    ),
    (State.CALLING, Event.TRANSPORT_ERROR): Transition(State.TERMINATED, (Action.TELL_TRANSPORT,)),
    (State.CALLING, Event.ABANDON): Transition(State.TERMINATED),
    (State.PROCEEDING, Event.PROVISIONAL): Transition(State.PROCEEDING, (Action.TELL_RESPONSE,)),
    (State.PROCEEDING, Event.SUCCESS): Transition(
        State.ACCEPTED, (Action.TELL_RESPONSE, Action.FORGET, Timer.M)
    ),
    (State.PROCEEDING, Event.FAILURE): Transition(
        State.COMPLETED, (Action.SEND_ACK, Action.TELL_RESPONSE, Timer.D)
    ),
    # The figure waits on, since nothing is being sent. To a phone behind a NAT the lost
    # connection was the only way, and the TU would wait for its no-answer timer in vain.
    (State.PROCEEDING, Event.TRANSPORT_ERROR): Transition(
        State.TERMINATED, (Action.TELL_TRANSPORT,)
    ),
    (State.PROCEEDING, Event.ABANDON): Transition(State.TERMINATED),
    (State.ACCEPTED, Event.PROVISIONAL): Transition(State.ACCEPTED),
    (State.ACCEPTED, Event.SUCCESS): Transition(State.ACCEPTED, (Action.TELL_RESPONSE,)),
    (State.ACCEPTED, Event.FAILURE): Transition(State.ACCEPTED),
    (State.ACCEPTED, Event.TRANSPORT_ERROR): Transition(State.ACCEPTED),
    (State.ACCEPTED, Timer.M): Transition(State.TERMINATED),
    (State.COMPLETED, Event.PROVISIONAL): Transition(State.COMPLETED),
    # Not in the figure: a fork's 2xx that crossed our CANCEL comes after the 487. The TU has
    # closed the transaction; it gets it as it gets one that comes after Timer D.
    (State.COMPLETED, Event.SUCCESS): Transition(State.COMPLETED, (Action.TELL_STRAY,)),
    (State.COMPLETED, Event.FAILURE): Transition(State.COMPLETED, (Action.RESEND,)),
    # The figure informs the TU, which has its final response and could do nothing.
    (State.COMPLETED, Event.TRANSPORT_ERROR): Transition(State.TERMINATED),
    (State.COMPLETED, Timer.D): Transition(State.TERMINATED),
}
"""Spec: RFC 6026 §8.4, Figure 5."""


NON_INVITE_CLIENT: Final[Table] = {
    (State.INITIAL, Event.SEND_REQUEST): Transition(
        State.TRYING, (Action.SEND_REQUEST, Timer.E, Timer.F)
    ),
    (State.TRYING, Timer.E): Transition(State.TRYING, (Action.RESEND, Timer.E)),
    (State.TRYING, Timer.F): Transition(State.TERMINATED, (Action.TELL_TIMEOUT,)),
    (State.TRYING, Event.PROVISIONAL): Transition(State.PROCEEDING, (Action.TELL_RESPONSE,)),
    (State.TRYING, Event.SUCCESS): Transition(
        State.COMPLETED, (Action.TELL_RESPONSE, Action.FORGET, Timer.K)
    ),
    (State.TRYING, Event.FAILURE): Transition(
        State.COMPLETED, (Action.TELL_RESPONSE, Action.FORGET, Timer.K)
    ),
    (State.TRYING, Event.TRANSPORT_ERROR): Transition(State.TERMINATED, (Action.TELL_TRANSPORT,)),
    (State.TRYING, Event.ABANDON): Transition(State.TERMINATED),
    (State.PROCEEDING, Timer.E): Transition(
        State.PROCEEDING, (Action.RESEND, Action.SLOW_DOWN, Timer.E)
    ),
    (State.PROCEEDING, Timer.F): Transition(State.TERMINATED, (Action.TELL_TIMEOUT,)),
    (State.PROCEEDING, Event.PROVISIONAL): Transition(State.PROCEEDING, (Action.TELL_RESPONSE,)),
    (State.PROCEEDING, Event.SUCCESS): Transition(
        State.COMPLETED, (Action.TELL_RESPONSE, Action.FORGET, Timer.K)
    ),
    (State.PROCEEDING, Event.FAILURE): Transition(
        State.COMPLETED, (Action.TELL_RESPONSE, Action.FORGET, Timer.K)
    ),
    (State.PROCEEDING, Event.TRANSPORT_ERROR): Transition(
        State.TERMINATED, (Action.TELL_TRANSPORT,)
    ),
    (State.PROCEEDING, Event.ABANDON): Transition(State.TERMINATED),
    (State.COMPLETED, Event.PROVISIONAL): Transition(State.COMPLETED),
    (State.COMPLETED, Event.SUCCESS): Transition(State.COMPLETED),
    (State.COMPLETED, Event.FAILURE): Transition(State.COMPLETED),
    (State.COMPLETED, Event.TRANSPORT_ERROR): Transition(State.COMPLETED),
    (State.COMPLETED, Timer.K): Transition(State.TERMINATED),
}
"""Spec: RFC 3261 §17.1.2.2, Figure 6."""


INVITE_SERVER: Final[Table] = {
    (State.INITIAL, Event.REQUEST): Transition(State.PROCEEDING, (Action.TELL_REQUEST,)),
    (State.PROCEEDING, Event.REQUEST): Transition(State.PROCEEDING, (Action.RESEND,)),
    (State.PROCEEDING, Event.ACK): Transition(State.PROCEEDING),
    (State.PROCEEDING, Event.SEND_PROVISIONAL): Transition(
        State.PROCEEDING, (Action.SEND_RESPONSE,)
    ),
    (State.PROCEEDING, Event.SEND_SUCCESS): Transition(
        State.ACCEPTED, (Action.SEND_RESPONSE, Action.FORGET, Timer.L)
    ),
    (State.PROCEEDING, Event.SEND_FAILURE): Transition(
        State.COMPLETED, (Action.SEND_RESPONSE, Timer.G, Timer.H)
    ),
    (State.PROCEEDING, Event.TRANSPORT_ERROR): Transition(State.PROCEEDING),
    (State.PROCEEDING, Event.ABANDON): Transition(State.TERMINATED),
    (State.ACCEPTED, Event.REQUEST): Transition(State.ACCEPTED),
    (State.ACCEPTED, Event.ACK): Transition(State.ACCEPTED, (Action.TELL_ACK,)),
    (State.ACCEPTED, Event.SEND_SUCCESS): Transition(State.ACCEPTED, (Action.SEND_AGAIN,)),
    (State.ACCEPTED, Event.TRANSPORT_ERROR): Transition(State.ACCEPTED),
    (State.ACCEPTED, Timer.L): Transition(State.TERMINATED),
    (State.COMPLETED, Event.REQUEST): Transition(State.COMPLETED, (Action.RESEND,)),
    (State.COMPLETED, Event.ACK): Transition(State.CONFIRMED, (Action.FORGET, Timer.I)),
    (State.COMPLETED, Event.TRANSPORT_ERROR): Transition(State.COMPLETED, (Action.STOP_RESENDING,)),
    (State.COMPLETED, Timer.G): Transition(State.COMPLETED, (Action.RESEND, Timer.G)),
    (State.COMPLETED, Timer.H): Transition(State.TERMINATED, (Action.TELL_UNACKNOWLEDGED,)),
    (State.CONFIRMED, Event.REQUEST): Transition(State.CONFIRMED),
    (State.CONFIRMED, Event.ACK): Transition(State.CONFIRMED),
    (State.CONFIRMED, Event.TRANSPORT_ERROR): Transition(State.CONFIRMED),
    (State.CONFIRMED, Timer.I): Transition(State.TERMINATED),
}
"""Spec: RFC 6026 §8.6, Figure 7. The TU sends 100 itself, and 2xx until the ACK."""


NON_INVITE_SERVER: Final[Table] = {
    (State.INITIAL, Event.REQUEST): Transition(
        State.TRYING,
        (Action.TELL_REQUEST, Action.KEEP_REQUEST, Timer.LATE_TRYING, Timer.EXPIRY),
    ),
    (State.TRYING, Event.REQUEST): Transition(State.TRYING),
    (State.TRYING, Event.SEND_PROVISIONAL): Transition(State.PROCEEDING, (Action.SEND_RESPONSE,)),
    (State.TRYING, Event.SEND_SUCCESS): Transition(
        State.COMPLETED, (Action.SEND_RESPONSE, Timer.J)
    ),
    (State.TRYING, Event.SEND_FAILURE): Transition(
        State.COMPLETED, (Action.SEND_RESPONSE, Timer.J)
    ),
    (State.TRYING, Event.TRANSPORT_ERROR): Transition(State.TRYING),
    (State.TRYING, Event.ABANDON): Transition(State.TERMINATED),
    (State.TRYING, Timer.LATE_TRYING): Transition(State.PROCEEDING, (Action.SEND_TRYING,)),
    (State.TRYING, Timer.EXPIRY): Transition(State.TERMINATED),
    (State.PROCEEDING, Event.REQUEST): Transition(State.PROCEEDING, (Action.RESEND,)),
    (State.PROCEEDING, Event.SEND_PROVISIONAL): Transition(
        State.PROCEEDING, (Action.SEND_RESPONSE,)
    ),
    (State.PROCEEDING, Event.SEND_SUCCESS): Transition(
        State.COMPLETED, (Action.SEND_RESPONSE, Timer.J)
    ),
    (State.PROCEEDING, Event.SEND_FAILURE): Transition(
        State.COMPLETED, (Action.SEND_RESPONSE, Timer.J)
    ),
    (State.PROCEEDING, Event.TRANSPORT_ERROR): Transition(State.PROCEEDING),
    (State.PROCEEDING, Event.ABANDON): Transition(State.TERMINATED),
    (State.PROCEEDING, Timer.EXPIRY): Transition(State.TERMINATED),
    (State.COMPLETED, Event.REQUEST): Transition(State.COMPLETED, (Action.RESEND,)),
    (State.COMPLETED, Event.TRANSPORT_ERROR): Transition(State.COMPLETED),
    (State.COMPLETED, Timer.J): Transition(State.TERMINATED),
}
"""Spec: RFC 3261 §17.2.2, Figure 8; RFC 4320 §4; RFC 6026 §8.8 (transport errors)."""


class Step(NamedTuple):
    """A transition made ready to be run."""

    state: State
    actions: tuple[Action, ...]
    """What is to be sent, told and kept; the timers are apart."""
    stops: tuple[Timer, ...]
    """Timers that the old state heard and the new one does not."""
    starts: tuple[Timer, ...]


Rows = dict[State, dict[Event | Timer, Step]]


def heard(table: Table, state: State) -> tuple[Timer, ...]:
    """The timers that `state` has a row for."""
    return tuple(event for (at, event) in table if at is state and isinstance(event, Timer))


def compile_rows(table: Table) -> Rows:
    """Lay a table out for running: one small dictionary per state, timers to stop worked out."""
    rows: Rows = {state: {} for state in State}
    for (state, event), (after, actions) in table.items():
        keeps = set(heard(table, after))
        if Action.STOP_RESENDING in actions:
            keeps -= LONGEST_INTERVAL_S.keys()
        rows[state][event] = Step(
            state=after,
            actions=tuple(
                action
                for action in actions
                if isinstance(action, Action) and action is not Action.STOP_RESENDING
            ),
            stops=tuple(timer for timer in heard(table, state) if timer not in keeps),
            starts=tuple(action for action in actions if isinstance(action, Timer)),
        )
    return rows
