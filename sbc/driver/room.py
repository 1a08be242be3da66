"""Whether the peers of a new call have room for it."""

from sbc.b2bua.call import Candidate
from sbc.driver.callers import Caller
from sbc.policy.caps import PeerCaps
from sbc.policy.model import Decision


def with_room(
    caps: PeerCaps, name: str, caller: Caller, candidates: list[Candidate], kbps: int, now: float
) -> list[Candidate] | Decision:
    """Count a call for its peers: the candidates from the first on that has room for it.

    Args:
        name: Of the call.
        kbps: What it may bring.

    Returns:
        Where nobody has room: which cap forbids it (503).
    """
    emergency = caller.facts is not None and caller.facts.emergency
    if caller.peer:
        decision = caps.begin(caller.peer, name, now, kbps, emergency=emergency)
        if not decision.allowed:
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
    assert refusal is not None, "there is always a candidate"
    return refusal
