"""The diagram of the design page that is drawn from the table of health."""

from sbc.health.states import TABLE, Sign, State
from sbc.sip.transaction.diagram import mermaid


def health_diagram() -> str:
    """The states of a hop as the text of a Mermaid state diagram; what changes none is not drawn.

    That it answered, and often enough, is one arrow where both lead the same way.
    """
    rows = {
        (before.value, sign.value): (after.value, ())
        for (before, sign), after in TABLE.items()
        if sign is not Sign.LIFE_ENOUGH or after is not TABLE[before, Sign.LIFE]
    }
    return mermaid(rows, State.UNKNOWN.value)
