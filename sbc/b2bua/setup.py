"""Setting a call up: from the caller's INVITE until somebody answers or nobody will.

Spec: RFC 3261 §13, §9 (CANCEL), §16.7 (which failures hunt), RFC 3960 (early media).
"""

from dataclasses import replace

from media.errors import PortsExhausted
from sbc.b2bua import hunting, negotiate
from sbc.b2bua.call import A, B, Call, Candidate, Timer
from sbc.b2bua.causes import NO_CIRCUIT, NORMAL_CLEARING, Ending, q850_of, q850_said
from sbc.b2bua.context import Context
from sbc.b2bua.credentials import branch, via
from sbc.b2bua.ending import WORD, cancel, finish, release_media, stop_timers
from sbc.b2bua.events import (
    CancelReceived,
    Event,
    GaveUp,
    MediaRefused,
    ReplyReceived,
    RequestReceived,
)
from sbc.b2bua.leg import Exchange, Leg, Refused
from sbc.b2bua.messages import (
    answer,
    body_kind,
    dress,
    has_sdp,
    learn_uuid,
    passage,
    reason_given,
)
from sbc.b2bua.negotiate import Unacceptable
from sbc.b2bua.passing import pass_over
from sbc.b2bua.refusing import failure_text, final_to_caller, policy_ending, refuse
from sbc.b2bua.table import State
from sbc.policy.identity import callee_shown, caller_shown
from sbc.policy.topology import NIL_UUID, unsupported_requirements
from sbc.routing.facing import contact_of, sent_by
from sbc.sdp.offer_answer import NegotiationState
from sbc.sip.dialog import Dialog
from sbc.sip.errors import ParseError
from sbc.sip.headers import Headers
from sbc.sip.message import Request
from sbc.sip.timers import T1
from sbc.sip.user import SendRequest
from sbc.state.cdr import EndedBy

_NOT_ACCEPTABLE = frozenset({488, 606})
"""The description was refused, not the call (RFC 3261 §21.4.26, §21.6.4)."""


def begin(call: Call) -> None:
    """Answer 100, take ports, and invite the first candidate; or refuse with the right status."""
    invite = call.invite
    assert invite is not None
    answer(call, call.a, call.invite_key, invite, 100)
    places = ", ".join(c.peer or c.request_uri for c in call.candidates)
    call.note("decision", f"{call.route}: {places}")
    unmet = unsupported_requirements(invite)
    if unmet:
        text = f"the caller requires {', '.join(unmet)}, which is not supported here"
        refuse(call, policy_ending(420, text), (("Unsupported", ", ".join(unmet)),))
        return
    if invite.body and not has_sdp(invite):
        text = f"the INVITE's body is {body_kind(invite)}, not application/sdp"
        refuse(call, policy_ending(415, text), (("Accept", "application/sdp"),))
        return
    try:
        call.a.dialog = Dialog.from_request(invite, call.a.flow, call.a.local_tag)
    except ParseError as error:
        refuse(call, policy_ending(400, error.reason))
        return
    _offer_and_invite(call, call.asked or invite)


def try_next(call: Call, event: Event) -> None:
    """The candidate failed in a way that says nothing of the callee: invite the next one.

    One that refuses SRTP which we only preferred is its own next one, with plain RTP.
    """
    assert call.setup is not None
    assert call.invite is not None
    why = failure_text(call, event)
    if isinstance(event, GaveUp):
        pass_over(call, event.ending.reason)
    plain = isinstance(event, ReplyReceived) and wants_plain(call, event.response.status)
    if isinstance(event, ReplyReceived) and not plain:
        learn_uuid(call, call.b, event.response)
        call.refused = hunting.best(call.refused, Refused(event.response, call.b))
    if plain:
        rules = replace(call.candidate.rules, srtp="off")
        again = replace(call.candidate, rules=rules)
        following = call.position + 1
        call.candidates = (*call.candidates[:following], again, *call.candidates[following:])
    call.position += 1
    candidate = call.candidate
    place = candidate.peer or candidate.request_uri
    call.note("decision", f"{why}; trying {place}{' with plain RTP' if plain else ''}", B)
    call.b = callee_leg(call.context, candidate)
    call.setup = None
    _offer_and_invite(call, call.asked or call.invite)


def wants_plain(call: Call, status: int) -> bool:
    """Whether a refusal may be of SRTP that we only preferred: 488 or 606, and no answer yet."""
    negotiation = call.b.negotiation
    offer = negotiation.pending_offer
    if status not in _NOT_ACCEPTABLE or call.candidate.rules.srtp != "prefer" or offer is None:
        return False
    if negotiation.state is not NegotiationState.OFFER_SENT:
        return False
    return any("SAVP" in media.protocol for media in offer.media)


def callee_leg(context: Context, candidate: Candidate) -> Leg:
    """A fresh B leg toward a candidate, with a tag of its own."""
    listener = context.listener(candidate.flow)
    return Leg(
        side=B,
        flow=candidate.flow,
        peer=candidate.peer,
        our_host=candidate.our_host,
        their_host=candidate.their_host,
        contact=contact_of(
            listener,
            candidate.contact_user,
            scheme=candidate.request_uri.partition(":")[0],
        ),
        sent_by=sent_by(listener),
        rules=candidate.rules,
        uuid=NIL_UUID,
        local_tag=context.ids.token(),
        call_id=context.ids.token() + context.ids.token(),
        trusted=candidate.trusted,
    )


