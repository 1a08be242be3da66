"""Inside an answered call: what a leg answers to a request of the other leg.

Spec: RFC 3261 §12.2.1.2, §14.1; RFC 3311; RFC 6141; RFC 5407 (races).
"""

from media.errors import PortsExhausted
from media.types import SideName
from sbc.b2bua import negotiate
from sbc.b2bua.answering import wait_for_ack
from sbc.b2bua.call import Call, Timer
from sbc.b2bua.causes import RECOVERY_ON_TIMER_EXPIRY, TEMPORARY_FAILURE, Ending
from sbc.b2bua.credentials import refused_text
from sbc.b2bua.ending import (
    ACK_TIMER,
    bye_both,
    cancel,
    offering_exchange,
    settled,
)
from sbc.b2bua.events import AckReceived, Event, GaveUp, ReplyReceived, RequestFailed
from sbc.b2bua.leg import Exchange, Leg
from sbc.b2bua.messages import CONTACT_METHODS, acknowledge, answer, has_sdp, learn_uuid, warning
from sbc.b2bua.negotiate import Unacceptable
from sbc.b2bua.table import State
from sbc.sip.errors import ParseError
from sbc.sip.message import Request, Response
from sbc.sip.user import SendAck
from sbc.state.cdr import EndedBy

DIALOG_ENDING_STATUSES = frozenset({408, 481})
"""A final response that says the dialog is gone (RFC 3261 §12.2.1.2); all others leave it."""


def relay_reply(call: Call, event: Event) -> State | None:
    """The other leg answered what it was asked: tell the leg that asked."""
    if isinstance(event, RequestFailed):
        return _unanswered(call, event)
    assert isinstance(event, ReplyReceived)
    exchange = call.exchanges[event.ref]
    response = event.response
    if response.status < 200:
        exchange.provisional = True
        if exchange.cancel_wanted:
            cancel(call, exchange)
        return None
    _finalise(call, exchange)
    target = call.leg(exchange.to)
    learn_uuid(call, target, response)
    if response.status < 300:
        return _succeeded(call, exchange, target, response)
    del call.exchanges[event.ref]
    _roll_back(call, exchange)
    if exchange.request is not None:
        asker = call.other(exchange.to)
        status = _status_told(call, target, response)
        source = response if status == response.status else None
        answer(call, asker, exchange.key, exchange.request, status, source=source)
    if response.status in DIALOG_ENDING_STATUSES:
        text = f"the {target.side.value} leg answered {exchange.method} with {response.status}"
        return _lost(call, text)
    return None


def _status_told(call: Call, target: Leg, response: Response) -> int:
    """The status that the asking leg is told for a final failure of the other."""
    refused = refused_text(call, target, response)
    if refused:
        call.note("error", refused, target.side)
        return 500
    return 480 if response.status < 400 else response.status


def acknowledge_stray(call: Call, event: Event) -> State | None:
    """While the call ends: a 2xx to a re-INVITE needs its ACK; the last reply ends the waiting."""
    if isinstance(event, RequestFailed):
        call.exchanges.pop(event.ref, None)
        return settled(call)
    assert isinstance(event, ReplyReceived)
    exchange = call.exchanges[event.ref]
    status = event.response.status
    if status < 200:
        return None
    exchange.final = True
    if exchange.method == "INVITE" and status < 300:
        target = call.leg(exchange.to)
        if not _repeat_ack(call, exchange, target):
            acknowledge(call, target, exchange.cseq)
    else:
        del call.exchanges[event.ref]
    return settled(call)


def confirm(call: Call, event: AckReceived) -> None:
    """An ACK for a 2xx of ours: stop repeating it, and pass on the answer it may carry."""
    side = event.side
    wait = call.ack_waits.get(side)
    if wait is None or event.request.cseq.number != wait.cseq:
        return
    del call.ack_waits[side]
    call.timers.pop(ACK_TIMER[side], None)
    if call.state is State.ANSWERED:
        call.journal.pack()
    if wait.late_ref:
        _deliver_late_answer(call, side, wait.late_ref, event.request)


def _succeeded(call: Call, exchange: Exchange, target: Leg, response: Response) -> State | None:
    if exchange.method != "INVITE":
        del call.exchanges[exchange.ref]
    if exchange.request is None:
        # A repeated 2xx, or one whose asker is gone: only the ACK is owed.
        _repeat_ack(call, exchange, target)
        return None
    asker, request = call.other(exchange.to), exchange.request
    if exchange.method in CONTACT_METHODS:
        _refresh_target(call, asker, request)
        _refresh_target(call, target, response)
    try:
        sdp = _forward_answer(call, exchange, asker, target, response)
    except (Unacceptable, PortsExhausted) as error:
        return _unusable(call, exchange, asker, target, str(error))
    if exchange.method != "INVITE":
        if exchange.offers:
            negotiate.settle(call)
        answer(call, asker, exchange.key, request, response.status, source=response, sdp=sdp)
        return None
    if not exchange.late:
        acknowledge(call, target, exchange.cseq)
    negotiate.settle(call)
    wait_for_ack(call, asker, exchange.key, request, response, sdp, exchange)
    exchange.request = None
    exchange.sent = None
    _retire_invites(call, exchange)
    return None


