"""A call that one candidate fails goes on to the next, within one budget, and ends with the best.

Spec: RFC 3261 §16.7, §21.5.4; RFC 3263 §4.3.
"""

from dataclasses import replace

import pytest

from sbc.b2bua.call import Timer
from sbc.b2bua.table import State
from sbc.routing.failover import Failover
from sbc.routing.model import Timers
from tests.kit.call import HOSTS, A, B, Story, a_call, sdp
from tests.kit.pair import BACKUP, CALLEE

ANSWER = sdp(host=HOSTS[B])


def begun(
    *names: str, failover: Failover | None = None, timers: Timers | None = None, **more: object
) -> Story:
    """A call to those candidates, whose first is invited."""
    call = a_call(candidates=names or (CALLEE, BACKUP), timers=timers)
    if failover is not None:
        call.candidates = tuple(replace(one, failover=failover) for one in call.candidates)
    story = Story(call, **more)  # type: ignore[arg-type]  # passed on
    story.begin()
    return story


def seen(story: Story) -> list[tuple[str, bool, str]]:
    return [(one.hop.peer, one.alive, one.evidence) for one in story.seen]


def decisions(story: Story) -> list[str]:
    return [one.text for one in story.call.journal.entries if one.kind == "decision"]


class TestSilence:
    def test_the_next_is_invited_after_four_seconds_without_any_response(self) -> None:
        story = begun()
        assert story.wait(3.9) == []
        assert story.wait(0.2) == ["ports", "media", "b INVITE"]
        assert story.sent[-1].flow.network == "spare"
        assert seen(story) == [(CALLEE, False, "INVITE got no response within 4 s")]
        assert decisions(story)[-1] == "callee: no response within 4 s; trying backup"

    def test_100_is_a_response(self) -> None:
        story = begun()
        story.reply(100)
        assert story.wait(15) == []
        assert seen(story) == []

    def test_the_last_one_is_waited_for_as_long_as_its_transaction(self) -> None:
        story = begun(CALLEE)
        assert story.wait(31) == []
        assert story.call.state is State.CALLING
        assert story.fail("timeout")[0] == "a 504 INVITE"
        assert len(story.seen) == 1

    def test_one_that_answers_after_it_was_left_is_acknowledged_and_ended(self) -> None:
        story = begun()
        story.wait(4)
        assert story.reply(200, body=ANSWER, to=story.sent[0]) == ["b ACK", "b BYE"]

    def test_how_long_is_for_the_configuration_to_say(self) -> None:
        story = begun(failover=Failover(timeout_s=1.5))
        assert story.wait(1.4) == []
        assert story.wait(0.1) == ["ports", "media", "b INVITE"]

    def test_each_candidate_has_that_long(self) -> None:
        story = begun(CALLEE, BACKUP, CALLEE)
        story.wait(4)
        assert story.wait(3.9) == []
        assert story.wait(0.1) == ["ports", "media", "b INVITE"]

    def test_silence_of_all_of_them_survives_a_restart_at_any_moment(self) -> None:
        def tell(*, restores: bool) -> list[object]:
            story = begun(CALLEE, BACKUP, CALLEE, restores=restores)
            return [story.wait(3), story.wait(3), story.wait(4), story.commands, story.reply(404)]

        assert tell(restores=True) == tell(restores=False)


class TestBudget:
    def test_when_it_is_used_up_nobody_else_is_tried(self) -> None:
        story = begun(failover=Failover(budget_s=10))
        story.reply(180)
        story.wait(11)
        assert story.reply(503)[0] == "a 500 INVITE"
        assert "nobody else is tried: the 10 s for that are over" in decisions(story)

    def test_it_counts_from_the_beginning_of_the_call(self) -> None:
        story = begun(CALLEE, BACKUP, CALLEE, failover=Failover(budget_s=6))
        story.wait(4)
        assert len(story.sent) == 2
        story.wait(20)
        assert len(story.sent) == 2

    def test_at_its_end_at_the_latest_who_does_not_ring_is_left_for_the_next(self) -> None:
        story = begun(failover=Failover(budget_s=10))
        story.reply(100)
        assert story.wait(9.9) == []
        assert story.wait(0.1) == ["b CANCEL", "ports", "media", "b INVITE"]

    def test_the_last_one_may_ring_late_all_the_same(self) -> None:
        story = begun(failover=Failover(budget_s=10), timers=Timers(ring_s=30))
        story.reply(100)
        story.wait(10)
        story.reply(100)
        assert story.wait(29) == []
        assert story.wait(2)[0] == "a 504 INVITE"

    def test_a_wake_up_that_comes_late_takes_no_try_away(self) -> None:
        story = begun(failover=Failover(budget_s=10))
        story.reply(100)
        story.now = 10.4
        assert story.wait(0) == ["b CANCEL", "ports", "media", "b INVITE"]


