"""The call's machine: events are weighed, the table decides, actions queue commands.

    commands = receive(call, event, now)

The commands are carried out in order; whatever fails comes back as an event. A call never
raises for what the network did.
"""

from collections.abc import Callable

from sbc.b2bua import (
    answering,
    credentials,
    ending,
    hunting,
    inside,
    manipulating,
    passing,
    refusing,
    replies,
    setup,
)
from sbc.b2bua.call import A, B, Call, Timer
from sbc.b2bua.causes import NO_ANSWER, RECOVERY_ON_TIMER_EXPIRY, TEMPORARY_FAILURE, Ending
from sbc.b2bua.commands import Command
from sbc.b2bua.events import (
    AckReceived,
    CancelReceived,
    Event,
    GaveUp,
    MediaNoted,
    MediaRefused,
    MediaSilent,
    ReplyReceived,
    RequestFailed,
    RequestReceived,
)
from sbc.b2bua.leg import Exchange, LegState
from sbc.b2bua.table import Action, Happening, State, next_of
from sbc.sip.message import Response
from sbc.sip.timers import T2
from sbc.sip.user import Respond
from sbc.state.cdr import EndedBy


def begin(call: Call, now: float) -> list[Command]:
    """Start a call whose INVITE was admitted and routed."""
    call.now = now
    setup.begin(call)
    return _drain(call)


def receive(call: Call, event: Event, now: float) -> list[Command]:
    """Tell the call something; get what it wants done, in order."""
    call.now = now
    manipulating.arrive(call, event)
    happening, event = _weigh(call, event)
    _happen(call, happening, event)
    return _drain(call)


def handle_timeout(call: Call, now: float) -> list[Command]:
    """Let the timers fire whose time has come."""
    call.now = now
    for timer, at in [(timer, at) for timer, at in call.timers.items() if at <= now]:
        # One that fired may have stopped another, or set it anew.
        if call.timers.get(timer) == at:
            del call.timers[timer]
            _fire(call, timer, at)
    return _drain(call)


def next_timeout(call: Call) -> float | None:
    """When `handle_timeout` is wanted next."""
    return min(call.timers.values(), default=None)


def _drain(call: Call) -> list[Command]:
    commands, call.out = call.out, []
    return commands


def _happen(call: Call, happening: Happening, event: Event) -> None:
    state, action = next_of(call.state, happening)
    before = call.state
    chosen = _ACTIONS[action](call, event)
    if call.state is before:
        call.state = chosen or state


def _weigh(call: Call, event: Event) -> tuple[Happening, Event]:
    if isinstance(event, ReplyReceived):
        return _weigh_reply(call, event), event
    if isinstance(event, RequestFailed):
        return _weigh_failure(call, event), event
    if isinstance(event, RequestReceived):
        return (Happening.BYE if event.request.method == "BYE" else Happening.REQUEST), event
    if isinstance(event, AckReceived):
        replies.confirm(call, event)
        return Happening.ACK, event
    if isinstance(event, CancelReceived):
        if event.invite_key == call.invite_key and call.invite is not None:
            return Happening.CANCEL, event
        inside.cancel_exchange(call, event)
        return Happening.NOTE, event
    if isinstance(event, MediaNoted):
        call.note("media", event.text, event.side)
        return Happening.NOTE, event
    return _weigh_trouble(call, event)


def _weigh_trouble(call: Call, event: Event) -> tuple[Happening, Event]:
    if isinstance(event, MediaSilent):
        return Happening.GIVE_UP, GaveUp(_silence(event))
    if isinstance(event, MediaRefused):
        return Happening.GIVE_UP, _refused_media(call, event)
    assert isinstance(event, GaveUp)
    if event.ending.by == EndedBy.INTERNAL and call.state in (State.CANCELLING, State.ENDING):
        # An error of ours while the call ends: what is left cannot be trusted to finish it.
        return Happening.EXPIRED, event
    return Happening.GIVE_UP, event


