"""Whether the peers of a new call have room for it."""

from sbc.b2bua.call import Candidate
from sbc.driver.callers import Caller
from sbc.policy.call_limits import Objection
from sbc.policy.caps import PeerCaps
from sbc.policy.model import Decision, Step
from sbc.policy.rules import Action


def with_room(
    caps: PeerCaps, name: str, caller: Caller, candidates: list[Candidate], kbps: int, now: float
) -> list[Candidate] | Decision:
    """Count a call for its peers: the candidates from the first on that has room for it.

    Args:
        name: Of the call.
        kbps: What it may bring.

    Raises:
        ParseError: a header that a limit of the policies asks about is malformed (400).

    Returns:
        Where nobody has room: which cap forbids it (503).
    """
    facts = caller.facts
    emergency = facts is not None and caps.room.exempts(facts)
    objection = None if facts is None else caps.room.begin(facts, name, now, kbps)
    if objection is not None:
        return _refusal(objection, caller.decision)
    if caller.peer:
        decision = caps.begin(caller.peer, name, now, kbps, emergency=emergency)
        if not decision.allowed:
            caps.room.end(name)
            return decision
    refusal: Decision | None = None
    for number, candidate in enumerate(candidates):
        if not candidate.peer:
            return candidates[number:]
        decision = caps.begin(candidate.peer, name, now, kbps, emergency=emergency)
        if decision.allowed:
            return candidates[number:]
        refusal = refusal or decision
    caps.end(caller.peer, name)
    caps.room.end(name)
    assert refusal is not None, "there is always a candidate"
    return refusal


def _refusal(objection: Objection, before: Decision) -> Decision:
    limit, tested = objection
    step = Step("admission", limit.name, limit.where, Action("reject", 503), (tested,))
    return Decision(
        "reject", limit.name, limit.where, 503, tested=(tested,), trail=(*before.trail, step)
    )
