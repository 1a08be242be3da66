"""BYE in all its directions, and everything given back.

Spec: RFC 3261 §15, RFC 5407 §3.2, RFC 3326.
"""

from sbc.b2bua.call import Timer
from sbc.b2bua.events import MediaSilent
from sbc.b2bua.table import State
from sbc.routing.model import Timers
from tests.kit.call import HOSTS, A, B, FakePorts, Story, a_call, an_invite, sdp

ANSWER = sdp(host=HOSTS[B])


def unacknowledged() -> Story:
    story = Story()
    story.begin()
    story.reply(200, body=ANSWER)
    return story


def test_either_leg_hangs_up() -> None:
    for one, other in ((A, B), (B, A)):
        story = Story().answered()
        assert story.ask(one, "BYE") == [
            f"{one.value} 200 BYE",
            "media off",
            "ports",
            f"{other.value} BYE",
        ]
        assert story.reply(200) == ["ended"]
        assert story.call.state is State.ENDED
        assert not story.call.timers


def test_a_reason_is_passed_on_unless_it_names_a_place() -> None:
    story = Story().answered()
    story.ask(B, "BYE", headers=('Reason: Q.850;cause=16;text="done"',))
    assert story.request(A).headers.first("reason") == 'Q.850;cause=16;text="done"'
    story = Story().answered()
    story.ask(B, "BYE", headers=(f'Reason: Q.850;cause=16;text="lost {HOSTS[B]}"',))
    assert HOSTS[B] not in (story.request(A).headers.first("reason") or "")


def test_crossing_byes_end_at_once() -> None:
    story = Story().answered()
    story.ask(A, "BYE")
    assert story.ask(B, "BYE") == ["b 200 BYE", "ended"]


def test_a_bye_that_gets_no_answer_ends_too() -> None:
    for why in ("timeout", "transport"):
        story = Story().answered()
        story.ask(A, "BYE")
        assert story.fail(why) == ["ended"]


def test_any_final_response_to_a_bye_ends_the_leg() -> None:
    for status in (200, 401, 481, 500):
        story = Story().answered()
        story.ask(A, "BYE")
        assert story.reply(status) == ["ended"]


def test_the_callee_s_bye_before_the_caller_s_ack_is_deferred_until_it() -> None:
    story = unacknowledged()
    assert story.ask(B, "BYE") == ["b 200 BYE", "media off", "ports"]
    assert story.wait(1) == ["a 200 INVITE"]
    assert story.ack(A) == ["a BYE"]
    assert story.reply(200) == ["ended"]


def test_a_deferred_bye_goes_out_when_the_ack_never_comes() -> None:
    story = unacknowledged()
    story.ask(B, "BYE")
    assert story.wait(33)[-1] == "a BYE"
    assert story.reply(481) == ["ended"]


def test_the_caller_s_bye_before_its_ack_leaves_the_2xx_repeated() -> None:
    story = unacknowledged()
    assert story.ask(A, "BYE") == ["a 200 BYE", "media off", "ports", "b BYE"]
    assert story.reply(200) == []
    assert story.wait(1) == ["a 200 INVITE"]
    assert story.ack(A) == ["ended"]


def test_a_bye_without_any_ack_ends_when_the_2xx_does() -> None:
    story = unacknowledged()
    story.ask(A, "BYE")
    story.reply(200)
    assert story.wait(33)[-1] == "ended"


def test_both_hang_up_before_the_ack() -> None:
    story = unacknowledged()
    story.ask(B, "BYE")
    assert story.ask(A, "BYE") == ["a 200 BYE"]
    assert story.ack(A) == ["ended"]


def test_we_end_an_unacknowledged_call_without_a_bye_too_early() -> None:
    story = unacknowledged()
    assert story.give_up() == ["media off", "ports", "b BYE"]
    assert story.ack(A) == ["a BYE"]


