"""Inside an answered call: requests that one leg sends and the other must hear.

re-INVITE and UPDATE carry offers and answers, so their SDP is made anew; everything else that
the call does not own passes as it is. What the other leg answers is in `replies.py`.

Spec: RFC 3261 §12.2, §14; RFC 3311; RFC 6141; RFC 5407 (races).
"""

from media.errors import PortsExhausted
from sbc.b2bua import negotiate
from sbc.b2bua.call import A, Call, Timer
from sbc.b2bua.credentials import kept
from sbc.b2bua.ending import cancel, open_invites
from sbc.b2bua.events import CancelReceived, Event, RequestReceived
from sbc.b2bua.leg import Exchange, Leg
from sbc.b2bua.messages import (
    ALLOW,
    CONTACT_METHODS,
    Extra,
    answer,
    body_kind,
    has_sdp,
    learn_uuid,
    reason_given,
    request_in_dialog,
    retry_after,
    warning,
)
from sbc.b2bua.negotiate import Unacceptable
from sbc.b2bua.table import State
from sbc.policy.topology import unsupported_requirements
from sbc.sip.errors import ParseError
from sbc.sip.flow import SECURED
from sbc.sip.message import Request
from sbc.sip.timers import T1
from sbc.sip.user import Abandon, SendRequest

REINVITE_S = 180.0
"""How long a re-INVITE may wait for its final response: as long as proxies give an INVITE."""

_REFUSED = {
    "REFER": (603, "transfers are not enabled on this border"),
    "SUBSCRIBE": (489, "no event package is served inside a call"),
    "PRACK": (481, "no reliable provisional response was sent"),
}

_MAX_EXCHANGES = 16
"""Requests under way in one call, above which further ones get 500: a bound, not a guess at use."""

_Refusal = tuple[int, str, Extra]
"""Status, sentence, extra headers."""


def relay_request(call: Call, event: Event) -> None:
    """Pass a leg's request to the other leg, or say at once why not."""
    assert isinstance(event, RequestReceived)
    request = event.request
    leg, other = call.leg(event.side), call.other(event.side)
    refusal = _refusal(call, leg, other, request)
    sdp = None
    if refusal is None and request.method in CONTACT_METHODS:
        refusal, sdp = _forward_offer(call, leg, other, request)
    if refusal is not None:
        _refuse(call, leg, event, refusal)
        return
    _follow(call, leg, event)
    learn_uuid(call, leg, request)
    invite = request.method == "INVITE"
    if invite:
        answer(call, leg, event.key, request, 100)
        call.timers[Timer.REINVITE] = call.now + REINVITE_S
    ref, forwarded = request_in_dialog(call, other, request.method, request, sdp)
    assert other.dialog is not None
    call.exchanges[ref] = Exchange(
        ref=ref,
        method=request.method,
        to=other.side,
        cseq=other.dialog.local_cseq,
        key=event.key,
        request=request,
        offers=sdp is not None,
        late=invite and sdp is None,
        sent=kept(call, other, forwarded),
    )
    call.out.append(SendRequest(ref, other.flow, forwarded, other.side.value))


def refuse_request(call: Call, event: Event) -> None:
    """Before the answer nothing passes, for B's dialog is not certain; after the end there is none.

    481 would end the caller's early dialog (RFC 5057 §5.1), so what is only early is told to wait.
    """
    assert isinstance(event, RequestReceived)
    leg, request = call.leg(event.side), event.request
    early = call.state in (State.CALLING, State.RINGING)
    refused = _REFUSED.get(request.method)
    if not early:
        answer(call, leg, event.key, request, 481)
    elif refused is not None:
        _refuse(call, leg, event, (*refused, ()))
    elif request.method == "OPTIONS":
        answer(call, leg, event.key, request, 200, extra=(("Allow", ALLOW),))
    elif request.method in CONTACT_METHODS and event.side is not A:
        # Our offer in the INVITE is pending on this leg (RFC 3311 §5.2).
        _refuse(call, leg, event, (491, "the INVITE is not answered yet", ()))
    else:
        waits = (500, "the INVITE is not answered yet", (retry_after(call),))
        _refuse(call, leg, event, waits)


def cancel_exchange(call: Call, event: Event) -> None:
    """A CANCEL for a re-INVITE: passed on; the other leg's final response decides."""
    assert isinstance(event, CancelReceived)
    leg = call.leg(event.side)
    answer(call, leg, event.key, event.request, 200)
    for exchange in call.exchanges.values():
        if exchange.key == event.invite_key:
            cancel(call, exchange, reason_given(leg, event.request))


