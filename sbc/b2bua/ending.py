"""Ending a call: BYE in all its directions, CANCEL, and giving everything back.

Spec: RFC 3261 §15, §9.1, RFC 3326 (Reason), RFC 5407 §3.2 (crossing BYEs).
"""

from media.types import SideName
from sbc.b2bua import lines
from sbc.b2bua.call import A, B, Call, Timer
from sbc.b2bua.causes import NORMAL_CLEARING, Ending, q850_said
from sbc.b2bua.commands import ApplyMedia, Ended
from sbc.b2bua.credentials import kept
from sbc.b2bua.events import Event, GaveUp, RequestReceived
from sbc.b2bua.leg import Exchange, Leg, LegState, PassedOver
from sbc.b2bua.manipulating import leave
from sbc.b2bua.messages import acknowledge, answer, reason_given, request_in_dialog
from sbc.b2bua.table import State
from sbc.sip.dialog import MAX_FORWARDS
from sbc.sip.headers import Headers
from sbc.sip.message import Request, Response
from sbc.sip.timers import T1
from sbc.sip.user import Abandon, Respond, SendRequest
from sbc.state.cdr import EndedBy

WORD = {A: EndedBy.CALLER, B: EndedBy.CALLEE}
ACK_TIMER = {A: Timer.ACK_A, B: Timer.ACK_B}


def bye_received(call: Call, event: Event) -> State | None:
    """A leg hangs up: 200 to it, BYE to the other, media closed now."""
    assert isinstance(event, RequestReceived)
    leg, other = call.leg(event.side), call.other(event.side)
    word = WORD[event.side]
    cause = q850_said(event.request.headers.all("reason")) or NORMAL_CLEARING
    call.ends(Ending(200, cause, word, f"the {word} hung up"))
    answer(call, leg, event.key, event.request, 200)
    leg.state = LegState.DONE
    _close(call)
    hang_up(call, other, reason_given(leg, event.request))
    return settled(call)


def answer_bye(call: Call, event: Event) -> State | None:
    """A BYE that crosses ours, or comes after the end began: 200, and that leg is done."""
    assert isinstance(event, RequestReceived)
    leg = call.leg(event.side)
    answer(call, leg, event.key, event.request, 200)
    if call.state is not State.ENDING:
        return None
    leg.state = LegState.DONE
    return settled(call)


def bye_both(call: Call, event: Event) -> State | None:
    """We end the call: BYE with our reason to both legs."""
    assert isinstance(event, GaveUp)
    call.ends(event.ending)
    _close(call)
    for leg in (call.a, call.b):
        hang_up(call, leg, event.ending.reason)
    return settled(call)


def hang_up(call: Call, leg: Leg, reason: str | None = None) -> None:
    """Send BYE on a leg, or remember to when its ACK comes (RFC 3261 §15)."""
    if leg.state in (LegState.DONE, LegState.BYE_SENT):
        return
    if leg.dialog is None:
        leg.state = LegState.DONE
        return
    if leg.side in call.ack_waits:
        leg.state = LegState.BYE_DEFERRED
        return
    reason = reason or (call.ending.reason if call.ending is not None else None)
    extra = () if reason is None else (("Reason", reason),)
    ref, bye = request_in_dialog(call, leg, "BYE", None, None, extra)
    leg.state = LegState.BYE_SENT
    call.exchanges[ref] = Exchange(
        ref=ref, method="BYE", to=leg.side, cseq=leg.dialog.local_cseq, sent=kept(call, leg, bye)
    )
    call.out.append(SendRequest(ref, leg.flow, bye, leg.side.value))


def send_deferred_bye(call: Call, event: Event | None = None) -> State | None:
    """The ACK came, or will never come: the BYE that waited for it goes out."""
    del event
    for leg in (call.a, call.b):
        if leg.state is LegState.BYE_DEFERRED and leg.side not in call.ack_waits:
            leg.state = LegState.OPEN
            hang_up(call, leg)
    return settled(call)


def settled(call: Call) -> State | None:
    """ENDED, after finishing, when nothing is expected of either leg; None while something is."""
    return finish(call) if is_settled(call) else None


def is_settled(call: Call) -> bool:
    """Whether both legs are done, every INVITE of ours has its final response, ours to them theirs.

    Who says BYE before it saw our 2xx still waits for it, so that is repeated until its ACK.
    """
    if call.a.state is not LegState.DONE or call.b.state is not LegState.DONE:
        return False
    return not call.ack_waits and not open_invites(call) and not watched(call)


def watched(call: Call) -> list[PassedOver]:
    """The candidates that were passed over and still owe something."""
    return [passed for passed in call.passed_over if not passed.done]


def open_invites(call: Call) -> list[Exchange]:
    """Our INVITEs inside the dialogs that still wait for a final response."""
    exchanges = call.exchanges.values()
    return [
        exchange for exchange in exchanges if exchange.method == "INVITE" and not exchange.final
    ]


def finish(call: Call, event: Event | None = None) -> State:
    """Give everything back and ask for the CDR, unless a candidate that was passed over owes more.

    Then the call is ENDING until that is done.
    """
    del event
    call.a.state = call.b.state = LegState.DONE
    stop_timers(call)
    call.ack_waits.clear()
    release_media(call)
    if call.ended_at is None:
        call.ended_at = call.now
    if watched(call):
        return State.ENDING
    call.out.append(Ended())
    return State.ENDED


def stop_timers(call: Call) -> None:
    """Stop every timer of the two legs."""
    for timer in [timer for timer in call.timers if timer is not Timer.PASSED_OVER]:
        del call.timers[timer]


