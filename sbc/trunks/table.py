"""The states of one registration with a trunk, as a table.

A happening is an answer or a silence already weighed (a failure is ELSEWHERE or REFUSED by whether
a target is left), so the table has no conditions. What it does not name for a state changes
nothing in it.

Spec: RFC 3261 §10.2, RFC 5626 §4.4.1 and §4.5.
"""

from enum import Enum


class State(Enum):
    """How far a registration has come."""

    UNREGISTERED = "unregistered"
    """Nothing was asked yet, or all is withdrawn."""
    REGISTERING = "registering"
    """A REGISTER is under way, and no flow carries calls."""
    REGISTERED = "registered"
    REFRESHING = "refreshing"
    """A REGISTER is under way, and calls go on over the flow that registered."""
    BACKING_OFF = "backing off"
    """Every target failed, or the registrar said no: the next round waits (RFC 5626 §4.5)."""
    UNREGISTERING = "unregistering"


class Happening(Enum):
    """What an event means to a registration in its state."""

    DUE = "the time has come"
    NOWHERE = "no target has an address"
    GRANTED = "2xx"
    AGAIN = "401, 407 or 423 that can be met"
    ELSEWHERE = "a target failed, and another one is left"
    REFUSED = "refused, or no target is left"
    LOST = "the flow failed after it had lasted"
    LOST_EARLY = "the flow failed soon after it registered"
    LEAVE = "the account is removed or changed, or we stop"
    WITHDRAWN = "2xx to the withdrawal"


class Action(Enum):
    """What is done; `trunks.py` binds each to a function."""

    START = "REGISTER at the first target"
    GO_ON = "REGISTER at the next target"
    REPEAT = "REGISTER again with what was asked for"
    REFRESH = "REGISTER on the same flow"
    KEEP = "note the binding, plan the refresh"
    WAIT = "wait, longer each time"
    AWAIT = "wait for the answer first"
    WITHDRAW = "REGISTER with Expires 0"
    FINISH = "forget the binding"
    NOTHING = "nothing"


_A = Action
_S = State
_H = Happening

TABLE: dict[tuple[State, Happening], tuple[State, Action]] = {
    (_S.UNREGISTERED, _H.DUE): (_S.REGISTERING, _A.START),
    (_S.UNREGISTERED, _H.NOWHERE): (_S.BACKING_OFF, _A.WAIT),
    (_S.UNREGISTERED, _H.LEAVE): (_S.UNREGISTERED, _A.FINISH),
    (_S.REGISTERING, _H.GRANTED): (_S.REGISTERED, _A.KEEP),
    (_S.REGISTERING, _H.AGAIN): (_S.REGISTERING, _A.REPEAT),
    (_S.REGISTERING, _H.ELSEWHERE): (_S.REGISTERING, _A.GO_ON),
    (_S.REGISTERING, _H.REFUSED): (_S.BACKING_OFF, _A.WAIT),
    (_S.REGISTERING, _H.LEAVE): (_S.UNREGISTERING, _A.AWAIT),
    (_S.REGISTERED, _H.DUE): (_S.REFRESHING, _A.REFRESH),
    (_S.REGISTERED, _H.LOST): (_S.REGISTERING, _A.GO_ON),
    (_S.REGISTERED, _H.LOST_EARLY): (_S.BACKING_OFF, _A.WAIT),
    (_S.REGISTERED, _H.LEAVE): (_S.UNREGISTERING, _A.WITHDRAW),
    (_S.REFRESHING, _H.GRANTED): (_S.REGISTERED, _A.KEEP),
    (_S.REFRESHING, _H.AGAIN): (_S.REFRESHING, _A.REPEAT),
    (_S.REFRESHING, _H.ELSEWHERE): (_S.REGISTERING, _A.GO_ON),
    (_S.REFRESHING, _H.REFUSED): (_S.BACKING_OFF, _A.WAIT),
    (_S.REFRESHING, _H.LEAVE): (_S.UNREGISTERING, _A.AWAIT),
    (_S.BACKING_OFF, _H.DUE): (_S.REGISTERING, _A.START),
    (_S.BACKING_OFF, _H.NOWHERE): (_S.BACKING_OFF, _A.WAIT),
    (_S.BACKING_OFF, _H.LEAVE): (_S.UNREGISTERED, _A.FINISH),
    (_S.UNREGISTERING, _H.GRANTED): (_S.UNREGISTERING, _A.WITHDRAW),
    (_S.UNREGISTERING, _H.AGAIN): (_S.UNREGISTERING, _A.REPEAT),
    (_S.UNREGISTERING, _H.WITHDRAWN): (_S.UNREGISTERED, _A.FINISH),
    (_S.UNREGISTERING, _H.REFUSED): (_S.UNREGISTERED, _A.FINISH),
}
"""Everything else leaves the state alone."""


def next_of(state: State, happening: Happening) -> tuple[State, Action]:
    """The new state and what to do; total over both enums."""
    return TABLE.get((state, happening), (state, Action.NOTHING))
