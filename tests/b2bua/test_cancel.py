"""CANCEL and its races, before and after the answer.

Spec: RFC 3261 §9, RFC 5407 §3.1.
"""

from sbc.b2bua.call import Timer
from sbc.b2bua.table import State
from sbc.sip.message import Request
from tests.kit.call import HOSTS, A, B, Story, a_call, sdp
from tests.kit.pair import BACKUP, CALLEE


def test_a_cancel_is_answered_and_passed_on() -> None:
    story = Story()
    story.begin()
    story.reply(180)
    assert story.cancel() == ["a 200 CANCEL", "a 487 INVITE", "media off", "ports", "b CANCEL"]
    assert story.call.state is State.CANCELLING
    assert story.reply(487) == ["ended"]


def test_a_cancel_copies_what_names_the_invite() -> None:
    story = Story()
    story.begin()
    invite = story.request(B)
    story.reply(180)
    story.cancel()
    cancel = story.request(B)
    assert cancel.method == "CANCEL"
    assert cancel.uri_text == invite.uri_text
    for name in ("via", "from", "to", "call-id", "session-id"):
        assert cancel.headers.all(name) == invite.headers.all(name)
    assert cancel.cseq.number == invite.cseq.number


def test_why_the_caller_gave_up_reaches_the_callee() -> None:
    reason = 'SIP;cause=200;text="Call completed elsewhere"'
    story = Story()
    story.begin()
    story.reply(180)
    story.cancel(headers=(f"Reason: {reason}",))
    assert story.request(B).headers.first("reason") == reason


def test_a_cancel_waits_for_a_provisional_response_and_keeps_its_reason() -> None:
    story = Story()
    story.begin()
    assert story.cancel(headers=("Reason: SIP;cause=200",)) == [
        "a 200 CANCEL",
        "a 487 INVITE",
        "media off",
        "ports",
    ]
    assert story.reply(100) == ["b CANCEL"]
    assert story.request(B).headers.first("reason") == "SIP;cause=200"
    assert story.reply(180) == []
    assert story.reply(487) == ["ended"]


def test_the_wait_after_a_late_cancel_counts_from_the_cancel() -> None:
    story = Story()
    story.begin()
    story.cancel()
    story.wait(30)
    story.reply(100)
    assert story.wait(31) == []
    assert story.wait(2) == ["abandon", "ended"]


def test_a_cancelled_invite_that_nobody_answers_ends_by_itself() -> None:
    story = Story()
    story.begin()
    story.cancel()
    assert story.fail("timeout") == ["ended"]


def test_a_2xx_that_crosses_the_cancel_is_acknowledged_and_ended() -> None:
    story = Story()
    story.begin()
    story.reply(180)
    story.cancel()
    assert story.reply(200, body=sdp(host=HOSTS[B]), to=story.sent[0]) == ["b ACK", "b BYE"]
    assert story.call.state is State.ENDING
    assert story.reply(200, body=sdp(host=HOSTS[B]), to=story.sent[0]) == ["b ACK"]
    assert story.reply(200) == ["ended"]


def test_a_2xx_that_cannot_be_acknowledged_still_ends_the_call() -> None:
    story = Story()
    story.begin()
    story.reply(180)
    story.cancel()
    assert story.reply(200, to=story.sent[0], contact="<nonsense") == ["ended"]


def test_a_cancel_that_comes_after_the_answer_changes_nothing() -> None:
    story = Story()
    story.begin()
    story.reply(200, body=sdp(host=HOSTS[B]))
    assert story.cancel() == ["a 200 CANCEL"]
    assert story.call.state is State.ANSWERED


def test_a_failure_after_the_cancel_hunts_no_further() -> None:
    story = Story(a_call(candidates=(CALLEE, BACKUP)))
    story.begin()
    story.reply(100)
    story.cancel()
    assert story.reply(503) == ["ended"]


def test_the_caller_s_bye_before_the_answer_means_cancel() -> None:
    story = Story()
    story.begin()
    story.reply(180)
    assert story.ask(A, "BYE") == [
        "a 200 BYE",
        "a 487 INVITE",
        "media off",
        "ports",
        "b CANCEL",
    ]
    assert story.reply(487, to=story.sent[0]) == ["ended"]


def test_the_callee_s_bye_before_its_2xx_arrived_ends_the_call() -> None:
    story = Story()
    story.begin()
    story.reply(180)
    assert story.ask(B, "BYE") == [
        "b 200 BYE",
        "a 480 INVITE",
        "media off",
        "ports",
        "b CANCEL",
    ]
    assert story.reply(200, to=story.sent[0]) == ["b ACK", "b BYE"]
    assert story.reply(481) == ["ended"]


def test_an_operator_does_not_cut_a_cancel_short_but_an_error_of_ours_does() -> None:
    story = Story()
    story.begin()
    story.reply(180)
    story.cancel()
    assert story.give_up() == []
    assert story.give_up("a fault", by="internal") == ["abandon", "ended"]


def test_a_cancelled_reinvite_leaves_the_decision_to_the_other_leg() -> None:
    story = Story().answered()
    story.ask(A, "INVITE", sdp(version=2))
    key = story.key
    assert story.cancel(key=key, headers=("Reason: SIP;cause=487",)) == ["a 200 CANCEL"]
    assert story.reply(180) == ["b CANCEL"]
    cancel = story.request(B)
    assert isinstance(cancel, Request)
    assert cancel.headers.first("reason") == "SIP;cause=487"
    assert cancel.to_tag == "b-tag"
    assert story.reply(487, to=story.sent_to(B, "INVITE")) == ["a 487 INVITE"]
    assert story.call.state is State.CONFIRMED
    assert not story.call.exchanges
    assert Timer.REINVITE not in story.running


def test_a_reinvite_that_nobody_answers_is_cancelled_then_forgotten_and_the_call_stays() -> None:
    story = Story().answered()
    plan = story.call.plan
    story.ask(A, "INVITE", sdp(version=2))
    story.reply(100)
    assert story.wait(181) == ["b CANCEL"]
    assert story.wait(33) == ["abandon", "a 504 INVITE"]
    assert story.call.state is State.CONFIRMED
    assert story.call.plan == plan
    assert story.ask(B, "INVITE", sdp(host=HOSTS[B], version=2)) == ["b 100 INVITE", "a INVITE"]
