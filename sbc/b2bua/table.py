"""The call's state machine, as a table.

A happening is an event already weighed (a failure is REFUSED or RETRY by whether a candidate is
left), so the table has no conditions. What the table does not name for a state changes nothing
in it and is only noted.

Spec: RFC 3261 §13 to §15, RFC 5407 (race conditions), RFC 7092.
"""

from enum import Enum


class State(Enum):
    """How far the call has come. The caller's leg is A, the callee's B."""

    CALLING = "calling"
    """INVITE sent to B; nothing but 100 came back."""
    RINGING = "ringing"
    """B sent a provisional response that A was told."""
    CANCELLING = "cancelling"
    """A has its final response; B's is still to come."""
    ANSWERED = "answered"
    """2xx sent to A; its ACK is missing."""
    CONFIRMED = "confirmed"
    ENDING = "ending"
    """BYE received, sent or deferred; at least one leg is not done."""
    ENDED = "ended"


class Happening(Enum):
    """What an event means to a call in its state."""

    PROGRESS = "B rings or announces early media"
    ANSWER = "2xx from B"
    REFUSED = "B refused and no candidate is left"
    RETRY = "B failed or keeps still, and another candidate is left"
    CANCEL = "A cancels the call"
    ACK = "our 2xx is acknowledged, or never will be"
    BYE = "a leg hangs up"
    REQUEST = "another request in a dialog"
    REPLY = "a response to a request we relayed"
    GIVE_UP = "we end the call"
    EXPIRED = "waited long enough for the rest"
    LEG_DONE = "one leg is done, the other not yet"
    ALL_DONE = "both legs are done"
    NOTE = "something to remember"


class Action(Enum):
    """What is done; `machine.py` binds each to a function."""

    RELAY_PROGRESS = "tell A"
    RELAY_ANSWER = "ACK B, 2xx to A"
    ACK_AGAIN = "repeat the ACK; BYE a second fork"
    DROP_ANSWER = "ACK and BYE B"
    RELAY_REFUSAL = "final response to A"
    TRY_NEXT = "INVITE the next candidate"
    CANCEL_SETUP = "487 to A, CANCEL B"
    CANCEL_B = "CANCEL B if not yet done"
    ABORT_SETUP = "final response to A, CANCEL B"
    HANG_UP_EARLY = "200 to the BYE, 487 to A, CANCEL B"
    CONFIRM = "stop repeating the 2xx"
    HANG_UP = "200 to the BYE, BYE the other leg"
    BYE_BOTH = "BYE both legs"
    ANSWER_BYE = "200 to the BYE"
    RELAY_REQUEST = "pass to the other leg"
    REFUSE_REQUEST = "481, or try again while early"
    RELAY_REPLY = "pass to the leg that asked"
    ACK_STRAY = "ACK a late 2xx, end if it was the last"
    SEND_DEFERRED_BYE = "BYE the leg that waited for its ACK"
    FINISH = "write the CDR"
    ABANDON = "stop waiting for what is left"
    NOTHING = "note it"


_A = Action
_S = State
_H = Happening

