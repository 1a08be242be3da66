"""A call as plain data, and back: what restart and failover are made of.

    data = to_data(call)            # nothing but what JSON holds
    call = from_data(data, context)

The restored call equals the exported one and behaves as it does. Its surroundings (configuration,
entropy, ports) are handed in; whoever restores claims the ports and opens the media plan again.
Messages are kept as the bytes they are on the wire. Times are monotonic seconds of the process
that exported: whoever restores elsewhere must shift them.
"""

from typing import TypedDict

from media.plan import MediaPlan
from media.types import SideName
from sbc.b2bua.call import Call, Candidate, MediaCounters, MediaLine, MediaPort, Timer
from sbc.b2bua.causes import Ending
from sbc.b2bua.context import Context
from sbc.b2bua.counters_snapshot import (
    FlowCountersData,
    flow_counters_from_data,
    flow_counters_to_data,
)
from sbc.b2bua.journal import Journal
from sbc.b2bua.leg import Fork
from sbc.b2bua.leg_snapshot import (
    AckWaitData,
    ExchangeData,
    LegData,
    MessageData,
    PassedOverData,
    RefusedData,
    RulesData,
    ack_wait_from_data,
    ack_wait_to_data,
    exchange_from_data,
    exchange_to_data,
    leg_from_data,
    leg_to_data,
    message_to_data,
    passed_over_from_data,
    passed_over_to_data,
    refused_from_data,
    refused_to_data,
    request_from_data,
    rules_from_data,
    rules_to_data,
)
from sbc.b2bua.table import State
from sbc.policy.charges import charge_from_data, charge_to_data
from sbc.routing.failover import Failover
from sbc.sip.flow import FlowData, flow_from_data, flow_to_data
from sbc.state.cdr import EndedBy

PortData = tuple[int, str, str, str]
"""Port, network, host, advertised host."""


class CandidateData(TypedDict):
    """A `Candidate` as JSON has it."""

    peer: str
    flow: FlowData
    request_uri: str
    our_host: str
    their_host: str
    rules: RulesData
    trusted: bool
    routes: list[str]
    note: str
    failover: tuple[list[int], float, float]
    """Codes, seconds until a try counts as silent, seconds of all tries."""
    contact_user: str


class EndingData(TypedDict):
    """An `Ending` as JSON has it."""

    status: int
    q850: int
    by: str
    text: str
    said: str


class CallData(TypedDict):
    """A `Call` as JSON has it."""

    name: str
    a: LegData
    b: LegData
    candidates: list[CandidateData]
    position: int
    started_at: float
    started_wall: float
    answered_at: float | None
    ended_at: float | None
    now: float
    caller: str
    callee: str
    route: str
    max_forwards: int
    loop_mark: str
    state: str
    invite: MessageData | None
    asked: MessageData | None
    invite_key: str
    setup: ExchangeData | None
    exchanges: list[ExchangeData]
    ack_waits: dict[str, AckWaitData]
    acks: dict[str, MessageData]
    forks: list[tuple[str, MessageData]]
    passed_over: list[PassedOverData]
    refused: RefusedData | None
    timers: dict[str, float]
    """By the name of the timer."""
    lines: list[tuple[int, str, PortData, PortData]]
    plan: dict[str, object] | None
    journal: dict[str, object]
    counters: list[tuple[int, int, FlowCountersData, FlowCountersData]]
    ending: EndingData | None
    charge: list[object] | None
    """Account, number, price per minute and to connect, risk, country, diverter."""
    longest_s: float | None


def to_data(call: Call) -> CallData:
    """Export a call, between two events."""
    assert not call.out, "a call is exported between events only"
    return {
        "name": call.name,
        "a": leg_to_data(call.a),
        "b": leg_to_data(call.b),
        "candidates": [_candidate_to_data(candidate) for candidate in call.candidates],
        "position": call.position,
        "started_at": call.started_at,
        "started_wall": call.started_wall,
        "answered_at": call.answered_at,
        "ended_at": call.ended_at,
        "now": call.now,
        "caller": call.caller,
        "callee": call.callee,
        "route": call.route,
        "max_forwards": call.max_forwards,
        "loop_mark": call.loop_mark,
        "state": call.state.value,
        "invite": None if call.invite is None else message_to_data(call.invite),
        "asked": None if call.asked is None else message_to_data(call.asked),
        "invite_key": call.invite_key,
        "setup": None if call.setup is None else exchange_to_data(call.setup),
        "exchanges": [exchange_to_data(exchange) for exchange in call.exchanges.values()],
        "ack_waits": {s.value: ack_wait_to_data(wait) for s, wait in call.ack_waits.items()},
        "acks": {side.value: message_to_data(ack) for side, ack in call.acks.items()},
        "forks": [(fork.remote_tag, message_to_data(fork.ack)) for fork in call.forks],
        "passed_over": [passed_over_to_data(passed) for passed in call.passed_over],
        "refused": None if call.refused is None else refused_to_data(call.refused),
        "timers": {timer.name: at for timer, at in call.timers.items()},
        "lines": [
            (line.index, line.kind, _port_to_data(line.a), _port_to_data(line.b))
            for line in call.lines
        ],
        "plan": None if call.plan is None else call.plan.to_data(),
        "journal": call.journal.to_data(),
        "counters": [
            (c.index, c.clock_hz, flow_counters_to_data(c.a), flow_counters_to_data(c.b))
            for c in call.counters
        ],
        "ending": None if call.ending is None else _ending_to_data(call.ending),
        "charge": None if call.charge is None else charge_to_data(call.charge),
        "longest_s": call.longest_s,
    }


