"""What the process tells an operator of its peers and their targets: the command ``peers``.

One row for each place that a target stands for, and one for a target that stands for none now.
"""

from sbc.driver.in_force import InForce
from sbc.driver.placing import located, ways_to
from sbc.driver.switchboard import Switchboard
from sbc.management.listing import Row
from sbc.routing.facing import host_port
from sbc.routing.hops import Hop
from sbc.routing.model import Peer, Target

_NO_LISTENER = "its network has no listener of that transport and family"


def peers_listing(board: Switchboard, now: float) -> list[Row]:
    """The rows, in the order of the configuration; phones have none, since they register."""
    force = board.force
    return [
        row
        for peer in force.settings.peers
        for target in peer.targets
        for row in _target_rows(board, force, peer, target, now)
    ]


def _target_rows(
    board: Switchboard, force: InForce, peer: Peer, target: Target, now: float
) -> list[Row]:
    common = {
        "peer": peer.name,
        "kind": peer.kind,
        "network": peer.network,
        "target": _written(target),
        "priority": target.rank.priority,
        "weight": target.rank.weight,
        "drain": target.drain,
        **_of_the_peer(board, peer, now),
    }
    rows = [
        {**common, **_of_the_hop(board, Hop(peer.name, flow), now)}
        for _, flow in ways_to(force, peer, target)
    ]
    if rows:
        return rows
    known = located(force, peer, target)
    state, why = ("unreachable", _NO_LISTENER) if known.places else ("unresolved", known.trouble)
    return [{**common, "place": None, "state": state, "calls": 0, "evidence": why or None}]


def _of_the_peer(board: Switchboard, peer: Peer, now: float) -> Row:
    caps = board.caps
    limits = caps.limits(peer.name)
    registration = board.carriers.registrations.of_peer(peer.name)
    return {
        "registration": None if registration is None else registration.state.value,
        "peer_calls": caps.calls(peer.name),
        "max_calls": limits.max_calls,
        "begun_last_second": caps.begun(peer.name, now),
        "calls_per_second": limits.calls_per_second,
        "kbps": caps.kbps(peer.name) if caps.weighs else None,
        "max_kbps": limits.max_kbps,
    }


def _of_the_hop(board: Switchboard, hop: Hop, now: float) -> Row:
    row: Row = {
        "place": f"{host_port(*hop.flow.remote)};transport={hop.flow.transport}",
        "calls": board.calls.at(hop),
    }
    record = board.hops.health.record(hop)
    if record is None:
        return {**row, "state": "unknown", "evidence": None}
    seen_at = record.evidence_at
    rests_s = max(0.0, record.rests_until - now)
    return {
        **row,
        "state": record.state.value,
        "state_s": round(now - record.since, 1),
        "rests_s": round(rests_s, 1),
        "evidence": record.evidence or None,
        "evidence_s": None if seen_at is None else round(now - seen_at, 1),
        "probe": record.peer.health.probe,
    }


def _written(target: Target) -> str:
    """As an operator writes it."""
    text = f"[{target.host}]" if ":" in target.host else target.host
    if target.port is not None:
        text += f":{target.port}"
    return text if target.transport is None else f"{text};transport={target.transport}"