TABLE: dict[tuple[State, Happening], tuple[State, Action]] = {
    (_S.CALLING, _H.PROGRESS): (_S.RINGING, _A.RELAY_PROGRESS),
    (_S.CALLING, _H.ANSWER): (_S.ANSWERED, _A.RELAY_ANSWER),
    (_S.CALLING, _H.REFUSED): (_S.ENDED, _A.RELAY_REFUSAL),
    (_S.CALLING, _H.RETRY): (_S.CALLING, _A.TRY_NEXT),
    (_S.CALLING, _H.CANCEL): (_S.CANCELLING, _A.CANCEL_SETUP),
    (_S.CALLING, _H.BYE): (_S.CANCELLING, _A.HANG_UP_EARLY),
    (_S.CALLING, _H.REQUEST): (_S.CALLING, _A.REFUSE_REQUEST),
    (_S.CALLING, _H.GIVE_UP): (_S.CANCELLING, _A.ABORT_SETUP),
    (_S.RINGING, _H.PROGRESS): (_S.RINGING, _A.RELAY_PROGRESS),
    (_S.RINGING, _H.ANSWER): (_S.ANSWERED, _A.RELAY_ANSWER),
    (_S.RINGING, _H.REFUSED): (_S.ENDED, _A.RELAY_REFUSAL),
    (_S.RINGING, _H.RETRY): (_S.CALLING, _A.TRY_NEXT),
    (_S.RINGING, _H.CANCEL): (_S.CANCELLING, _A.CANCEL_SETUP),
    (_S.RINGING, _H.BYE): (_S.CANCELLING, _A.HANG_UP_EARLY),
    (_S.RINGING, _H.REQUEST): (_S.RINGING, _A.REFUSE_REQUEST),
    (_S.RINGING, _H.GIVE_UP): (_S.CANCELLING, _A.ABORT_SETUP),
    (_S.CANCELLING, _H.PROGRESS): (_S.CANCELLING, _A.CANCEL_B),
    (_S.CANCELLING, _H.ANSWER): (_S.ENDING, _A.DROP_ANSWER),
    (_S.CANCELLING, _H.REFUSED): (_S.ENDED, _A.FINISH),
    (_S.CANCELLING, _H.RETRY): (_S.ENDED, _A.FINISH),
    (_S.CANCELLING, _H.BYE): (_S.CANCELLING, _A.ANSWER_BYE),
    (_S.CANCELLING, _H.REQUEST): (_S.CANCELLING, _A.REFUSE_REQUEST),
    (_S.CANCELLING, _H.EXPIRED): (_S.ENDED, _A.ABANDON),
    (_S.ANSWERED, _H.ANSWER): (_S.ANSWERED, _A.ACK_AGAIN),
    (_S.ANSWERED, _H.ACK): (_S.CONFIRMED, _A.CONFIRM),
    (_S.ANSWERED, _H.BYE): (_S.ENDING, _A.HANG_UP),
    (_S.ANSWERED, _H.REQUEST): (_S.ANSWERED, _A.RELAY_REQUEST),
    (_S.ANSWERED, _H.REPLY): (_S.ANSWERED, _A.RELAY_REPLY),
    (_S.ANSWERED, _H.GIVE_UP): (_S.ENDING, _A.BYE_BOTH),
    (_S.CONFIRMED, _H.ANSWER): (_S.CONFIRMED, _A.ACK_AGAIN),
    (_S.CONFIRMED, _H.ACK): (_S.CONFIRMED, _A.CONFIRM),
    (_S.CONFIRMED, _H.BYE): (_S.ENDING, _A.HANG_UP),
    (_S.CONFIRMED, _H.REQUEST): (_S.CONFIRMED, _A.RELAY_REQUEST),
    (_S.CONFIRMED, _H.REPLY): (_S.CONFIRMED, _A.RELAY_REPLY),
    (_S.CONFIRMED, _H.GIVE_UP): (_S.ENDING, _A.BYE_BOTH),
    (_S.ENDING, _H.ANSWER): (_S.ENDING, _A.ACK_AGAIN),
    (_S.ENDING, _H.ACK): (_S.ENDING, _A.SEND_DEFERRED_BYE),
    (_S.ENDING, _H.BYE): (_S.ENDING, _A.ANSWER_BYE),
    (_S.ENDING, _H.REQUEST): (_S.ENDING, _A.REFUSE_REQUEST),
    (_S.ENDING, _H.REPLY): (_S.ENDING, _A.ACK_STRAY),
    (_S.ENDING, _H.EXPIRED): (_S.ENDED, _A.ABANDON),
    (_S.ENDING, _H.LEG_DONE): (_S.ENDING, _A.NOTHING),
    (_S.ENDING, _H.ALL_DONE): (_S.ENDED, _A.FINISH),
}
"""Everything else leaves the state alone."""


def next_of(state: State, happening: Happening) -> tuple[State, Action]:
    """The new state and what to do; total over both enums."""
    return TABLE.get((state, happening), (state, Action.NOTHING))
