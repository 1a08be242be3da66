"""Inside an answered call: requests that one leg sends and the other must hear.

re-INVITE and UPDATE carry offers and answers, so their SDP is made anew; everything else that
the call does not own passes as it is.

Spec: RFC 3261 §12.2, §14; RFC 3311; RFC 6141; RFC 5407 (races).
"""

from media.errors import PortsExhausted
from media.types import SideName
from sbc.b2bua import negotiate
from sbc.b2bua.call import A, Call, Timer
from sbc.b2bua.causes import RECOVERY_ON_TIMER_EXPIRY, TEMPORARY_FAILURE, Ending
from sbc.b2bua.ending import bye_both, cancel
from sbc.b2bua.events import (
    AckReceived,
    CancelReceived,
    Event,
    GaveUp,
    ReplyReceived,
    RequestFailed,
    RequestReceived,
)
from sbc.b2bua.leg import Exchange, Leg
from sbc.b2bua.messages import (
    ALLOW,
    acknowledge,
    answer,
    has_sdp,
    learn_uuid,
    request_in_dialog,
)
from sbc.b2bua.negotiate import Unacceptable
from sbc.b2bua.setup import wait_for_ack
from sbc.b2bua.table import State
from sbc.sip.errors import ParseError
from sbc.sip.message import Request, Response
from sbc.sip.user import SendAck, SendRequest

DIALOG_ENDING_STATUSES = frozenset({408, 481})
"""A final response that says the dialog is gone (RFC 3261 §12.2.1.2); all others leave it."""

_REFUSED = {
    "REFER": (603, "transfers are not enabled on this border"),
    "SUBSCRIBE": (489, "no event package is served inside a call"),
    "PRACK": (481, "no reliable provisional response was sent"),
}

_MAX_EXCHANGES = 16
"""Requests under way in one call, above which further ones get 500: a bound, not a guess at use."""


def relay_request(call: Call, event: Event) -> State | None:
    """Pass a leg's request to the other leg, or say at once why not."""
    assert isinstance(event, RequestReceived)
    request = event.request
    leg, other = call.leg(event.side), call.other(event.side)
    refused = _refusal(call, leg, other, request)
    if refused is not None:
        status, text, extra = refused
        call.note("decision", f"{request.method} refused with {status}: {text}", leg.side)
        answer(call, leg, event.key, request, status, extra=extra)
        return None
    learn_uuid(leg, request)
    try:
        sdp = _forward_offer(call, leg, other, request)
    except (Unacceptable, PortsExhausted, ParseError) as error:
        status, text = _verdict(error)
        call.note("decision", f"{request.method} refused with {status}: {text}", leg.side)
        answer(call, leg, event.key, request, status, extra=(_warning(leg, text),))
        return None
    if request.method == "INVITE":
        answer(call, leg, event.key, request, 100)
    _refresh_target(leg, request)
    ref, forwarded = request_in_dialog(call, other, request.method, request, sdp)
    assert other.dialog is not None
    invite = request.method == "INVITE"
    call.exchanges[ref] = Exchange(
        ref=ref,
        method=request.method,
        to=other.side,
        cseq=other.dialog.local_cseq,
        key=event.key,
        request=request,
        offers=sdp is not None,
        late=invite and sdp is None,
        sent=forwarded if invite else None,
    )
    call.out.append(SendRequest(ref, other.flow, forwarded, other.side.value))
    return None


def refuse_request(call: Call, event: Event) -> None:
    """Before the answer the caller's dialog takes no new offer; after the end there is none."""
    assert isinstance(event, RequestReceived)
    leg = call.leg(event.side)
    early = call.state in (State.CALLING, State.RINGING)
    if early and event.side is A and event.request.method == "INVITE":
        # RFC 3261 §14.2: a second INVITE before the first has its final response.
        answer(call, leg, event.key, event.request, 500, extra=(("Retry-After", "2"),))
    elif early and event.request.method == "UPDATE":
        answer(call, leg, event.key, event.request, 491)
    elif early and event.request.method == "OPTIONS":
        answer(call, leg, event.key, event.request, 200, extra=(("Allow", ALLOW),))
    else:
        answer(call, leg, event.key, event.request, 481)


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
    target = call.leg(exchange.to)
    learn_uuid(target, response)
    if response.status < 300:
        return _succeeded(call, exchange, target, response)
    del call.exchanges[event.ref]
    _roll_back(call, exchange)
    if exchange.request is not None:
        asker = call.other(exchange.to)
        status = 480 if response.status < 400 else response.status
        source = response if status == response.status else None
        answer(call, asker, exchange.key, exchange.request, status, source=source)
    if response.status in DIALOG_ENDING_STATUSES:
        text = f"the {target.side.value} leg answered {exchange.method} with {response.status}"
        return _lost(call, text)
    return None