def abandon(call: Call, event: Event) -> State:
    """Whoever still owes something had long enough: stop waiting."""
    del event
    for passed in watched(call):
        passed.done = True
        call.out.append(Abandon(passed.bye_ref or passed.invite.ref))
    call.timers.pop(Timer.PASSED_OVER, None)
    if call.setup is not None and not call.setup.final:
        call.out.append(Abandon(call.setup.ref))
    for exchange in open_invites(call):
        call.out.append(Abandon(exchange.ref))
    for leg in (call.a, call.b):
        call.ack_waits.pop(leg.side, None)
        if leg.state is LegState.BYE_DEFERRED:
            leg.state = LegState.OPEN
            hang_up(call, leg)
    return finish(call)


def cancel(call: Call, exchange: Exchange, reason: str | None = None) -> None:
    """CANCEL an INVITE of ours, now or once a provisional response allows it (RFC 3261 §9.1).

    Args:
        reason: The Reason header of whoever gave up; a later one does not replace it.
    """
    if send_cancel(call, call.leg(exchange.to), exchange, reason):
        # 64*T1 from the CANCEL, not from when it was wanted (RFC 3261 §9.1).
        timer = Timer.CANCEL if exchange is call.setup else Timer.REINVITE
        call.timers[timer] = call.now + 64 * T1


def send_cancel(call: Call, leg: Leg, exchange: Exchange, reason: str | None) -> bool:
    """CANCEL an INVITE of ours to `leg`, see `cancel`; whether it leaves now."""
    exchange.cancel_wanted = True
    exchange.cancel_reason = exchange.cancel_reason or reason
    invite = exchange.sent
    if not exchange.provisional or exchange.cancel_sent or exchange.final or invite is None:
        return False
    exchange.cancel_sent = True
    source = invite.headers
    headers = Headers()
    headers.append("Via", source.first("via") or "")
    headers.append("Max-Forwards", str(MAX_FORWARDS))
    for name, key in _COPIED:
        value = source.first(key)
        if value is not None:
            headers.append(name, value)
    headers.append("CSeq", f"{exchange.cseq} CANCEL")
    for route in source.all("route"):
        headers.append("Route", route)
    reason = exchange.cancel_reason or (call.ending.reason if call.ending is not None else None)
    if reason is not None:
        headers.append("Reason", reason)
    request = Request("CANCEL", invite.uri_text, headers)
    leave(call, leg, request)
    call.out.append(SendRequest(exchange.ref, leg.flow, request, leg.side.value))
    return True


def withdraw_answer(call: Call) -> None:
    """The relay refused the plan that a 2xx announces, so that 2xx of this moment never left.

    The leg gets a failure in its place. If that 2xx was to answer the call, it was not answered.
    """
    for side, wait in list(call.ack_waits.items()):
        if wait.next_at != call.now + T1 or wait.interval_s != T1:
            continue
        forget_ack_wait(call, side)
        response = _failure_instead(wait.response)
        leave(call, call.leg(side), response)
        call.out.append(Respond(wait.key, response, side.value))
        if wait.key == call.invite_key:
            call.leg(side).state = LegState.DONE
            call.answered_at = None


def forget_ack_wait(call: Call, side: SideName) -> None:
    """Nothing is expected of an ACK any more: stop repeating our 2xx.

    If that ACK was to bring the answer to the other leg's offer, that leg is told without it.
    """
    wait = call.ack_waits.pop(side, None)
    call.timers.pop(ACK_TIMER[side], None)
    if wait is not None and wait.late_ref:
        _acknowledge_unanswered(call, call.other(side), wait.late_ref)


def offering_exchange(call: Call, ref: str) -> Exchange | None:
    """The INVITE of ours whose 2xx brought an offer."""
    if call.setup is not None and call.setup.ref == ref:
        return call.setup
    return call.exchanges.get(ref)


def release_media(call: Call) -> None:
    """Close what the relay has open for the call and give its ports back."""
    if call.plan is not None:
        call.plan = None
        call.out.append(ApplyMedia(None))
    lines.release_all(call)


_COPIED = (
    ("From", "from"),
    ("To", "to"),
    ("Call-ID", "call-id"),
    ("Session-ID", "session-id"),
)
"""What a CANCEL has as its INVITE had it."""


def _close(call: Call) -> None:
    """What every end of an answered call does at once."""
    call.ended_at = call.now
    call.timers.pop(Timer.MAX_DURATION, None)
    call.timers.pop(Timer.REINVITE, None)
    release_media(call)
    _answer_pending(call)
    for side, wait in call.ack_waits.items():
        if wait.late_ref:
            _acknowledge_unanswered(call, call.other(side), wait.late_ref)
            wait.late_ref = ""
    if open_invites(call):
        call.timers[Timer.LINGER] = call.now + 64 * T1


def _answer_pending(call: Call) -> None:
    """A leg's request that the other leg will never answer now: 487 (RFC 3261 §15.1.2)."""
    for exchange in call.exchanges.values():
        if exchange.key and exchange.request is not None:
            asker = call.other(exchange.to)
            answer(call, asker, exchange.key, exchange.request, 487)
            exchange.key = ""
            exchange.request = None


def _acknowledge_unanswered(call: Call, offerer: Leg, ref: str) -> None:
    """A leg's 2xx brought an offer that nobody will answer: it still gets its ACK."""
    exchange = offering_exchange(call, ref)
    if exchange is not None:
        acknowledge(call, offerer, exchange.cseq)


def _failure_instead(response: Response) -> Response:
    """A 503 for a transaction whose 2xx is not sent after all."""
    kept = ("via", "from", "to", "call-id", "cseq", "session-id", "server")
    headers = Headers((n, v) for n, v in response.headers.items() if n.lower() in kept)
    return Response(503, "Service Unavailable", headers)
