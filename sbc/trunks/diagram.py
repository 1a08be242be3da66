"""The diagram of the design page that is drawn from the registration's table."""

from sbc.sip.transaction.diagram import mermaid
from sbc.trunks.table import TABLE, State


def registration_diagram() -> str:
    """The states of a registration with a trunk as the text of a Mermaid state diagram."""
    rows = {
        (before.value, happening.value): (after.value, (action.value,))
        for (before, happening), (after, action) in TABLE.items()
    }
    return mermaid(rows, State.UNREGISTERED.value)