def give_up_reinvite(call: Call) -> None:
    """A re-INVITE got no final response for long: CANCEL it, later forget it; the call goes on."""
    for exchange in open_invites(call):
        if not exchange.cancel_wanted:
            call.timers[Timer.REINVITE] = call.now + 64 * T1
            cancel(call, exchange)
            continue
        del call.exchanges[exchange.ref]
        call.out.append(Abandon(exchange.ref))
        negotiate.roll_back(call)
        if exchange.request is not None:
            answer(call, call.other(exchange.to), exchange.key, exchange.request, 504)


def _refuse(call: Call, leg: Leg, event: RequestReceived, refusal: _Refusal) -> None:
    status, text, extra = refusal
    call.note("decision", f"{event.request.method} refused with {status}: {text}", leg.side)
    answer(call, leg, event.key, event.request, status, extra=(*extra, warning(leg, text)))


def _refusal(call: Call, leg: Leg, other: Leg, request: Request) -> _Refusal | None:
    """Why a request is not passed on, if so."""
    if leg.dialog is None or other.dialog is None:
        return (481, "the call is not established on both legs", ())
    number = request.cseq.number
    if not leg.dialog.accepts_cseq(number):
        return (500, f"CSeq {number} is not above the last one", ())
    refused = _REFUSED.get(request.method)
    if refused is not None:
        return (*refused, ())
    too_far = _too_far(request)
    if too_far is not None:
        return too_far
    unmet = unsupported_requirements(request)
    if unmet:
        options = ", ".join(unmet)
        return (420, f"{options} is not supported here", (("Unsupported", options),))
    if len(call.exchanges) >= _MAX_EXCHANGES:
        return (500, "too many requests under way in this call", (retry_after(call),))
    return _clash(call, other, request) if request.method in CONTACT_METHODS else None


def _too_far(request: Request) -> _Refusal | None:
    """Whether a request may go no further (RFC 3261 §16.3 step 3, RFC 7332)."""
    try:
        if request.max_forwards != 0:
            return None
    except ParseError as error:
        return (400, error.reason, ())
    return (483, "Max-Forwards is used up", ())


def _clash(call: Call, other: Leg, request: Request) -> _Refusal | None:
    """The offer or answer under way that forbids another one, if there is one.

    One exchange of descriptions at a time across both legs (RFC 3261 §14.2, RFC 3311 §5.2). An
    UPDATE without a body is none.
    """
    offers = request.method == "INVITE" or bool(request.body)
    for exchange in call.exchanges.values():
        if exchange.request is None or exchange.method not in CONTACT_METHODS:
            continue
        same_leg = exchange.to is other.side
        if same_leg and (exchange.method == request.method or offers):
            text = f"an earlier {exchange.method} of yours is not answered yet"
            return (500, text, (retry_after(call),))
        if offers and (exchange.offers or exchange.late):
            return (491, "an offer of the other side is under way", ())
    if offers and call.ack_waits:
        return (491, "an ACK is still missing in this call", ())
    return None


def _forward_offer(
    call: Call, leg: Leg, other: Leg, request: Request
) -> tuple[_Refusal | None, bytes | None]:
    """The offer for the other leg, if the request carries one; or why it is refused."""
    try:
        # Read now, used when the other leg accepts: a Contact nobody can read fails the request.
        if request.contact is None and request.method == "INVITE":
            call.note("decision", "re-INVITE without Contact: the target stays", leg.side)
        if not request.body:
            return None, None
        if not has_sdp(request):
            text = f"the body is {body_kind(request)}, not application/sdp"
            return (415, text, (("Accept", "application/sdp"),)), None
        negotiate.offer_received(call, leg.side, request.body)
        return None, negotiate.offer_to(call, other.side)
    except Unacceptable as error:
        refusal = (error.status, error.text, (retry_after(call),) if error.retry else ())
    except PortsExhausted as error:
        call.note("error", str(error))
        refusal = (503, "no media port is free", (("Retry-After", "5"),))
    except ParseError as error:
        refusal = (400, error.reason, ())
    negotiate.roll_back(call)
    return refusal, None


def _follow(call: Call, leg: Leg, event: RequestReceived) -> None:
    """Speak to the leg where it now speaks from: its NAT or its connection may have changed.

    Only outside trusted networks, where phones move. Another address needs a target refresh, a
    port does not. A connection that we open on demand is not exchanged for one that may close, nor
    one that nobody can read for one that others can.

    Spec: RFC 5626 §5.3 (same flow both ways), RFC 3261 §12.2.2.
    """
    flow = event.flow
    ours = leg.flow
    if flow == ours or leg.dialog is None or flow.network != ours.network:
        return
    if call.context.networks[ours.network].trusted:
        return
    if ours.reliable and ours.connection == 0:
        return
    if leg.private and flow.transport not in SECURED:
        return
    if flow.remote[0] == ours.remote[0] or event.request.method in CONTACT_METHODS:
        leg.flow = leg.dialog.flow = flow
