"""A candidate that does not ring in time is cancelled, watched to its end, and the next is tried.

Spec: RFC 3261 §9.1, §13.2.2.4.
"""

import pytest

from sbc.b2bua.call import Timer
from sbc.b2bua.events import MediaRefused
from sbc.b2bua.table import State
from sbc.routing.model import Timers
from tests.kit.call import HOSTS, A, B, FakePorts, Story, a_call, sdp
from tests.kit.pair import BACKUP, CALLEE

ANSWER = sdp(host=HOSTS[B])
TIMERS = Timers(ring_s=10, no_answer_s=60)


def begun(*, trying: bool = True, restores: bool = False) -> Story:
    """The first candidate is invited, and said 100 or nothing."""
    story = Story(a_call(candidates=(CALLEE, BACKUP), timers=TIMERS), restores=restores)
    story.begin()
    if trying:
        story.reply(100)
    return story


def passed_over(*, trying: bool = True, restores: bool = False) -> Story:
    """It said no more for ten seconds."""
    story = begun(trying=trying, restores=restores)
    story.wait(10)
    return story


def confirmed(story: Story) -> Story:
    story.reply(180)
    story.reply(200, body=ANSWER)
    story.ack(A)
    return story


def test_the_next_candidate_is_invited_while_the_first_is_cancelled() -> None:
    story = begun()
    assert story.wait(10) == ["b CANCEL", "ports", "media", "b INVITE"]
    first, second = story.sent
    assert story.commands[0].request.call_id == first.request.call_id  # type: ignore[union-attr]
    assert 'cause=102;text="no sign of ringing"' in str(story.commands[0])
    assert second.flow.network == "spare"
    assert second.request.from_tag != first.request.from_tag
    assert story.running == {Timer.TRY, Timer.RING, Timer.NO_ANSWER, Timer.PASSED_OVER}


def test_once_the_first_said_487_nothing_more_is_expected_of_it() -> None:
    story = passed_over()
    assert story.reply(487, to=story.sent[0]) == []
    assert Timer.PASSED_OVER not in story.running
    confirmed(story)
    assert story.call.state is State.CONFIRMED
    assert story.ask(A, "BYE") == ["a 200 BYE", "media off", "ports", "b BYE"]
    assert story.reply(200) == ["ended"]


def test_the_last_candidate_that_does_not_ring_ends_the_call() -> None:
    story = passed_over()
    story.reply(487, to=story.sent[0])
    story.reply(100)
    assert story.wait(10) == ["a 504 INVITE", "media off", "ports", "b CANCEL"]
    assert story.reply(487) == ["ended"]


def test_without_a_provisional_response_the_cancel_waits_for_one() -> None:
    story = begun(trying=False)
    assert story.wait(10) == ["ports", "media", "b INVITE"]
    assert story.reply(180, to=story.sent[0]) == ["b CANCEL"]
    assert story.reply(180, to=story.sent[0]) == []
    assert story.call.state is State.CALLING


def test_a_first_candidate_that_never_said_anything_is_over_with_its_transaction() -> None:
    story = passed_over(trying=False)
    assert story.fail("timeout", to=story.sent[0]) == []
    confirmed(story)
    story.ask(A, "BYE")
    assert story.reply(200) == ["ended"]


def test_ringing_of_the_first_that_crosses_the_cancel_is_told_nobody() -> None:
    story = passed_over()
    assert story.reply(180, to=story.sent[0]) == []
    assert story.reply(183, body=ANSWER, to=story.sent[0]) == []
    assert story.call.state is State.CALLING
    assert Timer.RING in story.running


def test_an_answer_of_the_first_is_acknowledged_and_ended_and_the_call_goes_on() -> None:
    story = passed_over()
    first = story.sent[0]
    assert story.reply(200, body=ANSWER, to=first) == ["b ACK", "b BYE"]
    bye = story.sent[-1]
    assert bye.request.call_id == first.request.call_id
    assert bye.request.from_tag == first.request.from_tag
    assert bye.request.to_tag == "b-tag"
    assert bye.flow == first.flow
    assert story.reply(200, body=ANSWER, to=first) == ["b ACK"]
    assert story.reply(200, body=ANSWER, to=first, tag="fork") == []
    assert story.reply(200, to=bye) == []
    assert story.reply(200, body=ANSWER, to=first) == ["b ACK"]
    story.reply(180, to=story.sent[1])
    assert story.reply(200, body=ANSWER, to=story.sent[1])[-1] == "answered"


