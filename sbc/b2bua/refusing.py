"""Ending a call that was not answered: A's final response, and what the statuses become.

Spec: RFC 3261 §16.7 (mapping of failures), §21.5.4 (503), RFC 3326 (Reason).
"""

from sbc.b2bua.call import Call
from sbc.b2bua.causes import (
    TEMPORARY_FAILURE,
    Ending,
    q850_of,
    q850_said,
    rule_for,
    told_otherwise,
)
from sbc.b2bua.credentials import refused_text
from sbc.b2bua.ending import finish
from sbc.b2bua.events import Event, GaveUp, ReplyReceived, RequestFailed
from sbc.b2bua.hunting import best, concerns_callee
from sbc.b2bua.leg import LegState, Refused
from sbc.b2bua.messages import Extra, answer, learn_uuid, warning
from sbc.b2bua.table import State
from sbc.routing.facing import bracketed
from sbc.routing.responses import AS_ANSWERED, ResponseRules
from sbc.sip.message import Response
from sbc.state.cdr import EndedBy

_CHALLENGES = frozenset({401, 407})
"""Refusals that end nothing: the caller comes again with an answer."""


def relay_refusal(call: Call, event: Event) -> State:
    """Nobody is left to try: A gets the best final response there was, mapped."""
    refused = call.refused
    if isinstance(event, ReplyReceived):
        learn_uuid(call, call.b, event.response)
        text = refused_text(call, call.b, event.response)
        if text:
            said = "the next hop does not take this call"
            final_to_caller(call, Ending(500, q850_of(500), EndedBy.NETWORK, text, said))
            return finish(call)
        refused = best(refused, Refused(event.response, call.b))
    elif refused is not None and not concerns_callee(refused.response.status):
        refused = None
    if refused is not None:
        response = refused.response
        status, text = _mapped(response)
        cause = q850_said(response.headers.all("reason")) or q850_of(status)
        # What B says in its reason phrase may name what A must not know.
        said = f"the callee answered {response.status}"
        ending = Ending(status, cause, EndedBy.CALLEE, text, said)
        rule = rule_for(_rules_of(call, refused.leg.peer).received, response.status, cause)
        if rule is not None:
            final_to_caller(call, told_otherwise(ending, rule), phrase=rule.reason)
        else:
            final_to_caller(call, ending, refused if status == response.status else None)
    else:
        final_to_caller(call, _failure_ending(event))
    return finish(call)


def refuse(call: Call, ending: Ending, extra: Extra = ()) -> None:
    """Refuse the call before B was asked."""
    final_to_caller(call, ending, None, extra)
    call.state = finish(call)


def final_to_caller(
    call: Call,
    ending: Ending,
    source: Refused | None = None,
    extra: Extra = (),
    phrase: str = "",
) -> None:
    """Give A the final response to its INVITE, once, as the rules of its peer have it told.

    Args:
        source: What a candidate said, if A is to hear it.
        phrase: Reason phrase where there is no source; empty for the registered one.
    """
    # Who gives up is told so in the words that RFC 3261 §9.2 has for it.
    rules = () if ending.by is EndedBy.CALLER else _rules_of(call, call.a.peer).sent
    rule = rule_for(rules, ending.status, ending.q850)
    if rule is not None:
        ending, source, phrase = told_otherwise(ending, rule), None, rule.reason
    call.ends(ending)
    call.a.state = LegState.DONE
    invite = call.invite
    if invite is None:
        return
    if source is None:
        extra = (*extra, ("Reason", ending.reason))
        if ending.by != EndedBy.CALLER:
            extra = (*extra, warning(call.a, ending.public))
    cause = ("Reason", f"Q.850;cause={ending.q850}")
    answer(
        call,
        call.a,
        call.invite_key,
        invite,
        ending.status,
        source=None if source is None else source.response,
        origin=None if source is None else source.leg,
        extra=extra,
        default=() if ending.status in _CHALLENGES else (cause,),
        phrase=phrase,
    )
    call.invite = call.asked = None


def policy_ending(status: int, text: str, said: str = "") -> Ending:
    """An ending that our rules or means decide."""
    return Ending(status, q850_of(status), EndedBy.POLICY, text, said)


def failure_text(call: Call, event: Event) -> str:
    """How the candidate being tried failed, for the journal."""
    place = call.candidate.peer or bracketed(call.candidate.flow.remote[0])
    if isinstance(event, ReplyReceived):
        return f"{place} answered {event.response.status} {event.response.reason}"
    if isinstance(event, GaveUp):
        return f"{place}: {event.ending.text}"
    assert isinstance(event, RequestFailed)
    return f"{place}: {event.why}" + (f" ({event.detail})" if event.detail else "")


def _rules_of(call: Call, name: str) -> ResponseRules:
    peer = call.context.peers.get(name)
    return AS_ANSWERED if peer is None else peer.responses


def _mapped(response: Response) -> tuple[int, str]:
    """A's status for B's final failure, and the sentence for it."""
    status = response.status
    if 300 <= status < 400:
        # Contact of a redirect names the far side, and following it is a decision of routing.
        return 480, f"the callee redirects ({status}), which this route does not follow"
    if status == 503:
        # §16.7 step 6: 503 would say of us what B said of itself, and A would avoid us.
        return 500, "the callee answered 503"
    return status, f"the callee answered {status} {response.reason}"


def _failure_ending(event: Event) -> Ending:
    assert isinstance(event, RequestFailed)
    if event.why == "timeout":
        return Ending(504, q850_of(504), EndedBy.TIMEOUT, "the next hop did not answer the INVITE")
    said = "the INVITE could not be sent to the next hop"
    text = f"{said}: {event.detail}" if event.detail else said
    return Ending(503, TEMPORARY_FAILURE, EndedBy.NETWORK, text, said)
