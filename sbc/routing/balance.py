"""In which order what could be tried is tried: by priority, and among equals by a strategy.

Sharing is weighted rendezvous hashing: each option has a score of its own for a key, and the best
comes first. So the order for a key depends on nothing but the options themselves: one that is
added, removed or drained moves only its own share of the keys, and with a fresh random key per
call the same function shares calls by weight.

Spec: RFC 2782 (priority, weight); Thaler and Ravishankar, "Using name-based mappings to increase
hit rates" (rendezvous hashing).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2s
from typing import Final, Generic, Literal, TypeVar

Strategy = Literal["order", "weight", "hash", "least-calls"]
HashOn = Literal["caller", "called", "call-id", "source"]

T = TypeVar("T")

LEAST_WEIGHT: Final = 0.01
"""What a weight of 0 counts: hardly ever first while others are there (RFC 2782)."""


@dataclass(frozen=True, slots=True)
class Balance:
    """How equals share calls."""

    strategy: Strategy = "order"
    """`order`: as written; `weight`: by weight, anew for each call; `hash`: by weight, and always
    the same for the same `hash_on`; `least-calls`: whoever has the fewest live calls for its
    weight."""
    hash_on: HashOn = "caller"


IN_ORDER: Final = Balance()


@dataclass(frozen=True, slots=True)
class Rank:
    """Where one entry of a list stands in it."""

    priority: int = 0
    """Lower comes first."""
    weight: int = 1
    """Its share among those of its priority."""


UNRANKED: Final = Rank()


@dataclass(frozen=True, slots=True)
class Option(Generic[T]):
    """Something that can be tried."""

    item: T
    name: str
    """What it is known by, whatever stands beside it."""
    rank: Rank = UNRANKED
    calls: int = 0
    """How many calls are live there."""


def ordered(options: Sequence[Option[T]], strategy: Strategy, key: bytes) -> list[T]:
    """The items in the order to try them.

    Args:
        key: What the same order is to come of: fresh entropy for `weight` and `least-calls` (which
            takes it to decide between equals), what calls are to stick to for `hash`.
    """
    if strategy == "order":
        return [option.item for option in sorted(options, key=lambda one: one.rank.priority)]

    def place(option: Option[T]) -> tuple[int, float, float]:
        weight = option.rank.weight or LEAST_WEIGHT
        load = option.calls / weight if strategy == "least-calls" else 0.0
        return option.rank.priority, load, -_score(key, option.name, weight)

    return [option.item for option in sorted(options, key=place)]


def _score(key: bytes, name: str, weight: float) -> float:
    """The option's score for a key: exponential in its weight, so that shares are exact."""
    digest = blake2s(b"%d:%b%b" % (len(key), key, name.encode()), digest_size=8).digest()
    uniform = (int.from_bytes(digest) + 0.5) / 2**64
    return -weight / math.log(uniform) if uniform < 1.0 else math.inf