def _weigh_reply(call: Call, event: ReplyReceived) -> Happening:
    status = event.response.status
    exchange = call.exchanges.get(event.ref)
    if exchange is not None:
        if credentials.answer_challenge(call, exchange, event.response):
            return Happening.NOTE
        if exchange.method == "BYE" and status >= 200:
            return _leg_done(call, event.ref)
        return Happening.REPLY
    if call.setup is None or event.ref != call.setup.ref:
        passing.reply_received(call, event)
        return _waited(call)
    hunting.heard(call, event.response)
    if status < 200:
        call.setup.provisional = True
        if status in _NOT_TOLD and call.state is not State.CANCELLING:
            return Happening.NOTE
        return Happening.PROGRESS
    return _weigh_final(call, call.setup, event.response)


def _weigh_final(call: Call, invite: Exchange, response: Response) -> Happening:
    if credentials.answer_challenge(call, invite, response):
        hunting.asked_again(call)
        return Happening.NOTE
    invite.final = True
    if response.status < 300:
        return Happening.ANSWER
    if setup.wants_plain(call, response.status):
        return Happening.RETRY
    # That a peer refuses our account says nothing of the callee.
    of_the_way = bool(credentials.refused_text(call, call.b, response))
    if (of_the_way or hunting.leads_on(call, response.status)) and hunting.goes_on(call):
        return Happening.RETRY
    return Happening.REFUSED


def _weigh_failure(call: Call, event: RequestFailed) -> Happening:
    exchange = call.exchanges.get(event.ref)
    if exchange is not None:
        if exchange.method == "BYE":
            return _leg_done(call, event.ref)
        return Happening.REPLY
    if call.setup is None or event.ref != call.setup.ref:
        passing.request_failed(call, event)
        return _waited(call)
    if call.setup.final:
        return Happening.NOTE
    call.setup.final = True
    hunting.unheard(call, event.why)
    return Happening.RETRY if hunting.goes_on(call) else Happening.REFUSED


def _waited(call: Call) -> Happening:
    """What it means that a candidate that was passed over said something."""
    return Happening.ALL_DONE if ending.is_settled(call) else Happening.NOTE


def _leg_done(call: Call, ref: str) -> Happening:
    exchange = call.exchanges.pop(ref)
    call.leg(exchange.to).state = LegState.DONE
    return Happening.ALL_DONE if ending.is_settled(call) else Happening.LEG_DONE


_NOT_TOLD = frozenset({100, 199})
"""100 is hop by hop; 199 says that a fork of B ended, which is no dialog of A (RFC 6228)."""


def _silence(event: MediaSilent) -> Ending:
    side = event.side.value.upper()
    text = f"no RTP from {side} for {event.silent_s:.0f} s"
    return Ending(480, TEMPORARY_FAILURE, EndedBy.MEDIA, text)


def _refused_media(call: Call, event: MediaRefused) -> Event:
    if call.answered_at is None:
        return event
    ending.withdraw_answer(call)
    said = "no media can be relayed now"
    text = f"the media relay refused the call: {event.reason}"
    return GaveUp(Ending(503, TEMPORARY_FAILURE, EndedBy.INTERNAL, text, said))


def _fire(call: Call, timer: Timer, at: float) -> None:
    if timer in (Timer.ACK_A, Timer.ACK_B):
        _repeat_answer(call, timer)
        return
    call.note("timer", timer.value)
    if timer is Timer.REINVITE:
        inside.give_up_reinvite(call)
        return
    status, cause, happening = _WHEN_FIRED[timer]
    text = _told(call, timer)
    if timer in (Timer.TRY, Timer.RING) and hunting.has_next(call, at):
        happening = Happening.RETRY
    elif timer is Timer.PASSED_OVER:
        passing.give_up(call)
        if not ending.is_settled(call):
            return
    # What policy gave this call is nobody's business but the operator's.
    said = timer.value if timer is Timer.MAX_DURATION else ""
    _happen(call, happening, GaveUp(Ending(status, cause, EndedBy.TIMEOUT, text, said)))


