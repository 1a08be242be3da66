"""Messages of a call put right: repairs of what peers do wrong, and rules for headers.

What leaves is changed once, when it is made, so that repetitions are the same byte for byte. What
comes from a transaction alone (100, the ACK to a failure) is nobody's to change.

Spec: RFC 5853 §3.6.
"""

from dataclasses import replace

from media.types import SideName
from sbc.b2bua.call import A, Call
from sbc.b2bua.events import (
    AckReceived,
    CancelReceived,
    Event,
    ReplyReceived,
    RequestReceived,
)
from sbc.b2bua.leg import Leg
from sbc.policy.facts import Facts
from sbc.policy.manipulation import manipulate
from sbc.policy.manipulation_rules import HeaderRule
from sbc.policy.manipulation_values import End, Passing
from sbc.policy.numbers import NumberRole, received
from sbc.policy.repair import repair_received, repair_sent
from sbc.routing.numbers import AS_WRITTEN
from sbc.sip.errors import ParseError
from sbc.sip.flow import Flow
from sbc.sip.message import Message, Request
from sbc.sip.uri import Uri, parse_uri_untrusted

HEADERS = "headers: "
"""How a journal's entry of what rules for headers did begins."""
REPAIRED = "repaired: "
"""How that of what was repaired begins."""


def leave(
    call: Call,
    receiver: Leg,
    message: Message,
    source: Message | None = None,
    origin: Leg | None = None,
) -> None:
    """Change what a complete message says, before it leaves to a leg.

    Args:
        source: The other side's message that it stands for.
        origin: The leg that `source` came from; None for the other leg as it is now.
    """
    rules, repairs = call.context.policy.headers, call.context.repairs
    if receiver.peer in repairs:
        _note(call, repair_sent(message, repairs[receiver.peer]), receiver.side)
    if not rules.all:
        return
    origin = origin or call.other(receiver.side)
    fitting = rules.fitting("out", message, _end(origin), _end(receiver))
    if fitting:
        facts = facts_of(call, origin, message, source=source)
        passing = Passing(facts, message, _end(origin), _end(receiver), source)
        _apply(call, fitting, passing, receiver.side)


def arrive(call: Call, event: Event) -> None:
    """Change what a message that came says, before the call hears of it."""
    rules, repairs = call.context.policy.headers, call.context.repairs
    if not rules.all and not repairs:
        return
    if isinstance(event, ReplyReceived):
        message: Message = event.response
        sender = _answering(call, event.ref)
    elif isinstance(event, RequestReceived | AckReceived | CancelReceived):
        message, sender = event.request, call.leg(event.side)
    else:
        return
    flow = sender.flow if isinstance(event, CancelReceived) else event.flow
    if sender.peer in repairs:
        done = repair_received(message, repairs[sender.peer], *flow.remote)
        _note(call, done, sender.side)
    fitting = rules.fitting("in", message, _end(sender), None)
    if fitting:
        passing = Passing(facts_of(call, sender, message, flow), message, _end(sender))
        _apply(call, fitting, passing, sender.side)


def _apply(call: Call, rules: tuple[HeaderRule, ...], passing: Passing, side: SideName) -> None:
    try:
        steps, failures = manipulate(rules, passing)
    except ParseError as error:
        call.note("error", f"{HEADERS}they stay as they are: {error.reason}", side)
        return
    for step in steps:
        call.note("decision", HEADERS + step.explanation, side)
    for text in failures:
        call.note("error", HEADERS + text, side)


def _note(call: Call, done: list[str], side: SideName) -> None:
    for text in done:
        call.note("decision", REPAIRED + text, side)


def _end(leg: Leg) -> End:
    return End(leg.peer, leg.flow.network)


def _answering(call: Call, ref: str) -> Leg:
    """The leg that answers our request of that branch."""
    for passed in call.passed_over:
        if ref in (passed.invite.ref, passed.bye_ref):
            return passed.leg
    return call.leg(call.side_asked(ref))


def facts_of(
    call: Call,
    origin: Leg,
    message: Message,
    flow: Flow | None = None,
    source: Message | None = None,
) -> Facts:
    """What is known of a message, as rules ask for it.

    Args:
        origin: The leg that it came from.
        flow: What it came by; None for the leg's own.
        source: What came, where the message stands for that.
    """
    context, flow = call.context, flow or origin.flow
    network = context.networks.get(flow.network)
    came = source if isinstance(source, type(message)) else message
    facts = replace(
        _sender(call, origin),
        network=flow.network,
        trusted=network is not None and network.trusted,
        host=flow.remote[0],
        method=message.cseq.method,
        user_agent=came.headers.first("user-agent"),
        port=flow.remote[1],
        transport=flow.transport,
        proven=context.proofs.names(flow),
        tls_version=context.proofs.tls_version(flow),
        request=came if isinstance(came, Request) else None,
        message=message,
        called=_service(call),
        world=context.world,
        now=call.started_wall + call.now - call.started_at,
        found={},
    )
    # Of every message of a call, whom the call calls, and who does.
    if facts.called is None:
        facts.found["called"] = _inside(call, call.callee, "called")
    facts.found["caller"] = _inside(call, call.caller, "caller")
    return facts


def _sender(call: Call, origin: Leg) -> Facts:
    """Who is on a leg: of the caller all that was known when the call was decided on.

    Nothing is said of the numbers that the other one may present: what comes from there need not be
    from who was called.
    """
    if origin.side is A and call.decided is not None:
        return call.decided.facts
    flow, peer = origin.flow, call.context.peers.get(origin.peer)
    return Facts(
        network=flow.network,
        trusted=origin.trusted,
        host=flow.remote[0],
        peer=origin.peer if peer is not None and peer.kind != "endpoints" else None,
        registered=bool(origin.registered),
        phone=origin.registered,
        group="" if peer is None else peer.name,
        numbers=AS_WRITTEN if peer is None else peer.numbers,
    )


def _service(call: Call) -> Uri | None:
    """What a call calls by its name, as an emergency service; None if it calls a number."""
    return parse_uri_untrusted(call.callee) if call.callee.startswith("urn:") else None


def _inside(call: Call, number: str, role: NumberRole) -> str:
    """A number as the caller sent it, in the form that it has inside."""
    peer = call.context.peers.get(call.a.peer)
    return (
        number if peer is None else received(number, peer.numbers, role, call.context.plan).number
    )
