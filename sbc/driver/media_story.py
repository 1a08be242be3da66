"""What the relay saw, in words for a call's journal."""

from media.events import KeyErrors, Latched, MediaResumed, RelatchRefused
from media.types import Endpoint
from sbc.routing.facing import bracketed


def media_story(event: Latched | RelatchRefused | MediaResumed | KeyErrors) -> str:
    """One line of the call's story for something the relay saw."""
    if isinstance(event, Latched):
        before = f", before {_place(event.previous)}" if event.previous is not None else ""
        return (
            f"{event.component.name} latched to {_place(event.source)} "
            f"({event.rank.name.lower()}){before}"
        )
    if isinstance(event, RelatchRefused):
        return (
            f"{event.component.name} from {_place(event.source)} refused: "
            f"{event.reason.name.lower()}"
        )
    if isinstance(event, KeyErrors):
        return f"{event.count} packets failed SRTP authentication"
    return "media resumed"


def _place(endpoint: Endpoint) -> str:
    return f"{bracketed(endpoint.host)}:{endpoint.port}"
