"""The diagrams of the design page that are drawn from the call's tables."""

from sbc.b2bua.table import TABLE, State
from sbc.sdp.offer_answer import TRANSITIONS, NegotiationState, Refusal
from sbc.sip.transaction.diagram import mermaid


def call_diagram() -> str:
    """The states of a call as the text of a Mermaid state diagram."""
    rows = {
        (before.value, happening.value): (after.value, (action.value,))
        for (before, happening), (after, action) in TABLE.items()
    }
    return mermaid(rows, State.CALLING.value, State.ENDED.value)


def negotiation_diagram() -> str:
    """The states of one leg's offer/answer; what is refused in a state is not drawn."""
    rows = {
        (before.value, event.value): (after.value, ())
        for (before, event), after in TRANSITIONS.items()
        if not isinstance(after, Refusal)
    }
    return mermaid(rows, NegotiationState.STABLE.value)
