"""Call records to put."""

from dataclasses import replace

from sbc.state.cdr import CdrRecord, EndedBy, LegRecord, RtpTotals


def a_record(call: str = "c1", **changes: object) -> CdrRecord:
    """A whole record with something different in every field."""
    record = CdrRecord(
        call=call,
        session_id="a" * 32,
        started_at=1000.0,
        answered_at=1002.5,
        ended_at=1062.5,
        from_number="100",
        to_number="600",
        a=LegRecord("phones", "public", "[2001:db8::1]:5060", "abc@phone"),
        b=LegRecord("pbx", "lan", "10.0.0.1:5060", "def@sbc"),
        route="to the PBX",
        status=200,
        q850=16,
        ended_by=EndedBy.CALLEE,
        reason="the callee hung up",
        from_a=RtpTotals(
            *(3000, 516_000, 3, 1.5),
            longest_burst=2,
            worst_loss_percent=4.5,
            mos=4.38,
            worst_mos=3.75,
            mos_codec="G.711",
            round_trip_ms=41.2,
            reported_lost=240,
            reported_jitter_ms=12.375,
            lost_behind_us=237,
        ),
        from_b=RtpTotals(2990, 514_280, 0, 0.25, longest_burst=0, worst_loss_percent=0.0),
        role="media-aware",
        ladder="0.000 sip a in INVITE sip:600@sbc\n60.021 decision - - ends",
        explanation='{"rule": "known peers"}',
    )
    return replace(record, **changes)  # type: ignore[arg-type]  # names are the fields'


def in_progress(call: str = "c1", answered_at: float = 1002.5) -> CdrRecord:
    """A call that was answered and goes on."""
    changes = {"answered_at": answered_at, "ended_at": None, "ended_by": None}
    return a_record(call, **changes, reason="", ladder="", explanation="")
