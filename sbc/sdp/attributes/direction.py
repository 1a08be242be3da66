"""Which way media flows, and the arithmetic of it.

Spec: RFC 8866 §6.7, RFC 3264 §6.1 and §8.4, RFC 6337 §5.3.
"""

from enum import Enum


class Direction(Enum):
    """Which way media flows, as the party that says it sees it."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        """Whether the party that says it sends media."""
        return self is Direction.SENDRECV or self is Direction.SENDONLY

    @property
    def receives(self) -> bool:
        """Whether the party that says it wants media."""
        return self is Direction.SENDRECV or self is Direction.RECVONLY


DIRECTIONS: dict[str, Direction] = {direction.value: direction for direction in Direction}
"""Directions by the name of their attribute."""

_REVERSED = {
    Direction.SENDRECV: Direction.SENDRECV,
    Direction.SENDONLY: Direction.RECVONLY,
    Direction.RECVONLY: Direction.SENDONLY,
    Direction.INACTIVE: Direction.INACTIVE,
}


def direction_of(*, sends: bool, receives: bool) -> Direction:
    """The direction of a party that sends, receives, both or neither."""
    if sends:
        return Direction.SENDRECV if receives else Direction.SENDONLY
    return Direction.RECVONLY if receives else Direction.INACTIVE


def reverse(direction: Direction) -> Direction:
    """The same flow as the other party sees it."""
    return _REVERSED[direction]


def common_direction(one: Direction, other: Direction) -> Direction:
    """What is left when both must hold, both seen from the same party."""
    return direction_of(sends=one.sends and other.sends, receives=one.receives and other.receives)


def answer_direction(offered: Direction, wanted: Direction) -> Direction:
    """What to answer to an offered direction when we want another.

    Spec: RFC 3264 §6.1: sendonly may be answered by recvonly or inactive, recvonly by sendonly or
    inactive, inactive only by inactive, sendrecv by anything.
    """
    return common_direction(reverse(offered), wanted)


def is_answer_to(offered: Direction, answered: Direction) -> bool:
    """Whether a direction is a legal answer to an offered one (RFC 3264 §6.1)."""
    return answer_direction(offered, answered) is answered
