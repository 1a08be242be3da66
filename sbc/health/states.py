"""The states of a hop, as a table.

Signs come from calls and probes alike and are weighed first: whether there are enough of them in
a row is for the peer's rule to say. So one lost packet takes nobody out of service, and one lucky
answer brings nobody back.
"""

from enum import Enum


class State(Enum):
    """What is known of a hop."""

    UNKNOWN = "unknown"
    """Nothing yet: it is used like one that is up."""
    UP = "up"
    SUSPECT = "suspect"
    """Failed, but not often enough: it is still used, and probed at once where probes are on."""
    DOWN = "down"
    """Tried last, if nothing else is left."""


class Sign(Enum):
    """What was seen of a hop."""

    LIFE = "answered"
    LIFE_ENOUGH = "answered often enough in a row"
    FAILURE = "failed"
    FAILURE_ENOUGH = "failed often enough in a row"


TABLE: dict[tuple[State, Sign], State] = {
    (State.UNKNOWN, Sign.LIFE): State.UP,
    (State.UNKNOWN, Sign.LIFE_ENOUGH): State.UP,
    (State.UNKNOWN, Sign.FAILURE): State.SUSPECT,
    (State.UNKNOWN, Sign.FAILURE_ENOUGH): State.DOWN,
    (State.UP, Sign.LIFE): State.UP,
    (State.UP, Sign.LIFE_ENOUGH): State.UP,
    (State.UP, Sign.FAILURE): State.SUSPECT,
    (State.UP, Sign.FAILURE_ENOUGH): State.DOWN,
    (State.SUSPECT, Sign.LIFE): State.UP,
    (State.SUSPECT, Sign.LIFE_ENOUGH): State.UP,
    (State.SUSPECT, Sign.FAILURE): State.SUSPECT,
    (State.SUSPECT, Sign.FAILURE_ENOUGH): State.DOWN,
    (State.DOWN, Sign.LIFE): State.DOWN,
    (State.DOWN, Sign.LIFE_ENOUGH): State.UP,
    (State.DOWN, Sign.FAILURE): State.DOWN,
    (State.DOWN, Sign.FAILURE_ENOUGH): State.DOWN,
}
"""Total over both."""
