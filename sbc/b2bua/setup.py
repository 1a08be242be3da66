"""Setting a call up: from the caller's INVITE to its answer, or to its failure.

Spec: RFC 3261 §13, §9 (CANCEL), §16.7 (which failures hunt), RFC 3960 (early media).
"""

from media.errors import PortsExhausted
from sbc.b2bua import negotiate
from sbc.b2bua.call import A, B, Call, Candidate, Timer
from sbc.b2bua.causes import NO_CIRCUIT, NORMAL_CLEARING, TEMPORARY_FAILURE, Ending, q850_of
from sbc.b2bua.commands import Answered
from sbc.b2bua.context import Context
from sbc.b2bua.ending import cancel, finish, hang_up, release_media
from sbc.b2bua.events import (
    CancelReceived,
    Event,
    GaveUp,
    MediaRefused,
    ReplyReceived,
    RequestFailed,
    RequestReceived,
)
from sbc.b2bua.leg import AckWait, Exchange, Leg, LegState
from sbc.b2bua.messages import acknowledge, answer, branch, dress, has_sdp, learn_uuid
from sbc.b2bua.negotiate import Unacceptable
from sbc.b2bua.table import State
from sbc.policy.topology import NIL_UUID, identity, unsupported_requirements
from sbc.routing.facing import bracketed, contact_of, sent_by
from sbc.sip.dialog import Dialog
from sbc.sip.errors import ParseError
from sbc.sip.headers import Headers
from sbc.sip.message import Request, Response
from sbc.sip.timers import T1
from sbc.sip.user import Abandon, SendAck, SendRequest

HUNTING_STATUSES = frozenset({408, 430, 500, 502, 503, 504})
"""Failures that say something of the next hop, not of the callee: the next candidate is tried."""

_NO_DIALOG = 481


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
        refuse(call, _ending(420, text), (("Unsupported", ", ".join(unmet)),))
    elif invite.body and not has_sdp(invite):
        text = f"the INVITE's body is {invite.content_type}, not application/sdp"
        refuse(call, _ending(415, text), (("Accept", "application/sdp"),))
    else:
        _offer_and_invite(call, invite)


def try_next(call: Call, event: Event) -> None:
    """The candidate failed in a way that says nothing of the callee: invite the next one."""
    assert call.setup is not None
    assert call.invite is not None
    why = _failure_text(call, event)
    call.position += 1
    candidate = call.candidate
    call.note("decision", f"{why}; trying {candidate.peer or candidate.request_uri}", B)
    call.b = callee_leg(call.context, candidate)
    _offer_and_invite(call, call.invite)