def _told(call: Call, timer: Timer) -> str:
    """Why a call ends when a timer of its fires."""
    said: str = timer.value
    if timer is Timer.TRY:
        return hunting.kept_still(call)
    if timer is Timer.MAX_DURATION and call.longest_s is not None:
        said += f": policy gives this call {call.longest_s / 60:g} minutes at most"
    return said


_WHEN_FIRED: dict[Timer, tuple[int, int, Happening]] = {
    Timer.TRY: (504, RECOVERY_ON_TIMER_EXPIRY, Happening.NOTE),
    Timer.RING: (504, RECOVERY_ON_TIMER_EXPIRY, Happening.GIVE_UP),
    Timer.NO_ANSWER: (480, NO_ANSWER, Happening.GIVE_UP),
    Timer.MAX_DURATION: (200, RECOVERY_ON_TIMER_EXPIRY, Happening.GIVE_UP),
    Timer.CANCEL: (487, RECOVERY_ON_TIMER_EXPIRY, Happening.EXPIRED),
    Timer.PASSED_OVER: (408, RECOVERY_ON_TIMER_EXPIRY, Happening.ALL_DONE),
    Timer.LINGER: (200, RECOVERY_ON_TIMER_EXPIRY, Happening.EXPIRED),
}
"""SIP status, Q.850 cause, and what it means to a call without another candidate."""


def _repeat_answer(call: Call, timer: Timer) -> None:
    """Repeat an unacknowledged 2xx, or after 64*T1 end the call (RFC 3261 §13.3.1.4)."""
    side = A if timer is Timer.ACK_A else B
    wait = call.ack_waits.get(side)
    if wait is None:
        return
    if call.now >= wait.give_up_at:
        text = f"the {side.value} leg never acknowledged our 2xx"
        call.note("timer", text)
        ending.forget_ack_wait(call, side)
        why = Ending(408, RECOVERY_ON_TIMER_EXPIRY, EndedBy.TIMEOUT, text)
        ends = call.state is State.ENDING
        _happen(call, Happening.ACK if ends else Happening.GIVE_UP, GaveUp(why))
        return
    wait.interval_s = min(2 * wait.interval_s, T2)
    wait.next_at = min(call.now + wait.interval_s, wait.give_up_at)
    call.timers[timer] = wait.next_at
    call.out.append(Respond(wait.key, wait.response, side.value))


def _nothing(call: Call, event: Event) -> None:
    """The table names nothing to do; the journal has the message itself."""


_ACTIONS: dict[Action, Callable[[Call, Event], State | None]] = {
    Action.RELAY_PROGRESS: setup.relay_progress,
    Action.RELAY_ANSWER: answering.relay_answer,
    Action.ACK_AGAIN: answering.acknowledge_again,
    Action.DROP_ANSWER: answering.drop_answer,
    Action.RELAY_REFUSAL: refusing.relay_refusal,
    Action.TRY_NEXT: setup.try_next,
    Action.CANCEL_SETUP: setup.cancel_setup,
    Action.CANCEL_B: setup.cancel_b,
    Action.ABORT_SETUP: setup.abort_setup,
    Action.HANG_UP_EARLY: setup.hang_up_early,
    Action.CONFIRM: _nothing,
    Action.HANG_UP: ending.bye_received,
    Action.BYE_BOTH: ending.bye_both,
    Action.ANSWER_BYE: ending.answer_bye,
    Action.RELAY_REQUEST: inside.relay_request,
    Action.REFUSE_REQUEST: inside.refuse_request,
    Action.RELAY_REPLY: replies.relay_reply,
    Action.ACK_STRAY: replies.acknowledge_stray,
    Action.SEND_DEFERRED_BYE: ending.send_deferred_bye,
    Action.FINISH: ending.finish,
    Action.ABANDON: ending.abandon,
    Action.NOTHING: _nothing,
}