class TestCodes:
    @pytest.mark.parametrize("status", [408, 430, 500, 502, 503, 504])
    def test_what_hunts_by_default(self, status: int) -> None:
        assert begun().reply(status) == ["ports", "media", "b INVITE"]

    @pytest.mark.parametrize("status", [400, 403, 404, 480, 484, 486, 488, 501, 600, 603, 606])
    def test_what_does_not(self, status: int) -> None:
        assert begun().reply(status)[0] == f"a {status} INVITE"

    def test_chosen_codes_hunt_in_their_place(self) -> None:
        chosen = Failover(frozenset({404, 488}))
        assert begun(failover=chosen).reply(404) == ["ports", "media", "b INVITE"]
        assert begun(failover=chosen).reply(488) == ["ports", "media", "b INVITE"]
        assert begun(failover=chosen).reply(503)[0] == "a 500 INVITE"

    def test_ports_of_the_one_that_failed_go_back_before_the_next_is_invited(self) -> None:
        story = begun()
        before = set(story.ports.out)
        assert story.reply(503) == ["ports", "media", "b INVITE"]
        assert {network for network, _ in story.ports.out - before} == {"spare"}
        assert len(story.ports.out) == len(before)


class TestTheBestAnswer:
    @pytest.mark.parametrize(
        ("first", "second", "told"),
        [
            (404, 503, 404),
            (404, 500, 404),
            (500, 503, 500),
            (503, 500, 500),
            (503, 404, 404),
            (404, 480, 480),
            (484, 404, 484),
            (404, 603, 603),
            (408, 500, 500),
            (503, 486, 486),
            (502, 504, 504),
        ],
    )
    def test_is_the_one_that_the_caller_gets(self, first: int, second: int, told: int) -> None:
        story = begun(failover=Failover(frozenset({404, 408, 484, 500, 502, 503})))
        story.reply(first)
        assert story.reply(second)[0] == f"a {told} INVITE"

    def test_an_answer_about_the_callee_is_better_than_silence_of_the_next(self) -> None:
        story = begun(failover=Failover(frozenset({404})))
        story.reply(404, reason="No Such User")
        assert story.fail("transport")[0] == "a 404 INVITE"
        assert story.call.ending is not None
        assert story.call.ending.text == "the callee answered 404 No Such User"

    def test_one_about_the_way_is_not(self) -> None:
        story = begun()
        story.reply(503)
        assert story.fail("timeout")[0] == "a 504 INVITE"

    def test_it_survives_a_restart(self) -> None:
        story = begun(failover=Failover(frozenset({404})), restores=True)
        story.reply(404)
        assert story.reply(503)[0] == "a 404 INVITE"

    def test_it_may_name_nothing_of_the_leg_that_it_came_from(self) -> None:
        for restores in (False, True):
            story = begun(failover=Failover(frozenset({404})), restores=restores)
            host = story.call.b.their_host
            headers = (f"X-Where: {host}", "X-Why: nobody")
            story.reply(404, reason=f"No such user at {host}", headers=headers)
            story.reply(503)
            told = story.response(A)
            assert (told.status, told.reason) == (404, "Not Found")
            assert told.headers.first("x-why") == "nobody"
            assert not told.headers.has("x-where")


class TestWhatTriesTellOfHops:
    def test_ringing_is_life_and_what_follows_tells_no_more(self) -> None:
        story = begun()
        story.reply(100)
        assert seen(story) == []
        story.reply(180)
        story.reply(183)
        story.reply(486)
        assert seen(story) == [(CALLEE, True, "INVITE answered 180 Ringing")]

    def test_any_final_answer_is_life(self) -> None:
        story = begun()
        story.reply(404)
        assert seen(story) == [(CALLEE, True, "INVITE answered 404 Not Found")]

    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            ((), 0),
            (("Retry-After: 120",), 120),
            (("Retry-After: 18000;duration=3600",), 18000),
            (("Retry-After: 5 (mending)",), 5),
            (("Retry-After: soon",), 0),
            (("Retry-After: -5",), 0),
        ],
    )
    def test_503_is_a_failure_and_says_for_how_long(
        self, header: tuple[str, ...], seconds: int
    ) -> None:
        story = begun()
        story.reply(100)
        story.reply(503, headers=header)
        (one,) = story.seen
        assert (one.alive, one.retry_after_s) == (False, seconds)
        assert one.hop.flow == story.sent[0].flow

    def test_a_transport_error_is_a_failure(self) -> None:
        story = begun()
        story.fail("transport")
        assert seen(story) == [(CALLEE, False, "INVITE failed: transport")]

    def test_a_peer_that_may_have_no_more_calls_did_not_fail(self) -> None:
        story = begun()
        assert story.fail("full") == ["ports", "media", "b INVITE"]
        assert story.seen == []

    def test_a_caller_that_gives_up_says_nothing_of_the_hop(self) -> None:
        story = begun()
        story.cancel()
        story.wait(40)
        assert Timer.TRY not in story.running
        assert story.seen == []

    def test_what_a_candidate_says_that_was_left_changes_nothing(self) -> None:
        story = begun()
        story.wait(4)
        story.reply(503, to=story.sent[0])
        story.fail("timeout", to=story.sent[0])
        assert len(story.seen) == 1


def test_every_step_is_in_the_journal() -> None:
    story = begun(CALLEE, BACKUP, CALLEE)
    story.reply(503)
    story.wait(4)
    story.reply(404)
    assert decisions(story) == [
        "route in: callee, backup, callee",
        "callee answered 503 Service Unavailable; trying backup",
        "backup: no response within 4 s; trying callee",
        "ends: the callee answered 404 Not Found (by callee, remote)",
    ]


def test_the_caller_hears_of_no_try_but_the_last() -> None:
    story = begun()
    story.reply(503)
    assert story.reply(180) == ["a 180 INVITE"]
    assert story.reply(200, body=ANSWER)[-1] == "answered"
    assert story.ack(A) == []
