"""Ending a call: BYE in all its directions, CANCEL toward B, and giving everything back.

Spec: RFC 3261 §15, §9.1, RFC 3326 (Reason), RFC 5407 §3.2 (crossing BYEs).
"""

from media.types import SideName
from sbc.b2bua.call import A, B, Call, Timer
from sbc.b2bua.causes import NORMAL_CLEARING, Ending
from sbc.b2bua.commands import ApplyMedia, Ended, ReleasePorts
from sbc.b2bua.events import Event, GaveUp, RequestReceived
from sbc.b2bua.leg import Exchange, Leg, LegState
from sbc.b2bua.messages import answer, request_in_dialog
from sbc.b2bua.table import State
from sbc.sip.headers import Headers
from sbc.sip.message import Request
from sbc.sip.user import SendRequest

_WORD = {A: "caller", B: "callee"}


def bye_received(call: Call, event: Event) -> State | None:
    """A leg hangs up: 200 to it, BYE to the other, media closed now."""
    assert isinstance(event, RequestReceived)
    leg, other = call.leg(event.side), call.other(event.side)
    word = _WORD[event.side]
    call.ends(Ending(200, NORMAL_CLEARING, word, f"the {word} hung up"))
    answer(call, leg, event.key, event.request, 200)
    leg.state = LegState.DONE
    _forget_ack_wait(call, leg.side)
    _close(call)
    reason = event.request.headers.first("reason")
    hang_up(call, other, reason)
    return settled(call)


def answer_bye(call: Call, event: Event) -> State | None:
    """A BYE that crosses ours, or comes after the end began: 200, and that leg is done."""
    assert isinstance(event, RequestReceived)
    leg = call.leg(event.side)
    answer(call, leg, event.key, event.request, 200)
    if call.state is not State.ENDING:
        return None
    leg.state = LegState.DONE
    _forget_ack_wait(call, leg.side)
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
    ref, bye = request_in_dialog(call, leg, "BYE", None, None)
    if reason is not None:
        bye.headers.append("Reason", reason)
    leg.state = LegState.BYE_SENT
    call.exchanges[ref] = Exchange(ref=ref, method="BYE", to=leg.side, cseq=leg.dialog.local_cseq)
    call.out.append(SendRequest(ref, leg.flow, bye, leg.side.value))


def send_deferred_bye(call: Call, event: Event) -> None:
    """The ACK came, or will never come: the BYE that waited for it goes out."""
    del event
    for leg in (call.a, call.b):
        if leg.state is LegState.BYE_DEFERRED and leg.side not in call.ack_waits:
            leg.state = LegState.OPEN
            hang_up(call, leg)


def settled(call: Call) -> State | None:
    """ENDED, after finishing, when both legs are done; None while one is not."""
    if call.a.state is LegState.DONE and call.b.state is LegState.DONE:
        finish(call)
        return State.ENDED
    return None


def finish(call: Call, event: Event | None = None) -> None:
    """Give everything back and ask for the CDR."""
    del event
    call.a.state = call.b.state = LegState.DONE
    call.timers.clear()
    call.ack_waits.clear()
    release_media(call)
    if call.ended_at is None:
        call.ended_at = call.now
    call.out.append(Ended())


def cancel(call: Call, exchange: Exchange) -> None:
    """CANCEL an INVITE of ours, now or once a provisional response allows it (RFC 3261 §9.1)."""
    exchange.cancel_wanted = True
    invite = exchange.sent
    if not exchange.provisional or exchange.cancel_sent or invite is None:
        return
    exchange.cancel_sent = True
    source = invite.headers
    headers = Headers()
    headers.append("Via", source.first("via") or "")
    headers.append("Max-Forwards", str(call.max_forwards))
    for name in ("From", "To", "Call-ID"):
        headers.append(name, source.first(name.lower()) or "")
    headers.append("CSeq", f"{exchange.cseq} CANCEL")
    for route in source.all("route"):
        headers.append("Route", route)
    if call.ending is not None:
        headers.append("Reason", call.ending.reason)
    leg = call.leg(exchange.to)
    request = Request("CANCEL", invite.uri_text, headers)
    call.out.append(SendRequest(exchange.ref, leg.flow, request, leg.side.value))


def release_media(call: Call) -> None:
    """Close what the relay has open for the call and give its ports back."""
    if call.plan is not None:
        call.plan = None
        call.out.append(ApplyMedia(None))
    ports: dict[tuple[str, int], None] = {}
    for line in call.lines:
        for port in (line.a, line.b):
            if port.port:
                ports[port.network, port.port] = None
                port.port = 0
    if ports:
        call.out.append(ReleasePorts(tuple(ports)))


def _close(call: Call) -> None:
    """What every end of an answered call does at once."""
    call.ended_at = call.now
    call.timers.pop(Timer.MAX_DURATION, None)
    release_media(call)
    _answer_pending(call)


def _answer_pending(call: Call) -> None:
    """A leg's request that the other leg will never answer now: 487 (RFC 3261 §15.1.2)."""
    for exchange in call.exchanges.values():
        if exchange.key and exchange.request is not None:
            asker = call.other(exchange.to)
            answer(call, asker, exchange.key, exchange.request, 487)
            exchange.key = ""
            exchange.request = None


def _forget_ack_wait(call: Call, side: SideName) -> None:
    """Who says BYE has what it needed of our 2xx: stop repeating it."""
    call.ack_waits.pop(side, None)
    call.timers.pop(Timer.ACK_A if side is A else Timer.ACK_B, None)