def _unusable(call: Call, exchange: Exchange, asker: Leg, target: Leg, why: str) -> State | None:
    """A leg accepted an offer with what is no answer: the legs no longer agree, so both end."""
    said = f"the answer to a {exchange.method} cannot be used"
    _roll_back(call, exchange)
    assert exchange.request is not None
    answer(call, asker, exchange.key, exchange.request, 488, extra=(warning(asker, said),))
    exchange.request = None
    if exchange.method == "INVITE":
        acknowledge(call, target, exchange.cseq)
    ending = Ending(488, TEMPORARY_FAILURE, EndedBy.MEDIA, f"{said}: {why}", said)
    return bye_both(call, GaveUp(ending)) or State.ENDING


def _forward_answer(
    call: Call, exchange: Exchange, asker: Leg, target: Leg, response: Response
) -> bytes | None:
    if exchange.late:
        if not has_sdp(response):
            raise Unacceptable(488, "neither the INVITE nor its 2xx carries an offer")
        negotiate.offer_received(call, target.side, response.body)
        return negotiate.offer_to(call, asker.side)
    if not exchange.offers:
        return None
    if not has_sdp(response):
        raise Unacceptable(488, "the 2xx carries no answer")
    negotiate.answer_received(call, target.side, response.body)
    return negotiate.answer_to(call, asker.side)


def _retire_invites(call: Call, current: Exchange) -> None:
    """Older finished re-INVITEs need no memory: their 2xx are no longer repeated."""
    for ref, exchange in list(call.exchanges.items()):
        if exchange.method == "INVITE" and exchange.final and exchange is not current:
            del call.exchanges[ref]


def _repeat_ack(call: Call, exchange: Exchange, target: Leg) -> bool:
    """Repeat the ACK of a repeated 2xx; False when there is none yet."""
    ack = call.acks.get(target.side)
    if exchange.method != "INVITE" or ack is None or ack.cseq.number != exchange.cseq:
        return False
    call.out.append(SendAck(target.flow, ack, target.side.value))
    return True


def _deliver_late_answer(call: Call, side: SideName, ref: str, ack: Request) -> None:
    """The ACK of a late offer carries the answer: the other leg's ACK takes it along."""
    offerer = call.other(side)
    exchange = offering_exchange(call, ref)
    if exchange is None:
        return
    try:
        sdp = _late_answer(call, side, ack)
    except Unacceptable as error:
        acknowledge(call, offerer, exchange.cseq)
        said = "the answer in an ACK cannot be used"
        ending = Ending(488, TEMPORARY_FAILURE, EndedBy.MEDIA, f"{said}: {error.text}", said)
        call.state = bye_both(call, GaveUp(ending)) or State.ENDING
        return
    acknowledge(call, offerer, exchange.cseq, sdp)
    negotiate.settle(call)


def _late_answer(call: Call, side: SideName, ack: Request) -> bytes:
    if not has_sdp(ack):
        raise Unacceptable(488, "the ACK to a 2xx with an offer carries no answer")
    negotiate.answer_received(call, side, ack.body)
    return negotiate.answer_to(call, call.other(side).side)


def _unanswered(call: Call, event: RequestFailed) -> State | None:
    """No final response came: silence ends the dialog, a lost way does not (RFC 3261 §8.1.3.1)."""
    exchange = call.exchanges.pop(event.ref)
    _finalise(call, exchange)
    _roll_back(call, exchange)
    timeout = event.why == "timeout"
    if exchange.request is not None:
        status = 408 if timeout else 503
        answer(call, call.other(exchange.to), exchange.key, exchange.request, status)
    if timeout:
        return _lost(call, f"the {exchange.to.value} leg did not answer {exchange.method}")
    why = f": {event.detail}" if event.detail else ""
    call.note("error", f"{exchange.method} could not be sent{why}", exchange.to)
    return None


def _lost(call: Call, text: str) -> State | None:
    """A leg's dialog is gone (RFC 3261 §12.2.1.2): the call is over on both."""
    ending = Ending(408, RECOVERY_ON_TIMER_EXPIRY, EndedBy.TIMEOUT, text)
    return bye_both(call, GaveUp(ending)) or State.ENDING


def _finalise(call: Call, exchange: Exchange) -> None:
    if exchange.method == "INVITE" and not exchange.final:
        call.timers.pop(Timer.REINVITE, None)
    exchange.final = True


def _roll_back(call: Call, exchange: Exchange) -> None:
    """A refused offer leaves everything as it was (RFC 3261 §14.1)."""
    if exchange.offers or exchange.late:
        negotiate.roll_back(call)


def _refresh_target(call: Call, leg: Leg, message: Request | Response) -> None:
    """Take the peer's new Contact of an accepted refresh (RFC 3261 §12.2.1.2, RFC 6141 §4)."""
    assert leg.dialog is not None
    try:
        leg.dialog.refresh_target(message)
    except ParseError as error:
        call.note("error", f"Contact cannot be read, the target stays: {error.reason}", leg.side)
