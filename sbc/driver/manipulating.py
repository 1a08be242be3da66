"""Header manipulation of a request that makes a call, before it is routed."""

from typing import NamedTuple

from sbc.driver.callers import Caller
from sbc.driver.in_force import InForce
from sbc.policy.manipulation import copied, manipulate
from sbc.policy.manipulation_rules import End
from sbc.policy.manipulation_values import Passing
from sbc.sip.flow import Flow
from sbc.sip.message import Request


class Asked(NamedTuple):
    """A request as the rules for headers leave it."""

    request: Request
    """The very one that came where nothing was changed."""
    notes: tuple[tuple[str, str], ...] = ()
    """For the journal: kinds and texts."""


def as_asked(force: InForce, caller: Caller, request: Request, flow: Flow) -> Asked:
    """Apply the rules for what comes in to a request outside any dialog.

    The request itself stays as it is: responses repeat what it says.

    Raises:
        ParseError: a header that a rule asks about is malformed (400).
    """
    sender = End(caller.peer, flow.network)
    rules = force.policy.headers.fitting("in", request, sender, None)
    if not rules or caller.facts is None:
        return Asked(request)
    copy = copied(request)
    steps, failures = manipulate(rules, Passing(caller.facts, copy.headers, copy))
    told = [("decision", f"headers: {step.explanation}") for step in steps]
    told += [("error", f"headers: {text}") for text in failures]
    return Asked(copy if steps else request, tuple(told))
