"""Requests outside dialogs put right before they are routed: repairs, and rules for headers."""

from typing import NamedTuple

from sbc.b2bua.manipulating import HEADERS, REPAIRED
from sbc.driver.callers import Caller
from sbc.driver.edges import Log, told_of
from sbc.driver.in_force import InForce
from sbc.policy.manipulation import Manipulation, copied, manipulate
from sbc.policy.manipulation_values import End, Passing
from sbc.policy.model import Step
from sbc.policy.repair import repair_received
from sbc.sip.flow import Flow
from sbc.sip.message import Request

Note = tuple[str, str]
"""A line for the journal: kind and text."""


class Asked(NamedTuple):
    """A request as the rules for headers leave it."""

    request: Request
    """The very one that came where nothing was changed."""
    notes: tuple[Note, ...] = ()
    manipulation: Manipulation | None = None
    """The rules for where it is passed on to; None where there are none."""


def as_asked(force: InForce, caller: Caller, request: Request, flow: Flow) -> Asked:
    """Apply repairs, and the rules for what comes in, to a request outside any dialog.

    Of the request itself only what is repaired changes: responses repeat the rest.

    Raises:
        ParseError: a header that a rule asks about is malformed (400).
    """
    notes: list[Note] = []
    peer = force.table.peer(caller.peer)
    # The Contact of a REGISTER is what the phone wants to read again.
    if peer is not None and peer.repairs and request.method == "INVITE":
        done = repair_received(request, peer.repairs, *flow.remote)
        notes += [("decision", REPAIRED + text) for text in done]
    rules, sender = force.policy.headers, End(caller.peer, flow.network)
    if not rules.all or caller.facts is None:
        return Asked(request, tuple(notes))
    manipulation = Manipulation(rules, sender, caller.facts)
    fitting = rules.fitting("in", request, sender, None)
    if not fitting:
        return Asked(request, tuple(notes), manipulation)
    copy = copied(request)
    steps, failures = manipulate(fitting, Passing(caller.facts, copy, sender))
    notes += _notes(steps, failures)
    return Asked(copy if steps else request, tuple(notes), manipulation)


def log_changes(log: Log, request: Request, flow: Flow, asked: Asked) -> None:
    """Log what was done to a REGISTER, which has no journal."""
    further = asked.manipulation
    notes = list(asked.notes)
    if further is not None:
        notes += _notes(further.steps, further.failures)
    for kind, text in notes:
        level = "warning" if kind == "error" else "debug"
        log(level, "registration changed", **told_of(request, flow), what=text)


def _notes(steps: list[Step], failures: list[str]) -> list[Note]:
    done = [("decision", HEADERS + step.explanation) for step in steps]
    return [*done, *[("error", HEADERS + text) for text in failures]]
