"""Who a message inside an answered call says that it is from: told on as long as the rules agree.

The rules of `identity` were asked about the INVITE. A later message may assert somebody else, so
they are asked again; what they would treat otherwise than the call does not reach the other leg. It
is left out, which says nothing new there (RFC 3325 §6), and the call goes on.

From and To are the dialog's: no message changes them (RFC 3261 §12.2.1.1).
"""

from dataclasses import replace

from sbc.b2bua.call import A, Call
from sbc.b2bua.leg import Leg
from sbc.b2bua.manipulating import facts_of
from sbc.policy.access import step_of
from sbc.policy.facts import Facts
from sbc.policy.identity import claims_anybody
from sbc.policy.presentation import AS_PRESENTED, presentation_of_step
from sbc.policy.rules import STOPS
from sbc.routing.identity import BY_NETWORK
from sbc.sip.errors import ParseError
from sbc.sip.message import Message, Request

_ASKED_ABOUT = "INVITE"
"""What the rules were asked about, so that those for calls are asked again."""


def may_tell(call: Call, origin: Leg, receiver: Leg, message: Message) -> bool:
    """Whether the other leg may hear who a message says that it is from; a note says why not."""
    in_trust = origin.trusted and receiver.trusted
    if call.invite is not None or not in_trust or not call.context.policy.stage("identity").all:
        return True
    peer = call.context.peers.get(origin.peer)
    if not claims_anybody(message, BY_NETWORK if peer is None else peer.identity):
        return True
    why = _objection(call, origin, message)
    if why:
        text = f"who the {message.cseq.method} says that it is from is not told: {why}"
        call.note("decision", text, origin.side)
    return not why


def _objection(call: Call, origin: Leg, message: Message) -> str:
    """Why the rules would not have a message present its sender so; empty if they would."""
    if not isinstance(message, Request):
        return "no rule can be asked about a response"
    facts = _facts(call, origin, message)
    try:
        rule = call.context.policy.first("identity", facts)
        step = None if rule is None else step_of("identity", rule, facts)
    except ParseError as error:
        return error.reason
    shown = AS_PRESENTED if step is None else presentation_of_step(step)
    is_same = replace(shown, why="") == replace(origin.presentation, why="")
    if step is None:
        return "" if is_same else "no rule would present it as the call is"
    if step.action.verb in STOPS or (step.action.verb == "challenge" and not facts.user):
        is_same = False
    return "" if is_same else step.explanation


def _facts(call: Call, origin: Leg, request: Request) -> Facts:
    """What is known of a leg's request, as if it were the one that the call began with."""
    facts = facts_of(call, origin, request)
    if origin.side is A and call.decided is not None:
        first = call.decided.facts
        facts.called = first.called or (None if first.request is None else first.request.uri)
        facts.found.pop("called", None)
    facts.method = _ASKED_ABOUT
    facts.now = call.started_wall
    facts.owners = call.context.policy.owners
    # That is who began the call, which may be the other one.
    del facts.found["caller"]
    return facts
