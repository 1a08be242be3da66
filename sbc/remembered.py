"""Values that were read lately, for the messages of a call repeat each other's.

A call says its Via, From, To, Contact and CSeq in every message and its answer, a peer says the
same of itself in all of its calls, and all phones say the same few codecs.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

_Read = TypeVar("_Read")

MOST_VALUES = 1024
"""For each kind of value; what is kept is bounded in number and length, so that strangers can only
make it useless."""

LONGEST = 256
"""Characters."""


def remembered(read: Callable[[str], _Read]) -> Callable[[str], _Read]:
    """Keep what a pure function made of short texts, if what it makes cannot be changed."""
    usual = lru_cache(MOST_VALUES)(read)

    @wraps(read)
    def ask(text: str) -> _Read:
        return usual(text) if len(text) <= LONGEST else read(text)

    return ask
