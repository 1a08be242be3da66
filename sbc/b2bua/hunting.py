"""Hunting: whether the next candidate is tried, what each try told, and which refusal is the best.

Spec: RFC 3261 §16.7 (which answers hunt, best response), RFC 3263 §4.3.
"""

from sbc.b2bua.call import B, Call, Timer
from sbc.b2bua.commands import HopSeen
from sbc.b2bua.leg import Refused
from sbc.b2bua.table import State
from sbc.sip.fields.retry_after import retry_after_of
from sbc.sip.message import Response

_TELLING = frozenset({401, 407, 415, 420, 484})
"""Refusals that say how a request would succeed (§16.7 step 6)."""
_OF_THE_WAY = frozenset({408, 430, 503})
"""Refusals that say nothing of the callee, only of the way there."""


def has_next(call: Call, at: float) -> bool:
    """Whether another candidate may be tried at that moment."""
    return call.position + 1 < len(call.candidates) and at <= _budget_ends(call)


def leads_on(call: Call, status: int) -> bool:
    """Whether a final response of the candidate being tried is one that hunts."""
    return status in call.candidate.failover.codes


def goes_on(call: Call) -> bool:
    """Whether the next candidate is tried after a failure; why not is in the journal."""
    if has_next(call, call.now):
        return True
    if call.position + 1 < len(call.candidates):
        budget = call.candidate.failover.budget_s
        call.note("decision", f"nobody else is tried: the {budget:g} s for that are over", B)
    return False


def start_timers(call: Call) -> None:
    """The INVITE to a candidate leaves: how long may it be silent, and not ring.

    Who could not even be silent for long enough before the budget ends is the last one.
    """
    timers = call.context.settings.timers
    silent_until = call.now + call.candidate.failover.timeout_s
    rings_by = call.now + timers.ring_s
    if has_next(call, silent_until):
        rings_by = min(rings_by, _budget_ends(call))
    call.timers[Timer.TRY] = silent_until
    call.timers[Timer.RING] = rings_by
    call.timers.setdefault(Timer.NO_ANSWER, call.now + timers.no_answer_s)


def asked_again(call: Call) -> None:
    """The INVITE left once more, with credentials: it may be as silent as the first."""
    call.timers[Timer.TRY] = call.now + call.candidate.failover.timeout_s


def heard(call: Call, response: Response) -> None:
    """The candidate being tried answered something: note what that says of its hop.

    100 says nothing yet: what answers it may have nobody behind it, and say 503 next.
    """
    call.timers.pop(Timer.TRY, None)
    evidence = f"INVITE answered {response.status} {response.reason}".rstrip()
    if response.status == 503:
        wait_s = retry_after_of(response)
        call.out.append(HopSeen(call.candidate.hop, evidence, False, wait_s))
    elif response.status != 100 and call.state is State.CALLING:
        call.out.append(HopSeen(call.candidate.hop, evidence, True))


def unheard(call: Call, why: str) -> None:
    """The INVITE to the candidate being tried failed: ``"timeout"``, ``"transport"``, ``"full"``.

    That it kept still was noted before, when that began to count.
    """
    waited = call.timers.pop(Timer.TRY, None) is not None
    if why == "transport" or (why == "timeout" and waited):
        call.out.append(HopSeen(call.candidate.hop, f"INVITE failed: {why}", False))


def kept_still(call: Call) -> str:
    """The candidate being tried was silent for too long: note it, and give it in words."""
    text = f"no response within {call.candidate.failover.timeout_s:g} s"
    call.out.append(HopSeen(call.candidate.hop, f"INVITE got {text}", False))
    return text


def best(kept: Refused | None, other: Refused) -> Refused:
    """The one of two final responses that the caller should get; the later one of equals."""
    if kept is not None and _worth(kept.response.status) < _worth(other.response.status):
        return kept
    return other


def concerns_callee(status: int) -> bool:
    """Whether a refusal says something of the callee."""
    return status not in _OF_THE_WAY


def _budget_ends(call: Call) -> float:
    return call.started_at + call.candidate.failover.budget_s


def _worth(status: int) -> int:
    """Lower is better: 6xx ends all, else the lowest class, in it what helps the caller most."""
    if status >= 600:
        return 0
    if status in _TELLING:
        return 1
    if not concerns_callee(status):
        return 4
    return 2 if status < 500 else 3
