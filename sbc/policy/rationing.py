"""How often strangers are answered, so that nobody is flooded with what they ask in his name."""

from array import array
from typing import Final

ANSWER_SLOTS: Final = 1024
"""Sources remembered, which is also the most answers in a second."""

ANSWER_INTERVAL_S: Final = 1.0


class Rationing:
    """At most one answer per source and second.

    Two sources that share a place share the answer; no source ever gets more.
    """

    __slots__ = ("_keys", "_times")

    def __init__(self) -> None:
        self._keys: list[str | None] = [None] * ANSWER_SLOTS
        self._times = array("d", bytes(8 * ANSWER_SLOTS))

    def may_answer(self, key: str, now: float) -> bool:
        """Whether a source may be answered; then it was."""
        at = hash(key) % ANSWER_SLOTS
        if self._keys[at] is not None and now - self._times[at] < ANSWER_INTERVAL_S:
            return False
        self._keys[at] = key
        self._times[at] = now
        return True
