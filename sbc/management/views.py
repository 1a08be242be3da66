"""What the operator's commands show: the running process as plain data."""

from collections.abc import Callable
from typing import Any

import trio

from media.relay import Relay
from media.types import FlowCounters, SideName
from sbc.b2bua.call import Call
from sbc.b2bua.leg import Leg
from sbc.driver.switchboard import Switchboard
from sbc.registrar.binding import Binding
from sbc.routing.facing import bracketed
from sbc.state.sqlite import CdrStore
from sbc.transport.transports import Transports

Row = dict[str, Any]


class Views:
    """Reads, never changes."""

    def __init__(
        self,
        switchboard: Switchboard,
        relay: Relay,
        transports: Transports,
        store: CdrStore,
        wall: Callable[[], float],
    ) -> None:
        self._switchboard = switchboard
        self._relay = relay
        self._transports = transports
        self._store = store
        self._wall = wall
        self._since = wall()

    def calls(self) -> list[Row]:
        """Every live call."""
        now = trio.current_time()
        return [_call_row(call, now) for call in self._switchboard.calls]

    def call(self, name: str) -> Row | None:
        """One live or recent call with its journal and what its media does."""
        call = self._switchboard.calls.by_name(name)
        if call is None:
            return None
        now = trio.current_time()
        row = _call_row(call, now)
        row["journal"] = [
            {
                "at": round(entry.at - call.started_at, 6),
                "kind": entry.kind,
                "side": entry.side,
                "direction": entry.direction,
                "text": entry.summary,
                "raw": entry.raw.decode("latin-1"),
            }
            for entry in call.journal.entries
        ]
        row["dropped"] = call.journal.dropped
        row["media"] = self._media(call)
        return row

    def registrations(self) -> list[Row]:
        """Every binding."""
        now = trio.current_time()
        return [_binding_row(b, now) for b in self._switchboard.registrar.bindings]

    def status(self) -> Row:
        """How the process is doing; the numbers that must come back to zero when nobody calls."""
        board = self._switchboard
        counts = board.layer.counts
        statistics = trio.lowlevel.current_statistics()
        tally = board.tally
        return {
            "uptime_s": round(self._wall() - self._since, 1),
            "draining": board.reception.draining,
            "calls": len(board.calls),
            "calls_total": board.calls.total,
            "registrations": len(board.registrar.bindings),
            "dialogs": board.calls.dialogs,
            "transactions": {"clients": counts.clients, "servers": counts.servers},
            "owned_transactions": board.outbox.owned,
            "media": {
                "engine": self._relay.engine_name,
                "why": self._relay.engine_reason,
                "streams": len(self._relay.streams()),
                "planned_calls": board.outbox.planned,
                "ports_in_use": board.ports.in_use(),
            },
            "connections": self._transports.connections,
            "tasks": statistics.tasks_living,
            "received": {
                name: getattr(tally, name) for name in type(tally).__slots__ if name[0] != "_"
            },
            "records": {"put": self._store.statistics.put, "waiting": self._store.waiting},
        }

    def _media(self, call: Call) -> list[Row]:
        """Counters and latches of a live call's streams, or what was counted of an ended one."""
        if call.plan is None:
            return [
                {"index": c.index, "clock_hz": c.clock_hz, "a": _counted(c.a), "b": _counted(c.b)}
                for c in call.counters
            ]
        rows: list[Row] = []
        for stream in call.plan.streams:
            stream_id = (call.name, stream.index)
            if stream_id not in self._relay.streams():
                continue
            counters = self._relay.counters(stream_id)
            row: Row = {"index": stream.index, "clock_hz": stream.clock_hz}
            for side in SideName:
                row[side.value] = _counted(counters[side])
            for (side, component), latch in self._relay.latches(stream_id).items():
                if latch.source is not None:
                    key = f"{side.value}_{component.name.lower()}_latch"
                    row[key] = {
                        "source": _place(*latch.source),
                        "rank": latch.rank.name.lower(),
                    }
            rows.append(row)
        return rows


def _call_row(call: Call, now: float) -> Row:
    until = call.ended_at if call.ended_at is not None else now
    return {
        "call": call.name,
        "state": call.state.value,
        "from": call.caller,
        "to": call.callee,
        "started_at": call.started_wall,
        "age_s": round(until - call.started_at, 1),
        "answered_s": None if call.answered_at is None else round(until - call.answered_at, 1),
        "route": call.route,
        "session_id": call.a.uuid,
        "a": _leg_row(call.a),
        "b": _leg_row(call.b),
        "ended": None if call.ending is None else call.ending.text,
    }


def _leg_row(leg: Leg) -> Row:
    return {
        "peer": leg.peer,
        "network": leg.flow.network,
        "transport": leg.flow.transport,
        "remote": _place(*leg.flow.remote),
        "call_id": leg.call_id,
    }


def _binding_row(binding: Binding, now: float) -> Row:
    return {
        "aor": binding.aor,
        "contact": binding.contact,
        "network": binding.flow.network,
        "transport": binding.flow.transport,
        "source": _place(*binding.flow.remote),
        "registrar": binding.registrar,
        "expires_s": round(binding.expires_at - now),
        "behind_nat": binding.nat.behind_nat,
        "nat_evidence": str(binding.nat),
        "reachable": binding.reachable,
        "user_agent": binding.user_agent,
    }


def _counted(counters: FlowCounters) -> Row:
    return {
        "packets": counters.packets,
        "octets": counters.octets,
        "rtcp_packets": counters.rtcp_packets,
        "sent_packets": counters.sent_packets,
        "lost": counters.lost,
        "jitter_ticks": round(counters.jitter_ticks, 1),
        "drops": {reason.name.lower(): count for reason, count in counters.drops.items()},
    }


def _place(host: str, port: int) -> str:
    return f"{bracketed(host)}:{port}"