def confirm(call: Call, event: Event) -> None:
    """An ACK for a 2xx of ours: stop repeating it, and pass on the answer it may carry."""
    assert isinstance(event, AckReceived)
    side = event.side
    wait = call.ack_waits.get(side)
    if wait is None or event.request.cseq.number != wait.cseq:
        return
    del call.ack_waits[side]
    call.timers.pop(Timer.ACK_A if side is A else Timer.ACK_B, None)
    if call.state is State.ANSWERED:
        call.journal.pack()
    if wait.late_ref:
        _deliver_late_answer(call, side, wait.late_ref, event.request)


def cancel_exchange(call: Call, event: Event) -> None:
    """A CANCEL for a re-INVITE: passed on; the other leg's final response decides."""
    assert isinstance(event, CancelReceived)
    answer(call, call.leg(event.side), event.key, event.request, 200)
    for exchange in call.exchanges.values():
        if exchange.key == event.invite_key:
            cancel(call, exchange)


def acknowledge_stray(call: Call, event: Event) -> None:
    """A 2xx to a re-INVITE that came when the call was ending still needs its ACK."""
    if isinstance(event, RequestFailed):
        call.exchanges.pop(event.ref, None)
        return
    assert isinstance(event, ReplyReceived)
    exchange = call.exchanges[event.ref]
    if event.response.status < 200:
        return
    if exchange.method == "INVITE" and event.response.status < 300:
        acknowledge(call, call.leg(exchange.to), exchange.cseq)
        return
    del call.exchanges[event.ref]


def _refusal(
    call: Call, leg: Leg, other: Leg, request: Request
) -> tuple[int, str, tuple[tuple[str, str], ...]] | None:
    """Why a request is not passed on, if so: status, sentence, extra headers."""
    refused = _REFUSED.get(request.method)
    if refused is not None:
        return (*refused, ())
    if leg.dialog is None or other.dialog is None:
        return (481, "the call is not established on both legs", ())
    number = request.cseq.number
    if not leg.dialog.accepts_cseq(number):
        return (500, f"CSeq {number} is not above the last one", ())
    if len(call.exchanges) >= _MAX_EXCHANGES:
        return (500, "too many requests under way in this call", (("Retry-After", "2"),))
    if request.method in ("INVITE", "UPDATE") and _negotiating(call):
        # RFC 3261 §14.2, RFC 3311 §5.2: one offer at a time across both legs.
        return (491, "another offer is under way in this call", ())
    return None


def _negotiating(call: Call) -> bool:
    if call.ack_waits:
        return True
    return any(
        exchange.request is not None and exchange.method in ("INVITE", "UPDATE")
        for exchange in call.exchanges.values()
    )


def _forward_offer(call: Call, leg: Leg, other: Leg, request: Request) -> bytes | None:
    if request.method not in ("INVITE", "UPDATE") or not request.body:
        return None
    if not has_sdp(request):
        raise Unacceptable(415, f"the body is {request.content_type}, not application/sdp")
    negotiate.offer_received(call, leg.side, request.body)
    return negotiate.offer_to(call, other.side)