def test_a_bye_overtakes_a_reinvite() -> None:
    """The asker is told 487 now; the other leg owes us a final response and is waited for."""
    story = Story().answered()
    story.ask(A, "INVITE", sdp(version=2))
    assert story.ask(B, "BYE") == ["b 200 BYE", "media off", "ports", "a 487 INVITE", "a BYE"]
    assert story.reply(200) == []
    assert Timer.LINGER in story.running
    assert story.reply(487, to=story.sent_to(B, "INVITE")) == ["ended"]


def test_a_reinvite_accepted_while_the_call_ends_is_acknowledged() -> None:
    story = Story().answered()
    story.ask(A, "INVITE", sdp(version=2))
    story.ask(A, "BYE")
    assert story.reply(200, body=ANSWER, to=story.sent_to(B, "INVITE")) == ["b ACK"]
    assert story.reply(200, body=ANSWER, to=story.sent_to(B, "INVITE")) == ["b ACK"]
    assert story.reply(200, to=story.sent_to(B, "BYE")) == ["ended"]


def test_a_reinvite_that_is_never_answered_holds_the_end_up_for_64_t1_only() -> None:
    story = Story().answered()
    story.ask(A, "INVITE", sdp(version=2))
    story.ask(A, "BYE")
    assert story.reply(200) == []
    assert story.wait(33) == ["abandon", "ended"]


def test_a_pending_request_is_answered_when_the_other_leg_hangs_up() -> None:
    story = Story().answered()
    story.ask(A, "INFO")
    assert "a 487 INFO" in story.ask(B, "BYE")


def test_a_callee_that_waits_for_a_late_answer_is_acknowledged_before_the_bye() -> None:
    story = Story(a_call(an_invite(b"")))
    story.begin()
    story.reply(200, body=ANSWER)
    assert story.ask(A, "BYE") == ["a 200 BYE", "media off", "ports", "b ACK", "b BYE"]


def test_requests_after_the_end_began_find_no_dialog() -> None:
    story = Story().answered()
    story.ask(A, "BYE")
    for method in ("INVITE", "INFO", "OPTIONS", "UPDATE"):
        assert story.ask(B, method) == [f"b 481 {method}"]


def test_silence_ends_both_legs_with_a_reason() -> None:
    story = Story().answered()
    assert story.tell(MediaSilent(B, 60.0)) == ["media off", "ports", "a BYE", "b BYE"]
    for command in story.sent[-2:]:
        reason = command.request.headers.first("reason") or ""
        assert reason == 'Q.850;cause=41;text="no RTP from B for 60 s"'


def test_the_longest_duration_ends_both_legs() -> None:
    story = Story(a_call(timers=Timers(max_duration_s=100))).answered()
    assert story.wait(99) == []
    assert story.wait(2) == ["media off", "ports", "a BYE", "b BYE"]
    assert story.reply(200) == []
    assert story.reply(200, to=story.sent_to(A, "BYE")) == ["ended"]


def test_every_port_is_given_back_once() -> None:
    ports = FakePorts()
    two = "m=audio 40000 RTP/AVP 8\r\nm=video 40002 RTP/AVP 34\r\n"
    story = Story(a_call(an_invite(sdp(two)), ports=ports))
    story.begin()
    assert len(ports.out) == 4
    story.reply(200, body=sdp(two, host=HOSTS[B]))
    story.ack(A)
    story.ask(A, "BYE")
    assert not ports.out


def test_an_error_of_ours_in_the_middle_of_the_end_finishes_it() -> None:
    story = unacknowledged()
    story.ask(B, "BYE")
    assert story.give_up("a fault", by="internal") == ["a BYE", "ended"]


def test_an_operator_s_wish_for_an_end_that_has_begun_changes_nothing() -> None:
    story = Story().answered()
    story.ask(A, "BYE")
    assert story.give_up() == []
    assert story.reply(200) == ["ended"]


def test_the_first_reason_is_the_one_that_is_recorded() -> None:
    story = Story().answered()
    story.ask(A, "BYE")
    story.ask(B, "BYE")
    assert story.call.ending is not None
    assert story.call.ending.by == "caller"
