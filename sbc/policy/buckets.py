"""Token buckets in a table that no flood makes grow or forget.

The table has a fixed number of places, one per key. A place is given to another key only when its
bucket is full again, so that nobody gains or loses anything by it: a flood from a million invented
sources neither grows the table nor wins an attacker a fresh budget. Who proved itself (a
registered phone) keeps its place. A key that finds none shares a bucket with all others like it.
"""

from array import array
from collections.abc import Container, Hashable

from sbc.bucket import Bucket
from sbc.policy.model import RateLimit
from sbc.policy.usage import WINDOW_S, Usage

Key = Hashable

PLACES = 65_536
"""Keys remembered per limit and network; about 20 MB when all are taken."""

PROBES = 8
"""Places looked at for a full bucket before a new key goes to the shared one."""

CROWD_SHARE = 16
"""The bucket shared by keys that found no place is this many times that of one key."""


class Buckets:
    """The buckets of one limit.

    Args:
        places: keys remembered.
        kept: the keys that keep their place.
    """

    __slots__ = (
        "_at",
        "_burst",
        "_capacity",
        "_counts",
        "_crowds",
        "_ends",
        "_hand",
        "_kept",
        "_keys",
        "_lows",
        "_places",
        "_rate",
        "_tokens",
        "crowded",
        "denied",
        "limit",
        "usage",
    )  # fmt: skip

    def __init__(self, limit: RateLimit, places: int, kept: Container[Key]) -> None:
        self.limit = limit
        self._rate = limit.rate
        self._burst = float(limit.burst)
        self._capacity = places
        self._kept = kept
        self._places: dict[Key, int] = {}
        self._keys: list[Key] = []
        self._tokens = array("d")
        self._at = array("d")
        self._ends = array("d")
        self._lows = array("d")
        self._counts = array("L")
        self._hand = 0
        shared = limit.rate * CROWD_SHARE, float(limit.burst * CROWD_SHARE)
        self._crowds = (Bucket(*shared), Bucket(*shared))
        self.denied = 0
        """Messages that found no token."""
        self.crowded = 0
        """Of these, those that had no place either."""
        self.usage = Usage(limit.burst)

    def __len__(self) -> int:
        return len(self._places)

    def take(self, key: Key, now: float, known: bool = False) -> bool:
        """Take a token, if there is one.

        Args:
            known: whether this is a peer or a registered phone, which without a place shares a
                bucket with its like only.
        """
        slot = self._places.get(key)
        if slot is None:
            return self._take_new(key, now, known)
        tokens = self._tokens[slot] + (now - self._at[slot]) * self._rate
        self._at[slot] = now
        tokens = min(tokens, self._burst)
        if now >= self._ends[slot]:
            self._begin_window(slot, now)
        if tokens < 1.0:
            self._tokens[slot] = tokens
            self._lows[slot] = 0.0
            self.denied += 1
            return False
        self._tokens[slot] = tokens = tokens - 1.0
        self._counts[slot] += 1
        self._lows[slot] = min(self._lows[slot], tokens)
        return True

    def learn(self, now: float) -> Usage:
        """What was used until now; looks at every place."""
        for slot in self._places.values():
            if now >= self._ends[slot]:
                self._begin_window(slot, now)
        return self.usage

    def _begin_window(self, slot: int, now: float) -> None:
        """Remember what was used in the time that is over, and begin to count anew."""
        if self._counts[slot]:
            self.usage.add(self._counts[slot], self._burst - self._lows[slot])
        self._counts[slot] = 0
        self._lows[slot] = self._tokens[slot]
        self._ends[slot] = now + WINDOW_S

    def _take_new(self, key: Key, now: float, known: bool) -> bool:
        """Take the first token of a key that has no place."""
        slot = self._free_slot(now)
        if slot < 0:
            if self._crowds[known].take(now):
                return True
            self.denied += 1
            self.crowded += 1
            return False
        self._places[key] = slot
        self._keys[slot] = key
        self._tokens[slot] = self._lows[slot] = self._burst - 1.0
        self._at[slot] = now
        self._ends[slot] = now + WINDOW_S
        self._counts[slot] = 1
        return True

    def _free_slot(self, now: float) -> int:
        """A place nobody needs: a new one, or one whose bucket is full again; -1 for none."""
        slot = len(self._keys)
        if slot < self._capacity:
            self._keys.append(None)
            for column in (self._tokens, self._at, self._ends, self._lows):
                column.append(0.0)
            self._counts.append(0)
            return slot
        for _ in range(PROBES):
            slot = self._hand = (self._hand + 1) % self._capacity
            tokens = self._tokens[slot] + (now - self._at[slot]) * self._rate
            key = self._keys[slot]
            if tokens >= self._burst and key not in self._kept:
                self._begin_window(slot, now)
                del self._places[key]
                return slot
        return -1