@pytest.mark.parametrize("status", [486, 503])
def test_a_call_waits_for_the_first_after_the_second_refused(status: int) -> None:
    story = passed_over()
    told = story.reply(status)
    assert told[1:] == ["media off", "ports"]
    assert story.call.state is State.ENDING
    assert story.running == {Timer.PASSED_OVER}
    assert story.reply(487, to=story.sent[0]) == ["ended"]
    assert story.call.state is State.ENDED


def test_a_call_that_was_cancelled_waits_for_both() -> None:
    story = passed_over()
    story.reply(180)
    story.cancel()
    assert story.reply(487) == []
    assert story.reply(200, body=ANSWER, to=story.sent[0]) == ["b ACK", "b BYE"]
    assert story.reply(200) == ["ended"]


def test_a_first_candidate_that_says_nothing_more_is_given_up_after_64_t1() -> None:
    story = passed_over()
    story.reply(486)
    assert story.wait(31) == []
    assert story.wait(2) == ["abandon", "ended"]


def test_giving_it_up_leaves_a_live_call_alone() -> None:
    story = confirmed(passed_over())
    assert story.wait(33) == ["abandon"]
    assert story.call.state is State.CONFIRMED
    assert story.running == {Timer.MAX_DURATION}


def test_a_call_that_hung_up_waits_for_the_bye_to_the_first() -> None:
    story = passed_over()
    story.reply(200, body=ANSWER, to=story.sent[0])
    bye = story.sent[-1]
    story.reply(200, body=ANSWER, to=story.sent[1])
    story.ack(A)
    story.ask(A, "BYE")
    assert story.reply(200) == []
    assert story.fail("timeout", to=bye) == ["ended"]


def test_an_answer_of_the_first_that_cannot_be_acknowledged_is_noted() -> None:
    story = passed_over()
    assert story.reply(200, body=ANSWER, to=story.sent[0], contact="<broken") == []
    assert any("2xx cannot be acknowledged" in entry.text for entry in story.call.journal.entries)
    assert story.reply(486)[-1] == "ended"


def test_a_relay_that_refuses_the_next_plan_ends_the_call_after_the_first() -> None:
    story = passed_over()
    assert story.tell(MediaRefused("full")) == ["a 503 INVITE", "media off", "ports"]
    assert story.reply(487, to=story.sent[0]) == ["ended"]


def test_no_port_for_the_next_ends_the_call_after_the_first() -> None:
    ports = FakePorts(most=2)
    call = a_call(candidates=(CALLEE, BACKUP), timers=TIMERS, ports=ports)
    story = Story(call)
    story.begin()
    story.reply(100)
    assert story.wait(10) == ["b CANCEL", "a 503 INVITE", "media off", "ports"]
    assert not ports.out
    assert story.reply(487) == ["ended"]


def test_an_error_of_ours_abandons_the_first_too() -> None:
    story = passed_over()
    story.give_up("a fault", by="internal")
    assert story.give_up("another", by="internal") == ["abandon", "abandon", "ended"]


def test_all_of_it_survives_a_restart_at_any_moment() -> None:
    def tell(*, restores: bool) -> list[object]:
        story = passed_over(restores=restores)
        said: list[object] = [story.commands]
        for step in (
            lambda: story.reply(180, to=story.sent[0]),
            lambda: story.reply(200, body=ANSWER, to=story.sent[0]),
            lambda: story.reply(200, body=ANSWER, to=story.sent[0]),
            lambda: story.reply(486, to=story.sent[1]),
            lambda: story.reply(200, to=story.sent[-1]),
        ):
            said += [step(), story.commands]
        return said

    assert tell(restores=True) == tell(restores=False)