def _succeeded(call: Call, exchange: Exchange, target: Leg, response: Response) -> State | None:
    if exchange.method != "INVITE":
        del call.exchanges[exchange.ref]
    if exchange.method in ("INVITE", "UPDATE"):
        _refresh_target(target, response)
    if exchange.request is None:
        # A repeated 2xx, or one whose asker is gone: only the ACK is owed.
        _repeat_ack(call, exchange, target)
        return None
    asker = call.other(exchange.to)
    request = exchange.request
    try:
        sdp = _forward_answer(call, exchange, asker, target, response)
    except (Unacceptable, PortsExhausted) as error:
        status, text = _verdict(error)
        _roll_back(call, exchange)
        answer(call, asker, exchange.key, request, status, extra=(_warning(asker, text),))
        exchange.request = None
        if exchange.method == "INVITE":
            acknowledge(call, target, exchange.cseq)
        text = f"the answer to a {exchange.method} cannot be used: {text}"
        return bye_both(call, GaveUp(Ending(488, TEMPORARY_FAILURE, "media", text)))
    negotiate.apply_plan(call)
    if exchange.method == "INVITE":
        if not exchange.late:
            acknowledge(call, target, exchange.cseq)
        wait_for_ack(call, asker, exchange.key, request, response, sdp, exchange)
        exchange.request = None
        exchange.sent = None
        _retire_invites(call, exchange)
    else:
        answer(call, asker, exchange.key, request, response.status, source=response, sdp=sdp)
    return None


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
        if exchange.method == "INVITE" and exchange.request is None and exchange is not current:
            del call.exchanges[ref]


def _repeat_ack(call: Call, exchange: Exchange, target: Leg) -> None:
    ack = call.acks.get(target.side)
    if exchange.method == "INVITE" and ack is not None and ack.cseq.number == exchange.cseq:
        call.out.append(SendAck(target.flow, ack, target.side.value))


def _deliver_late_answer(call: Call, side: SideName, ref: str, ack: Request) -> None:
    """The ACK of a late offer carries the answer: the other leg's ACK takes it along."""
    offerer = call.other(side)
    exchange = call.exchanges.get(ref)
    if exchange is None and call.setup is not None and call.setup.ref == ref:
        exchange = call.setup
    if exchange is None:
        return
    try:
        sdp = _late_answer(call, side, ack)
    except Unacceptable as error:
        acknowledge(call, offerer, exchange.cseq)
        state = bye_both(call, GaveUp(Ending(488, TEMPORARY_FAILURE, "media", error.text)))
        call.state = state or State.ENDING
        return
    acknowledge(call, offerer, exchange.cseq, sdp)
    negotiate.apply_plan(call)


def _late_answer(call: Call, side: SideName, ack: Request) -> bytes:
    if not has_sdp(ack):
        raise Unacceptable(488, "the ACK to a 2xx with an offer carries no answer")
    negotiate.answer_received(call, side, ack.body)
    return negotiate.answer_to(call, call.other(side).side)


def _unanswered(call: Call, event: RequestFailed) -> State | None:
    exchange = call.exchanges.pop(event.ref)
    target = call.leg(exchange.to)
    _roll_back(call, exchange)
    if exchange.request is not None:
        status = 408 if event.why == "timeout" else 503
        answer(call, call.other(exchange.to), exchange.key, exchange.request, status)
    what = "did not answer" if event.why == "timeout" else "could not be reached for"
    return _lost(call, f"the {target.side.value} leg {what} {exchange.method}")


def _lost(call: Call, text: str) -> State | None:
    """A leg's dialog is gone (RFC 3261 §12.2.1.2): the call is over on both."""
    ending = Ending(408, RECOVERY_ON_TIMER_EXPIRY, "timeout", text)
    state = bye_both(call, GaveUp(ending))
    return state or State.ENDING


def _roll_back(call: Call, exchange: Exchange) -> None:
    """A refused offer leaves everything as it was (RFC 3261 §14.1)."""
    if exchange.method in ("INVITE", "UPDATE"):
        negotiate.roll_back(call)


def _refresh_target(leg: Leg, message: Request | Response) -> None:
    """Take the peer's new Contact (RFC 3261 §12.2.1.2, §12.2.2)."""
    if isinstance(message, Request) and message.method not in ("INVITE", "UPDATE"):
        return
    contact = message.contact
    if contact is not None and leg.dialog is not None:
        leg.dialog.remote_target = str(contact.uri)


def _verdict(error: Unacceptable | PortsExhausted | ParseError) -> tuple[int, str]:
    if isinstance(error, Unacceptable):
        return error.status, error.text
    if isinstance(error, PortsExhausted):
        return 503, str(error)
    return 400, error.reason


def _warning(leg: Leg, text: str) -> tuple[str, str]:
    quoted = text.replace("\\", "").replace('"', "'")
    return ("Warning", f'399 {leg.sent_by} "{quoted}"')