def callee_leg(context: Context, candidate: Candidate) -> Leg:
    """A fresh B leg toward a candidate, with a tag of its own."""
    listener = context.listener(candidate.flow)
    return Leg(
        side=B,
        flow=candidate.flow,
        peer=candidate.peer,
        our_host=candidate.our_host,
        their_host=candidate.their_host,
        contact=contact_of(listener),
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
    learn_uuid(call.b, response)
    call.timers.pop(Timer.RING, None)
    sdp = None
    if has_sdp(response) and call.setup is not None and call.setup.offers:
        try:
            negotiate.answer_received(call, B, response.body, early=True)
            sdp = negotiate.answer_to(call, A, early=True)
            negotiate.apply_plan(call)
        except Unacceptable as error:
            # The final answer decides; a broken early description only costs the early media.
            call.note("error", f"early media ignored: {error.text}", B)
    answer(call, call.a, call.invite_key, call.invite, response.status, response.reason,
           source=response, sdp=sdp)  # fmt: skip


def relay_answer(call: Call, event: Event) -> State | None:
    """B answered: acknowledge it, let media flow, and tell A until it acknowledges."""
    assert isinstance(event, ReplyReceived)
    response, setup, invite = event.response, call.setup, call.invite
    assert setup is not None
    assert setup.sent is not None
    assert invite is not None
    call.timers.pop(Timer.RING, None)
    call.timers.pop(Timer.NO_ANSWER, None)
    learn_uuid(call.b, response)
    try:
        call.b.dialog = Dialog.from_response(setup.sent, response, call.b.flow)
        sdp = _answer_sdp(call, response, setup)
        call.a.dialog = Dialog.from_request(invite, call.a.flow, call.a.local_tag)
    except (Unacceptable, ParseError) as error:
        return _answer_unusable(call, error)
    if not setup.late:
        acknowledge(call, call.b, setup.cseq)
    call.answered_at = call.now
    negotiate.apply_plan(call)
    wait_for_ack(call, call.a, call.invite_key, invite, response, sdp, setup)
    call.invite = None
    setup.sent = None
    call.timers[Timer.MAX_DURATION] = call.now + call.context.settings.timers.max_duration_s
    call.out.append(Answered())
    return None


def wait_for_ack(
    call: Call,
    leg: Leg,
    key: str,
    request: Request,
    source: Response,
    sdp: bytes | None,
    exchange: Exchange,
) -> None:
    """Send a 2xx to an INVITE of `leg` and repeat it until the ACK (RFC 3261 §13.3.1.4)."""
    response = answer(call, leg, key, request, source.status, source.reason, source=source, sdp=sdp)
    call.ack_waits[leg.side] = AckWait(
        key=key,
        response=response,
        cseq=request.cseq.number,
        next_at=call.now + T1,
        interval_s=T1,
        give_up_at=call.now + 64 * T1,
        late_ref=exchange.ref if exchange.late else "",
    )
    call.timers[Timer.ACK_A if leg.side is A else Timer.ACK_B] = call.now + T1


def relay_refusal(call: Call, event: Event) -> None:
    """Nobody is left to try: A gets B's final response, mapped."""
    if isinstance(event, ReplyReceived):
        response = event.response
        status, text = _mapped(response)
        ending = Ending(status, q850_of(status), "callee", text)
        _final_to_caller(call, ending, response if status == response.status else None)
    else:
        _final_to_caller(call, _failure_ending(event))
    finish(call)


def refuse(call: Call, ending: Ending, extra: tuple[tuple[str, str], ...] = ()) -> None:
    """Refuse the call before B was asked, or after B turned out to be unusable."""
    _final_to_caller(call, ending, None, extra)
    call.state = State.ENDED
    finish(call)


def cancel_setup(call: Call, event: Event) -> State | None:
    """A cancelled: 200 to the CANCEL, 487 to the INVITE, CANCEL to B."""
    assert isinstance(event, CancelReceived)
    answer(call, call.a, event.key, event.request, 200)
    text = "the caller gave up before the answer"
    return _stop_setup(call, Ending(487, NORMAL_CLEARING, "caller", text))


def hang_up_early(call: Call, event: Event) -> State | None:
    """A BYE in the early dialog means CANCEL (RFC 3261 §15); B may not send one."""
    assert isinstance(event, RequestReceived)
    if event.side is B:
        answer(call, call.b, event.key, event.request, _NO_DIALOG)
        return call.state
    answer(call, call.a, event.key, event.request, 200)
    text = "the caller hung up before the answer"
    return _stop_setup(call, Ending(487, NORMAL_CLEARING, "caller", text))


def abort_setup(call: Call, event: Event) -> State | None:
    """We end the setup: final response to A with our reason, CANCEL to B."""
    if isinstance(event, MediaRefused):
        text = f"the media relay refused the call: {event.reason}"
        return _stop_setup(call, Ending(503, NO_CIRCUIT, "internal", text))
    assert isinstance(event, GaveUp)
    return _stop_setup(call, event.ending)


def cancel_b(call: Call, event: Event) -> None:
    """A provisional response allows the CANCEL that waited for it (RFC 3261 §9.1)."""
    del event
    if call.setup is not None:
        cancel(call, call.setup)


def drop_answer(call: Call, event: Event) -> None:
    """B answered although it was cancelled: its dialog exists, so acknowledge and end it."""
    assert isinstance(event, ReplyReceived)
    assert call.setup is not None
    assert call.setup.sent is not None
    call.timers.pop(Timer.CANCEL, None)
    try:
        call.b.dialog = Dialog.from_response(call.setup.sent, event.response, call.b.flow)
    except ParseError as error:
        call.note("error", f"2xx cannot be acknowledged: {error.reason}", B)
        call.b.state = LegState.DONE
        return
    acknowledge(call, call.b, call.setup.cseq)
    hang_up(call, call.b)


def acknowledge_again(call: Call, event: Event) -> None:
    """A repeated 2xx gets the same ACK; one from another fork is acknowledged and ended."""
    assert isinstance(event, ReplyReceived)
    dialog = call.b.dialog
    setup = call.setup
    if dialog is None or setup is None:
        return
    if event.response.to_tag == dialog.remote_tag:
        ack = call.acks.get(B)
        if ack is not None:
            call.out.append(SendAck(call.b.flow, ack, B.value))
        return
    fork = Dialog(
        call_id=dialog.call_id,
        local_tag=dialog.local_tag,
        remote_tag=event.response.to_tag or "",
        local_uri=dialog.local_uri,
        remote_uri=dialog.remote_uri,
        remote_target=dialog.remote_target,
        route_set=[],
        local_cseq=setup.cseq,
        remote_cseq=None,
        flow=dialog.flow,
        secure=dialog.secure,
        is_uac=True,
    )
    contact = event.response.contact
    if contact is not None:
        fork.remote_target = str(contact.uri)
    call.note("decision", "another fork answered too: acknowledged and ended", B)
    ack = fork.build_ack(setup.cseq, branch(call), call.b.sent_by, call.max_forwards)
    call.out.append(SendAck(call.b.flow, ack, B.value))
    ref = branch(call)
    bye = fork.build_request("BYE", ref, call.b.sent_by, call.max_forwards)
    call.out.append(SendRequest(ref, call.b.flow, bye, B.value))


def abandon(call: Call, event: Event) -> None:
    """B never answered the CANCEL: stop waiting."""
    del event
    if call.setup is not None:
        call.out.append(Abandon(call.setup.ref))
    finish(call)


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
        refuse(call, _ending(503, str(error), NO_CIRCUIT), (("Retry-After", "5"),))
    except Unacceptable as error:
        refuse(call, _ending(error.status, error.text))
    except ParseError as error:
        refuse(call, _ending(400, error.reason))


def _invite_candidate(call: Call, invite: Request, sdp: bytes | None) -> None:
    leg, candidate = call.b, call.candidate
    ref = branch(call)
    headers = Headers()
    headers.append("Via", f"SIP/2.0/{leg.flow.transport.upper()} {leg.sent_by};branch={ref};rport")
    headers.append("Max-Forwards", str(call.max_forwards))
    headers.append(
        "From", identity(invite.headers.first("from") or "", leg.our_host, leg.local_tag)
    )
    headers.append("To", identity(invite.headers.first("to") or "", leg.their_host, None))
    headers.append("Call-ID", leg.call_id)
    headers.append("CSeq", "1 INVITE")
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
    timers = call.context.settings.timers
    call.timers[Timer.RING] = call.now + timers.ring_s
    call.timers.setdefault(Timer.NO_ANSWER, call.now + timers.no_answer_s)
    call.out.append(SendRequest(ref, leg.flow, request, B.value))


def _answer_sdp(call: Call, response: Response, setup: Exchange) -> bytes | None:
    """What A's 2xx says of media, from what B's 2xx says."""
    if setup.late:
        if not has_sdp(response):
            raise Unacceptable(502, "the callee answered an INVITE without offer with none either")
        negotiate.offer_received(call, B, response.body)
        return negotiate.offer_to(call, A)
    if has_sdp(response):
        negotiate.answer_received(call, B, response.body)
    else:
        negotiate.answer_missing(call, B)
    return negotiate.answer_to(call, A)


def _answer_unusable(call: Call, error: Unacceptable | ParseError) -> State:
    """B's 2xx cannot be used: end B's dialog if there is one, and refuse A."""
    text = error.text if isinstance(error, Unacceptable) else error.reason
    _final_to_caller(call, _ending(502, f"the callee's answer cannot be used: {text}", by="callee"))
    release_media(call)
    if call.b.dialog is None:
        finish(call)
        return State.ENDED
    assert call.setup is not None
    acknowledge(call, call.b, call.setup.cseq)
    call.a.state = LegState.DONE
    hang_up(call, call.b)
    return State.ENDING


def _stop_setup(call: Call, ending: Ending) -> State | None:
    _final_to_caller(call, ending)
    release_media(call)
    call.timers.clear()
    if call.setup is None:
        finish(call)
        return State.ENDED
    call.timers[Timer.CANCEL] = call.now + 64 * T1
    cancel(call, call.setup)
    return None


def _final_to_caller(
    call: Call,
    ending: Ending,
    source: Response | None = None,
    extra: tuple[tuple[str, str], ...] = (),
) -> None:
    call.ends(ending)
    call.a.state = LegState.DONE
    invite = call.invite
    if invite is None:
        return
    if source is None:
        extra = (*extra, ("Reason", ending.reason))
        if ending.by == "policy":
            warning = ending.text.replace("\\", "").replace('"', "'")
            extra = (*extra, ("Warning", f'399 {call.a.sent_by} "{warning}"'))
    reason = source.reason if source is not None else None
    answer(call, call.a, call.invite_key, invite, ending.status, reason, source=source, extra=extra)
    call.invite = None


def _mapped(response: Response) -> tuple[int, str]:
    """A's status for B's final failure, and the sentence for it."""
    status = response.status
    if 300 <= status < 400:
        # Contact of a redirect names the far side, and following it is a decision of routing.
        return 480, f"the callee redirects ({status}), which this route does not follow"
    return status, f"the callee answered {status} {response.reason}"


def _failure_ending(event: Event) -> Ending:
    assert isinstance(event, RequestFailed)
    if event.why == "timeout":
        return Ending(504, q850_of(504), "timeout", "the next hop did not answer the INVITE")
    return Ending(503, TEMPORARY_FAILURE, "network", "the INVITE could not be sent to the next hop")


def _failure_text(call: Call, event: Event) -> str:
    place = call.candidate.peer or bracketed(call.candidate.flow.remote[0])
    if isinstance(event, ReplyReceived):
        return f"{place} answered {event.response.status} {event.response.reason}"
    assert isinstance(event, RequestFailed)
    return f"{place}: {event.why}"


def _ending(status: int, text: str, q850: int | None = None, by: str = "policy") -> Ending:
    return Ending(status, q850_of(status) if q850 is None else q850, by, text)