def from_data(data: CallData, context: Context) -> Call:
    """Restore what `to_data` exported, in these surroundings.

    Raises:
        ParseError, KeyError, ValueError: it is no export; a bug, or a damaged store.
    """
    plan, ending, setup, invite = data["plan"], data["ending"], data["setup"], data["invite"]
    asked = data["asked"]
    exchanges = [exchange_from_data(exchange) for exchange in data["exchanges"]]
    return Call(
        name=data["name"],
        context=context,
        a=leg_from_data(data["a"]),
        b=leg_from_data(data["b"]),
        candidates=tuple(_candidate_from_data(candidate) for candidate in data["candidates"]),
        position=data["position"],
        started_at=data["started_at"],
        started_wall=data["started_wall"],
        answered_at=data["answered_at"],
        ended_at=data["ended_at"],
        now=data["now"],
        caller=data["caller"],
        callee=data["callee"],
        route=data["route"],
        max_forwards=data["max_forwards"],
        loop_mark=data["loop_mark"],
        state=State(data["state"]),
        invite=None if invite is None else request_from_data(invite),
        asked=None if asked is None else request_from_data(asked),
        invite_key=data["invite_key"],
        setup=None if setup is None else exchange_from_data(setup),
        exchanges={exchange.ref: exchange for exchange in exchanges},
        ack_waits={SideName(s): ack_wait_from_data(w) for s, w in data["ack_waits"].items()},
        acks={SideName(s): request_from_data(ack) for s, ack in data["acks"].items()},
        forks=[Fork(tag, request_from_data(ack)) for tag, ack in data["forks"]],
        passed_over=[passed_over_from_data(passed) for passed in data["passed_over"]],
        refused=None if data["refused"] is None else refused_from_data(data["refused"]),
        timers={Timer[name]: at for name, at in data["timers"].items()},
        lines=[
            MediaLine(index, kind, MediaPort(*a), MediaPort(*b))
            for index, kind, a, b in data["lines"]
        ],
        plan=None if plan is None else MediaPlan.from_data(plan),
        journal=Journal.from_data(data["journal"]),
        counters=[
            MediaCounters(index, clock, flow_counters_from_data(a), flow_counters_from_data(b))
            for index, clock, a, b in data["counters"]
        ],
        ending=None if ending is None else _ending_from_data(ending),
        charge=None if data["charge"] is None else charge_from_data(data["charge"]),
        longest_s=data["longest_s"],
    )


def _candidate_to_data(candidate: Candidate) -> CandidateData:
    failover = candidate.failover
    return {
        "peer": candidate.peer,
        "flow": flow_to_data(candidate.flow),
        "request_uri": candidate.request_uri,
        "our_host": candidate.our_host,
        "their_host": candidate.their_host,
        "rules": rules_to_data(candidate.rules),
        "trusted": candidate.trusted,
        "routes": list(candidate.routes),
        "note": candidate.note,
        "failover": (sorted(failover.codes), failover.timeout_s, failover.budget_s),
        "contact_user": candidate.contact_user,
    }


def _candidate_from_data(data: CandidateData) -> Candidate:
    codes, timeout_s, budget_s = data["failover"]
    return Candidate(
        peer=data["peer"],
        flow=flow_from_data(data["flow"]),
        request_uri=data["request_uri"],
        our_host=data["our_host"],
        their_host=data["their_host"],
        rules=rules_from_data(data["rules"]),
        trusted=data["trusted"],
        routes=tuple(data["routes"]),
        note=data["note"],
        failover=Failover(frozenset(codes), timeout_s, budget_s),
        contact_user=data["contact_user"],
    )


def _port_to_data(port: MediaPort) -> PortData:
    return port.port, port.network, port.host, port.advertise


def _ending_to_data(ending: Ending) -> EndingData:
    return {
        "status": ending.status,
        "q850": ending.q850,
        "by": str(ending.by),
        "text": ending.text,
        "said": ending.said,
    }


def _ending_from_data(data: EndingData) -> Ending:
    return Ending(data["status"], data["q850"], EndedBy(data["by"]), data["text"], data["said"])
