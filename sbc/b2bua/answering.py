"""B's 2xx: the answer that makes the call, one that comes too late, and those of other forks.

Spec: RFC 3261 §13.2.2.4, §13.3.1.4, §15; RFC 6337 §3.1.1; RFC 7989 (Session-ID).
"""

from dataclasses import replace

from media.errors import PortsExhausted
from sbc.b2bua import negotiate
from sbc.b2bua.call import A, B, Call, Timer
from sbc.b2bua.causes import Ending, q850_of
from sbc.b2bua.commands import Answered
from sbc.b2bua.credentials import branch, build_ack
from sbc.b2bua.ending import ACK_TIMER, finish, hang_up, release_media, stop_timers
from sbc.b2bua.events import Event, ReplyReceived
from sbc.b2bua.leg import AckWait, Exchange, Fork, Leg, LegState
from sbc.b2bua.messages import acknowledge, answer, dress, has_sdp, learn_uuid
from sbc.b2bua.negotiate import Unacceptable
from sbc.b2bua.refusing import final_to_caller
from sbc.b2bua.table import State
from sbc.sip.dialog import Dialog
from sbc.sip.errors import ParseError
from sbc.sip.message import Request, Response
from sbc.sip.timers import T1
from sbc.sip.user import SendAck, SendRequest
from sbc.state.cdr import EndedBy

MAX_FORKS = 8
"""Further 2xx from other forks that are acknowledged and ended; beyond that they are ignored."""


def relay_answer(call: Call, event: Event) -> State | None:
    """B answered: acknowledge it, let media flow, and tell A until it acknowledges."""
    assert isinstance(event, ReplyReceived)
    response, setup, invite = event.response, call.setup, call.invite
    assert setup is not None
    assert setup.sent is not None
    assert invite is not None
    call.timers.pop(Timer.RING, None)
    call.timers.pop(Timer.NO_ANSWER, None)
    learn_uuid(call, call.b, response)
    try:
        call.b.dialog = Dialog.from_response(setup.sent, response, call.b.flow)
        sdp = _answer_sdp(call, response, setup)
    except (Unacceptable, PortsExhausted, ParseError) as error:
        return _answer_unusable(call, error)
    if not setup.late:
        acknowledge(call, call.b, setup.cseq)
    call.answered_at = call.now
    negotiate.settle(call)
    wait_for_ack(call, call.a, call.invite_key, invite, response, sdp, setup)
    call.invite = call.asked = None
    setup.sent = None
    longest_s = call.context.settings.timers.max_duration_s
    if call.longest_s is not None:
        longest_s = min(longest_s, call.longest_s)
    call.timers[Timer.MAX_DURATION] = call.now + longest_s
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
    response = answer(call, leg, key, request, source.status, source=source, sdp=sdp)
    call.ack_waits[leg.side] = AckWait(
        key=key,
        response=response,
        cseq=request.cseq.number,
        next_at=call.now + T1,
        interval_s=T1,
        give_up_at=call.now + 64 * T1,
        late_ref=exchange.ref if exchange.late else "",
    )
    call.timers[ACK_TIMER[leg.side]] = call.now + T1


def drop_answer(call: Call, event: Event) -> State | None:
    """B answered although it was cancelled: its dialog exists, so acknowledge and end it."""
    assert isinstance(event, ReplyReceived)
    assert call.setup is not None
    assert call.setup.sent is not None
    call.timers.pop(Timer.CANCEL, None)
    try:
        call.b.dialog = Dialog.from_response(call.setup.sent, event.response, call.b.flow)
    except ParseError as error:
        call.note("error", f"2xx cannot be acknowledged: {error.reason}", B)
        return finish(call)
    learn_uuid(call, call.b, event.response)
    acknowledge(call, call.b, call.setup.cseq)
    hang_up(call, call.b)
    return None


def acknowledge_again(call: Call, event: Event) -> None:
    """A repeated 2xx gets the same ACK; one from another fork is acknowledged and ended."""
    assert isinstance(event, ReplyReceived)
    dialog, setup = call.b.dialog, call.setup
    if dialog is None or setup is None:
        return
    tag = event.response.to_tag or ""
    if tag != dialog.remote_tag:
        _end_fork(call, dialog, setup, tag, event.response)
        return
    ack = call.acks.get(B)
    if ack is not None and ack.cseq.number == setup.cseq:
        call.out.append(SendAck(call.b.flow, ack, B.value))


def _end_fork(call: Call, dialog: Dialog, setup: Exchange, tag: str, response: Response) -> None:
    for known in call.forks:
        if known.remote_tag == tag:
            call.out.append(SendAck(call.b.flow, known.ack, B.value))
            return
    if len(call.forks) >= MAX_FORKS:
        return
    fork = replace(dialog, remote_tag=tag, route_set=[], local_cseq=setup.cseq)
    try:
        fork.confirm(response)
    except ParseError as error:
        call.note("error", f"2xx of another fork cannot be acknowledged: {error.reason}", B)
        return
    call.note("decision", "another fork answered too: acknowledged and ended", B)
    ack = build_ack(call, call.b, fork, setup.cseq)
    call.forks.append(Fork(tag, ack))
    call.out.append(SendAck(call.b.flow, ack, B.value))
    ref = branch(call)
    bye = fork.build_request("BYE", ref, call.b.sent_by)
    call.out.append(SendRequest(ref, call.b.flow, dress(call, call.b, bye, None, None), B.value))


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


def _answer_unusable(call: Call, error: Unacceptable | PortsExhausted | ParseError) -> State:
    """B's 2xx cannot be used: end B's dialog if there is one, and refuse A."""
    said = "the callee's answer cannot be used"
    why = error.reason if isinstance(error, ParseError) else str(error)
    final_to_caller(call, Ending(502, q850_of(502), EndedBy.CALLEE, f"{said}: {why}", said))
    release_media(call)
    stop_timers(call)
    if call.b.dialog is None:
        return finish(call)
    assert call.setup is not None
    acknowledge(call, call.b, call.setup.cseq)
    call.a.state = LegState.DONE
    hang_up(call, call.b)
    return State.ENDING
