"""Call records made of calls: what a Call knows, in the words of the record.

Spec: RFC 7092 §3 (our role).
"""

import json
from collections.abc import Callable

from media.types import SideName
from sbc.b2bua.call import Call
from sbc.b2bua.causes import q850_of
from sbc.b2bua.leg import Leg
from sbc.driver.refused import RefusedRequest
from sbc.management.ladder import ladder_text
from sbc.management.quality import all_streams, rtp_totals
from sbc.policy.explain import decision_data
from sbc.routing.facing import host_port
from sbc.state.cdr import CdrRecord, EndedBy, LegRecord, RtpTotals

CHALLENGES = frozenset({401, 407})


class CallRecords:
    """Writes the record of a call when it is answered and again when it is over."""

    def __init__(self, put: Callable[[CdrRecord], None]) -> None:
        self._put = put

    def call_answered(self, call: Call) -> None:
        """The callee answered: from here on a crash must not lose the call."""
        self._put(record_of(call))

    def call_ended(self, call: Call) -> None:
        """The call is over; its record is complete.

        A challenge is a question, not the end of an attempt: the same caller asks again with
        credentials, and that call has its record.
        """
        if call.ending is None or call.ending.status not in CHALLENGES:
            decided = call.decided
            explanation = "" if decided is None else _text(decision_data(decided.decision))
            ladder = ladder_text(call.journal, call.started_at)
            self._put(record_of(call, ladder, explanation))

    def call_refused(self, refused: RefusedRequest) -> None:
        """A call was refused before it began: its record is all there is of it."""
        leg = LegRecord(refused.peer, refused.network, refused.source, refused.call_id)
        self._put(
            CdrRecord(
                call=refused.id,
                session_id="",
                started_at=refused.at,
                answered_at=None,
                ended_at=refused.at,
                from_number=refused.caller,
                to_number=refused.callee,
                a=leg,
                b=LegRecord(),
                status=refused.status,
                q850=q850_of(refused.status),
                ended_by=EndedBy.POLICY,
                reason=refused.why,
                explanation=_text(refused.explanation),
            )
        )


def _text(explanation: dict[str, object]) -> str:
    return json.dumps(explanation, separators=(",", ":"))


def record_of(call: Call, ladder: str = "", explanation: str = "") -> CdrRecord:
    """The record of a call as it stands."""
    ending = call.ending
    return CdrRecord(
        call=call.name,
        session_id=call.a.uuid,
        started_at=call.started_wall,
        answered_at=_wall(call, call.answered_at),
        ended_at=_wall(call, call.ended_at),
        from_number=call.caller,
        to_number=call.callee,
        a=_leg(call.a),
        b=_leg(call.b),
        route=call.route,
        status=200 if call.answered_at is not None else ending.status if ending else 0,
        q850=ending.q850 if ending is not None else 0,
        ended_by=ending.by if ending is not None else None,
        reason=ending.text if ending is not None else "",
        from_a=_totals(call, SideName.A),
        from_b=_totals(call, SideName.B),
        role="media-aware" if _encrypts(call) else "media-relay",
        ladder=ladder,
        account=None if call.charge is None else call.charge.account,
        number=None if call.charge is None else call.charge.number,
        diverter=None if call.charge is None else call.charge.diverter,
        configuration=call.context.version or None,
        explanation=explanation,
    )


def _wall(call: Call, at: float | None) -> float | None:
    return None if at is None else call.started_wall + at - call.started_at


def _leg(leg: Leg) -> LegRecord:
    return LegRecord(leg.peer, leg.flow.network, host_port(*leg.flow.remote), leg.call_id)


def _totals(call: Call, side: SideName) -> RtpTotals:
    return all_streams(
        rtp_totals(counted.a, counted.b, counted.clock_hz)
        if side is SideName.A
        else rtp_totals(counted.b, counted.a, counted.clock_hz)
        for counted in call.counters
    )


def _encrypts(call: Call) -> bool:
    """Whether we protect or unprotect packets: more than a relay (RFC 7092 §3.2.2)."""
    return any(
        media.has("crypto")
        for leg in (call.a, call.b)
        if leg.negotiation.local is not None
        for media in leg.negotiation.local.media
    )