def relay_progress(call: Call, event: Event) -> None:
    """Tell A what B said before answering, with early media if B described some."""
    assert isinstance(event, ReplyReceived)
    response = event.response
    assert call.invite is not None
    learn_uuid(call, call.b, response)
    call.timers.pop(Timer.RING, None)
    sdp = None
    if call.setup is not None and call.setup.offers and has_sdp(response):
        try:
            negotiate.answer_received(call, B, response.body, early=True)
            sdp = negotiate.answer_to(call, A, early=True)
            negotiate.apply_plan(call)
        except Unacceptable as error:
            # The final answer decides; a broken early description only costs the early media.
            call.note("error", f"early media ignored: {error.text}", B)
    answer(call, call.a, call.invite_key, call.invite, response.status, source=response, sdp=sdp)


def cancel_setup(call: Call, event: Event) -> State | None:
    """A cancelled: 200 to the CANCEL, 487 to the INVITE, CANCEL to B."""
    assert isinstance(event, CancelReceived)
    answer(call, call.a, event.key, event.request, 200)
    text = "the caller gave up before the answer"
    cause = q850_said(event.request.headers.all("reason")) or NORMAL_CLEARING
    ending = Ending(487, cause, EndedBy.CALLER, text)
    return _stop_setup(call, ending, reason_given(call.a, event.request))


def hang_up_early(call: Call, event: Event) -> State | None:
    """A BYE before the answer: from A it means CANCEL (RFC 3261 §15).

    B may only send one after its 2xx, which then is still on its way: it will be ended too.
    """
    assert isinstance(event, RequestReceived)
    leg = call.leg(event.side)
    answer(call, leg, event.key, event.request, 200)
    status = 487 if event.side is A else 480
    word = WORD[event.side]
    cause = q850_said(event.request.headers.all("reason")) or q850_of(status)
    ending = Ending(status, cause, word, f"the {word} hung up before the answer")
    return _stop_setup(call, ending, reason_given(leg, event.request))


def abort_setup(call: Call, event: Event) -> State | None:
    """We end the setup: final response to A with our reason, CANCEL to B."""
    if isinstance(event, MediaRefused):
        if call.setup is not None and not call.setup.provisional:
            # The INVITE was to leave after the plan: it never did.
            call.setup = None
        said = "no media can be relayed now"
        text = f"the media relay refused the call: {event.reason}"
        return _stop_setup(call, Ending(503, NO_CIRCUIT, EndedBy.INTERNAL, text, said))
    assert isinstance(event, GaveUp)
    return _stop_setup(call, event.ending)


def cancel_b(call: Call, event: Event) -> None:
    """A provisional response allows the CANCEL that waited for it (RFC 3261 §9.1)."""
    del event
    if call.setup is not None:
        cancel(call, call.setup)


def _offer_and_invite(call: Call, invite: Request) -> None:
    try:
        if call.position == 0 and invite.body:
            negotiate.offer_received(call, A, invite.body)
        sdp = None
        if invite.body:
            sdp = negotiate.offer_to(call, B)
        else:
            negotiate.expect_late_offer(call)
        negotiate.apply_plan(call)
        _invite_candidate(call, invite, sdp)
    except PortsExhausted as error:
        said = "no media port is free"
        ending = Ending(503, NO_CIRCUIT, EndedBy.POLICY, str(error), said)
        refuse(call, ending, (("Retry-After", "5"),))
    except Unacceptable as error:
        refuse(call, policy_ending(error.status, error.text))
    except ParseError as error:
        refuse(call, policy_ending(400, error.reason))


def _invite_candidate(call: Call, invite: Request, sdp: bytes | None) -> None:
    leg, candidate = call.b, call.candidate
    if candidate.note:
        call.note("decision", candidate.note, B)
    ref = branch(call)
    headers = Headers()
    headers.append("Via", via(leg, ref))
    headers.append("Max-Forwards", str(call.max_forwards))
    way = passage(call, call.a, leg)
    caller = caller_shown(invite, way, leg.local_tag)
    if caller.why:
        call.note("decision", caller.why, B)
    headers.append("From", caller.value)
    headers.append("To", callee_shown(invite, way, leg.their_host, candidate.request_uri))
    headers.append("Call-ID", leg.call_id)
    headers.append("CSeq", "1 INVITE")
    for route in candidate.routes:
        headers.append("Route", route)
    request = Request("INVITE", candidate.request_uri, headers)
    dress(call, leg, request, invite, sdp)
    call.setup = Exchange(
        ref=ref,
        method="INVITE",
        to=B,
        cseq=1,
        key=call.invite_key,
        offers=sdp is not None,
        late=sdp is None,
        sent=request,
    )
    hunting.start_timers(call)
    call.out.append(SendRequest(ref, leg.flow, request, B.value))


def _stop_setup(call: Call, ending: Ending, reason: str | None = None) -> State | None:
    final_to_caller(call, ending)
    release_media(call)
    stop_timers(call)
    if call.setup is None:
        return finish(call)
    call.timers[Timer.CANCEL] = call.now + 64 * T1
    cancel(call, call.setup, reason)
    return None
