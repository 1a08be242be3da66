"""Recent calls asked again of two configurations: which would go another way.

The places of calls are asked of `sbc.driver.placing`, as in the running process; what changes from
call to call (who is registered, what is down) is left out on both sides.
"""

import json
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from typing import Final, NamedTuple

from sbc.driver.in_force import InForce
from sbc.driver.placing import course_of
from sbc.routing.facing import bracketed, listener_of
from sbc.sip.errors import ParseError
from sbc.sip.flow import Flow
from sbc.sip.headers import Headers
from sbc.sip.message import Request
from sbc.sip.uri import escape_user
from sbc.state.cdr import CdrRecord

MOST_GROUPS = 100

_EXPLAINED: Final = frozenset({"transport", "user_agent", "user_agent_matches"})
"""The facts that are taken from explanations."""


class Treatment(NamedTuple):
    """What becomes of a call."""

    text: str
    """In words; two calls with equal words are treated alike."""
    why: str
    assumed: Set[str] = frozenset()
    """What the rule that decided looked at, and the record of the call does not say."""


@dataclass(slots=True)
class Difference:
    """Calls that would be treated differently, all in the same way."""

    before: Treatment
    after: Treatment
    example: CdrRecord
    """The newest of them."""
    calls: int = 1


@dataclass(frozen=True, slots=True)
class Replay:
    """What replaying calls gave."""

    calls: int
    differences: tuple[Difference, ...]
    """Those of most calls first."""


Treat = Callable[[InForce, CdrRecord], Treatment]
"""What becomes of a recorded call under a configuration."""


def replay(records: Iterable[CdrRecord], before: InForce, after: InForce, treat: Treat) -> Replay:
    """Ask each call of both configurations.

    Args:
        records: The oldest first. Those that differ in nothing that is asked about are asked once.
    """
    groups: dict[tuple[str, str], Difference] = {}
    known: dict[tuple[object, ...], tuple[Treatment, Treatment]] = {}
    timed = _asks_time(before) or _asks_time(after)
    count = 0
    for record in records:
        count += 1
        a = record.a
        whom = (a.peer, a.network, a.address, record.account)
        minute = record.started_at // 60 if timed else 0
        how = tuple(explained(record).items())
        alike = (*whom, record.from_number, record.to_number, minute, how)
        if alike not in known:
            known[alike] = treat(before, record), treat(after, record)
        old, new = known[alike]
        if old.text == new.text:
            continue
        group = groups.get((old.text, new.text))
        if group is not None:
            group.calls += 1
            group.before, group.after, group.example = old, new, record
        elif len(groups) < MOST_GROUPS:
            groups[old.text, new.text] = Difference(old, new, record)
    return Replay(count, tuple(sorted(groups.values(), key=lambda one: -one.calls)))


def explained(record: CdrRecord) -> dict[str, str]:
    """What a record says of how its call came: facts that rules looked at when they decided."""
    if not record.explanation:
        return {}
    steps = json.loads(record.explanation).get("steps", ())
    found = {one["fact"]: one["value"] for step in steps for one in step["tested"]}
    return {fact: value for fact, value in found.items() if fact in _EXPLAINED}


def _asks_time(force: InForce) -> bool:
    rules = (rule for found in force.policy.stages.values() for rule in found)
    return any(rule.when.asks("time") for rule in rules)


def routed(force: InForce, record: CdrRecord) -> Treatment:
    """Where a recorded call would be routed, if policy let it."""
    network = force.networks.get(record.a.network)
    if network is None:
        return Treatment("not taken", f"there is no network {record.a.network!r}")
    peer = force.table.peer(record.a.peer) if record.a.peer else None
    if record.a.peer and peer is None:
        return Treatment("not taken", f"there is no peer {record.a.peer!r}")
    flow = flow_on(force, network.name)
    try:
        invite = invite_to(force, flow, record.to_number, record.from_number)
        course = course_of(force, record.a.peer, invite, flow)
    except ParseError as error:
        return Treatment("not taken", error.reason)
    if course.route is None:
        return Treatment("to nobody", course.why)
    steps = ", then ".join(f"{user} at {peer.name}" for peer, user in course.steps)
    return Treatment(f"by route {course.route.name!r} to {steps}", course.why)


def flow_on(force: InForce, network: str) -> Flow:
    """A flow on which a call could come in."""
    listener = force.networks[network].listeners[0]
    here = (listener.advertise, listener.port)
    return Flow(network, listener.transport, (listener.bind, listener.port), here)


def invite_to(force: InForce, flow: Flow, called: str, caller: str = "caller") -> Request:
    """An INVITE to a URI, or to a number at our address on the caller's network."""
    host = bracketed(listener_of(force.networks[flow.network], flow).advertise)
    if not called.startswith(("sip:", "sips:", "tel:", "urn:service:")):
        called = f"sip:{escape_user(called)}@{host}"
    headers = Headers()
    headers.append("From", f"<sip:{escape_user(caller)}@{host}>")
    headers.append("To", f"<{called}>")
    headers.append("Call-ID", "sbc-route")
    return Request("INVITE", called, headers)
