"""What is known of peers and their hops at the moment a call is placed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sbc.routing.hops import Hop


def _always(hop: Hop) -> bool:  # noqa: ARG001 - of a hop as good as any other
    return True


def _none(where: object) -> int:  # noqa: ARG001 - of a place as idle as any other
    return 0


@dataclass(frozen=True, slots=True)
class Present:
    """The answers that change from call to call."""

    key: bytes = b""
    """Fresh entropy, by which calls are shared."""
    usable: Callable[[Hop], bool] = _always
    """Whether a hop may be tried before those that are down; asked once for each call."""
    calls_with: Callable[[str], int] = _none
    """How many live calls a peer has."""
    calls_at: Callable[[Hop], int] = _none
    """How many live calls went to a hop."""


IDLE: Final = Present()
"""Nothing is down, and nobody calls."""
