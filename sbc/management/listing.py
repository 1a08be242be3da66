"""What the process tells an operator of its calls and registrations, as JSON can carry it.

These are the answers of the control commands ``calls``, ``call``, ``registrations`` and ``trunks``;
the CLI makes its tables and ladders of them. Times are seconds: ``…_at`` since the epoch, ``…_s``
spans.
"""

from collections.abc import Iterable

from sbc.b2bua.call import Call
from sbc.b2bua.leg import Leg
from sbc.management.redaction import without_secrets
from sbc.registrar.binding import Binding
from sbc.routing.facing import host_port
from sbc.trunks.registration import Registration

Row = dict[str, object]


def calls_listing(calls: Iterable[Call], now: float) -> list[Row]:
    """One row per call, in the order given.

    Args:
        now: Monotonic seconds, of the calls' clock.
    """
    return [call_row(call, now) for call in calls]


def call_row(call: Call, now: float) -> Row:
    """A call in one line."""
    end = now if call.ended_at is None else call.ended_at
    answered = call.answered_at
    return {
        "call": call.name,
        "state": call.state.value,
        "from": call.caller,
        "to": call.callee,
        "a": _leg(call.a),
        "b": _leg(call.b),
        "route": call.route,
        "started_at": call.started_wall,
        "age_s": round(end - call.started_at, 3),
        "talking_s": None if answered is None else round(end - answered, 3),
        "ended_by": None if call.ending is None else call.ending.by,
        "origin": None if call.ending is None else call.ending.by.origin,
        "reason": None if call.ending is None else call.ending.text,
    }


def call_story(call: Call, now: float) -> Row:
    """A call with its journal, of which the CLI draws the ladder; times count from its start.

    Messages come as they were, but for the secrets in them.
    """
    journal = call.journal
    return {
        **call_row(call, now),
        "dropped": journal.dropped,
        "journal": [
            {
                "at": round(entry.at - call.started_at, 6),
                "kind": entry.kind,
                "side": entry.side,
                "direction": entry.direction,
                "summary": without_secrets(entry.summary),
                "raw": without_secrets(entry.raw.decode("utf-8", "replace")),
            }
            for entry in journal.entries
        ],
    }


def registrations_listing(bindings: Iterable[Binding], now: float) -> list[Row]:
    """One row per registered contact, of phones with several flows one per flow, by user.

    ``expires_in_s`` is when we take the phone for gone, ``registrar_expires_in_s`` when its
    registrar does: later, where a cache answers for it.
    """
    rows: list[Row] = [
        {
            "aor": binding.aor,
            "contact": binding.contact,
            "network": binding.flow.network,
            "transport": binding.flow.transport,
            "source": host_port(*binding.flow.remote),
            "registrar": binding.registrar,
            "mode": binding.mode,
            "expires_in_s": round(binding.expires_at - now, 1),
            "registrar_expires_in_s": round(binding.kept_until - now, 1),
            "flow": binding.reg_id,
            "pinhole_s": binding.pinhole_s,
            "path": list(binding.path),
            "behind_nat": binding.nat.behind_nat,
            "nat": str(binding.nat),
            "reachable": binding.reachable,
            "user_agent": binding.user_agent,
        }
        for binding in bindings
    ]
    return sorted(rows, key=lambda row: (str(row["aor"]), str(row["source"])))


def trunks_listing(registrations: Iterable[Registration], now: float) -> list[Row]:
    """One row per registration of ours with a trunk, in the order of the configuration."""
    return [
        {
            "trunk": one.peer,
            "account": one.aor,
            "state": one.state.value,
            "registered": one.home is not None,
            "state_s": round(now - one.since, 1),
            "target": None if one.flow is None else host_port(*one.flow.remote),
            "transport": None if one.flow is None else one.flow.transport,
            "expires_in_s": None if one.expires_at is None else round(one.expires_at - now, 1),
            "next_in_s": round(max(0.0, one.due - now), 1),
            "failures": one.failures,
            "last_error": one.cause or None,
            "last_error_ago_s": None if one.failed_at is None else round(now - one.failed_at, 1),
            "associated": list(one.grant.associated) if one.grant is not None else [],
        }
        for one in registrations
    ]


def _leg(leg: Leg) -> Row:
    return {
        "peer": leg.peer,
        "network": leg.flow.network,
        "transport": leg.flow.transport,
        "address": host_port(*leg.flow.remote),
        "call_id": leg.call_id,
    }
