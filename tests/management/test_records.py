from sbc.b2bua.causes import Ending
from sbc.management.records import CallRecords, record_of
from sbc.state.cdr import CdrRecord, EndedBy, LegRecord, RtpTotals
from sbc.state.rows import record_of as record_of_row
from sbc.state.rows import row_of
from tests.management.a_call import a_call, counted


def test_an_answered_call_is_a_record_in_progress() -> None:
    call = a_call()
    call.answered_at = 102.5
    kept: list[CdrRecord] = []
    CallRecords(kept.append).call_answered(call)
    (record,) = kept
    assert (record.started_at, record.answered_at) == (1_700_000_000.0, 1_700_000_002.5)
    assert record.ended_at is None
    assert record.ladder == ""
    assert record.ended_by is None
    assert record.a == LegRecord("phones", "outside", "[2001:db8::7]:5062", "call-a")
    assert record.b == LegRecord("", "inside", "10.0.0.1:5060", "call-b")
    assert (record.from_number, record.to_number) == ("100", "600")


def test_an_ended_call_says_who_ended_it_why_and_what_was_heard() -> None:
    call = a_call()
    call.answered_at, call.ended_at, call.now = 102.5, 162.5, 162.5
    call.ends(Ending(200, 16, EndedBy.CALLEE, "the callee hung up"))
    call.counters = [counted(0, 3), counted(1, 4)]
    kept: list[CdrRecord] = []
    CallRecords(kept.append).call_ended(call)
    (record,) = kept
    assert record.duration_s == 60.0
    assert (record.status, record.q850, record.ended_by) == (200, 16, EndedBy.CALLEE)
    counted_a = RtpTotals(1000, 172_000, 7, 2.0, longest_burst=4, worst_loss_percent=2.0)
    assert record.from_a == counted_a
    assert record.from_b == RtpTotals(longest_burst=0, worst_loss_percent=0.0)
    assert record.role == "media-relay"
    assert record.ladder == (
        "0.000 sip a in INVITE sip:600@x\n"
        "0.500 decision - - the rule chose pbx\n"
        "62.500 decision - - ends: the callee hung up (by callee, remote)"
    )
    assert record_of_row(row_of(record)) == record


def test_a_refused_call_has_the_status_that_the_caller_got() -> None:
    call = a_call()
    call.ended_at = 100.5
    call.ends(Ending(486, 17, EndedBy.CALLEE, "busy"))
    record = record_of(call)
    assert (record.status, record.answered_at, record.duration_s) == (486, None, 0.0)


def test_every_word_for_an_end_is_a_word_of_the_record() -> None:
    words = "caller callee timeout policy media operator internal network crash"
    assert {word.value for word in EndedBy} == set(words.split())


def test_a_challenge_is_no_attempt_and_has_no_record() -> None:
    call = a_call()
    call.ended_at = 100.5
    call.ends(Ending(407, 21, EndedBy.CALLEE, "the callee answered 407"))
    kept: list[CdrRecord] = []
    CallRecords(kept.append).call_ended(call)
    assert kept == []
