"""Scores that fade: what a flow, or a source, has been seen doing lately.

A table has a fixed number of places and gives the one that was quiet for longest to whoever comes
next. Datagrams with invented sources have a table of their own, so that no flood of them makes us
forget those who proved where they are.
"""

import math
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from typing import Final, Generic, TypeVar

from sbc.policy.offences import Evidence

KEPT: Final = 8
"""Of what was seen, how much is kept as evidence."""

SUBJECTS: Final = 24
"""Users and numbers that are remembered of one source, by their hashes: a stranger chose them."""


class Score:
    """What is held against one source."""

    __slots__ = ("asked", "at", "evidence", "mutes", "points", "subjects")

    def __init__(self, at: float) -> None:
        self.points = 0.0
        self.at = at
        self.evidence: deque[Evidence] = deque(maxlen=KEPT)
        self.subjects: dict[int, float] = {}
        """Users and numbers that it failed with, and what each of them counted."""
        self.asked: dict[int, float] = {}
        """Users for whom it was challenged, and did not log in."""
        self.mutes = 0
        """How often it was muted."""

    def add(self, points: float, now: float, half_life_s: float) -> float:
        """Let what was there fade, and add to it; the score then."""
        self.points = self.faded(now, half_life_s) + points
        self.at = now
        return self.points

    def blame(self, subject: str, points: float) -> None:
        """Note what was counted because of a user or number."""
        if hash(subject) in self.subjects:
            self.subjects[hash(subject)] += points

    def excuse(self, subject: str) -> None:
        """Take back what was counted because of a user, as whom it logged in after all."""
        self.asked.pop(hash(subject), None)
        self.points = max(0.0, self.points - self.subjects.pop(hash(subject), 0.0))

    def faded(self, now: float, half_life_s: float) -> float:
        """The score at a time."""
        return self.points * math.exp2(-max(0.0, now - self.at) / half_life_s)


def remember(subjects: dict[int, float], subject: str) -> bool:
    """Note a user or number among those known; whether it is a new one."""
    known = hash(subject)
    if not subject or known in subjects:
        return False
    if len(subjects) >= SUBJECTS:
        del subjects[next(iter(subjects))]
    subjects[known] = 0.0
    return True


K = TypeVar("K", bound=Hashable)


class Scores(Generic[K]):
    """The scores of many, bounded."""

    __slots__ = ("_most", "_scores")

    def __init__(self, most: int) -> None:
        self._most = most
        self._scores: OrderedDict[K, Score] = OrderedDict()

    def __len__(self) -> int:
        return len(self._scores)

    def of(self, key: K, now: float) -> Score:
        """The score of somebody, who has a place from now on."""
        score = self._scores.get(key)
        if score is None:
            score = self._scores[key] = Score(now)
            if len(self._scores) > self._most:
                self._scores.popitem(last=False)
        else:
            self._scores.move_to_end(key)
        return score

    def find(self, key: K) -> Score | None:
        """The score of somebody, if anything is held against them."""
        return self._scores.get(key)

    def __iter__(self) -> Iterator[tuple[K, Score]]:
        return iter(list(self._scores.items()))

    def forget(self, key: K) -> None:
        """Hold nothing against somebody any more."""
        self._scores.pop(key, None)

    def forget_all(self, meant: Callable[[K], bool]) -> None:
        """Hold nothing any more against whoever is meant."""
        for key in [key for key in self._scores if meant(key)]:
            del self._scores[key]
