"""Passing a candidate over that shows no sign of ringing, and watching it until its end.

Its INVITE is cancelled, but it may answer before the CANCEL reaches it: then it has a dialog that
must be acknowledged and ended, whatever became of the call meanwhile.

Spec: RFC 3261 §9.1, §13.2.2.4, §15.
"""

from sbc.b2bua.call import B, Call, Timer
from sbc.b2bua.credentials import branch, build_ack
from sbc.b2bua.ending import send_cancel, watched
from sbc.b2bua.events import ReplyReceived, RequestFailed
from sbc.b2bua.leg import PassedOver
from sbc.b2bua.messages import dress
from sbc.sip.dialog import Dialog
from sbc.sip.errors import ParseError
from sbc.sip.message import Response
from sbc.sip.timers import T1
from sbc.sip.user import Abandon, SendAck, SendRequest


def pass_over(call: Call, reason: str) -> None:
    """Cancel the INVITE to the candidate being tried, and remember it."""
    assert call.setup is not None
    passed = PassedOver(call.b, call.setup)
    call.passed_over.append(passed)
    _cancel(call, passed, reason)


def reply_received(call: Call, event: ReplyReceived) -> None:
    """Take what a candidate that was passed over says; a reply to another request is nobody's."""
    response = event.response
    for passed in call.passed_over:
        if event.ref == passed.bye_ref and response.status >= 200:
            passed.done = True
        elif event.ref != passed.invite.ref:
            continue
        elif response.status < 200:
            passed.invite.provisional = True
            _cancel(call, passed)
        elif response.status < 300:
            _end(call, passed, response)
        else:
            _over(call, passed)


def request_failed(call: Call, event: RequestFailed) -> None:
    """The INVITE to such a candidate, or the BYE that followed, gets no final response."""
    for passed in call.passed_over:
        if event.ref in (passed.invite.ref, passed.bye_ref):
            _over(call, passed)


def give_up(call: Call) -> None:
    """Stop waiting for those that had 64*T1 since their CANCEL."""
    for passed in watched(call):
        if passed.give_up_at is not None and passed.give_up_at <= call.now:
            call.out.append(Abandon(passed.invite.ref))
            _over(call, passed)


def _cancel(call: Call, passed: PassedOver, reason: str | None = None) -> None:
    if send_cancel(call, passed.leg, passed.invite, reason):
        passed.give_up_at = call.now + 64 * T1
        _set_timer(call)


def _set_timer(call: Call) -> None:
    times = [passed.give_up_at for passed in watched(call) if passed.give_up_at is not None]
    call.timers.pop(Timer.PASSED_OVER, None)
    if times:
        call.timers[Timer.PASSED_OVER] = min(times)


def _end(call: Call, passed: PassedOver, response: Response) -> None:
    """It answered all the same: acknowledge that, each time it comes, and hang up."""
    leg, invite = passed.leg, passed.invite
    if passed.ack is not None:
        # Of several forks only the first is ended; the others give up without their ACK.
        if passed.ack.to_tag == response.to_tag:
            call.out.append(SendAck(leg.flow, passed.ack, B.value))
        return
    if passed.done:
        return
    assert invite.sent is not None
    try:
        dialog = Dialog.from_response(invite.sent, response, leg.flow)
    except ParseError as error:
        call.note("error", f"2xx cannot be acknowledged: {error.reason}", B)
        _over(call, passed)
        return
    call.note("decision", "a candidate that was passed over answered: acknowledged and ended", B)
    invite.final = True
    passed.give_up_at = None
    _set_timer(call)
    passed.ack = build_ack(call, leg, dialog, invite.cseq)
    call.out.append(SendAck(leg.flow, passed.ack, B.value))
    passed.bye_ref = branch(call)
    bye = dialog.build_request("BYE", passed.bye_ref, leg.sent_by)
    reason = invite.cancel_reason
    dress(call, leg, bye, None, None, () if reason is None else (("Reason", reason),))
    call.out.append(SendRequest(passed.bye_ref, leg.flow, bye, B.value))


def _over(call: Call, passed: PassedOver) -> None:
    """Nothing more is expected of it."""
    passed.invite.final = True
    passed.give_up_at = None
    passed.done = True
    _set_timer(call)
