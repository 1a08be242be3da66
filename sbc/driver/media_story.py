"""What the relay saw, in words for a call's journal."""

from collections.abc import Mapping

from media.events import KeyErrors, Latched, MediaResumed, RelatchRefused
from media.types import DropReason
from sbc.routing.facing import host_port

Seen = Latched | RelatchRefused | MediaResumed | KeyErrors
"""What a story is told of."""


def media_story(event: Seen) -> str:
    """One line of the call's story for something the relay saw."""
    if isinstance(event, Latched):
        before = f", before {host_port(*event.previous)}" if event.previous is not None else ""
        return (
            f"{event.component.name} latched to {host_port(*event.source)} "
            f"({event.rank.name.lower()}){before}"
        )
    if isinstance(event, RelatchRefused):
        return (
            f"{event.component.name} from {host_port(*event.source)} refused: "
            f"{event.reason.name.lower()}"
        )
    if isinstance(event, KeyErrors):
        return f"{event.count} packets failed SRTP authentication"
    return "media resumed"


def drops_story(drops: Mapping[DropReason, int]) -> str:
    """One line of the call's story for what was not relayed of a side, the most frequent first."""
    often = sorted(drops.items(), key=lambda drop: (-drop[1], drop[0]))
    return "not relayed: " + ", ".join(f"{count} {reason.name.lower()}" for reason, count in often)
