"""Why a call ended: said in SIP and in Q.850, told on as each peer's rules have it.

Spec: RFC 3326, RFC 3398 §8.2.6.1, RFC 8606.
"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.b2bua.causes import Ending, q850_of, q850_said, rule_for
from sbc.routing.responses import ResponseRule, ResponseRules
from sbc.sip.reasons import REASONS
from sbc.state.cdr import EndedBy, Origin
from tests.kit.call import HOSTS, A, B, Story, a_call
from tests.kit.pair import BACKUP, CALLEE, CALLER

BUSY = ResponseRule(486, status=603, where="sbc.yaml:9")


@pytest.mark.parametrize(
    ("reasons", "cause"),
    [
        (['Q.850;cause=17;text="busy"'], 17),
        (['q.850 ; text="x;cause=9" ;CAUSE = 34'], 34),
        (["SIP;cause=200, Q.850;cause=16;location=LN"], 16),
        (["SIP;cause=486", "Q.850;cause=127"], 127),
        (["SIP;cause=17"], None),
        (["Q.850;cause=0"], None),
        (["Q.850;cause=128"], None),
        (["Q.850;cause=1777"], None),
        (["Q.850;cause=\u0661\u0667"], None),
        (["Q.850", "", ";;;", '"'], None),
        ([], None),
    ],
)
def test_the_cause_is_read_from_reason(reasons, cause):
    assert q850_said(reasons) == cause


@given(st.lists(st.text(max_size=60), max_size=3))
def test_no_reason_raises(reasons):
    cause = q850_said(reasons)
    assert cause is None or 1 <= cause <= 127


def test_every_failure_has_a_cause():
    assert all(1 <= q850_of(status) <= 127 for status in (*REASONS, 499, 699))


def test_the_first_rule_that_fits_is_taken():
    rules = (
        ResponseRule(500, status=503, q850=34),
        ResponseRule(480, status=503),
        ResponseRule(404, q850=1),
    )
    assert rule_for(rules, 503, 34) is rules[0]
    assert rule_for(rules, 503, 41) is rules[1]
    assert rule_for(rules, 500, 1) is rules[2]
    assert rule_for(rules, 500, 2) is None


@pytest.mark.parametrize(
    ("by", "origin"),
    [
        *((EndedBy(word), Origin.REMOTE) for word in ("caller", "callee")),
        *((EndedBy(word), Origin.LOCAL) for word in ("media", "network", "operator", "internal")),
        (EndedBy.CRASH, Origin.LOCAL),
        (EndedBy.TIMEOUT, Origin.TIMEOUT),
        (EndedBy.POLICY, Origin.POLICY),
    ],
)
def test_every_end_has_its_origin(by, origin):
    assert by.origin is origin


def a_story(name: str, rules: ResponseRules, **given: object) -> Story:
    story = Story(a_call(**given))
    peers = story.call.context.peers
    peers[name] = replace(peers[name], responses=rules)
    story.begin()
    return story


def ending(story: Story) -> Ending:
    assert story.call.ending is not None
    return story.call.ending


def test_a_refusal_is_told_with_the_cause_that_it_gave():
    story = Story()
    story.begin()
    assert story.reply(480, headers=("Reason: Q.850;cause=20",))[0] == "a 480 INVITE"
    assert (ending(story).status, ending(story).q850) == (480, 20)
    assert story.response(A).headers.first("reason") == "Q.850;cause=20"


def test_what_a_peer_answers_is_told_on_as_its_rule_says():
    rule = replace(BUSY, reason="Engaged", becomes_q850=34)
    story = a_story(CALLEE, ResponseRules(received=(rule,)))
    assert story.reply(603)[0] == "a 486 INVITE"
    response = story.response(A)
    assert response.reason == "Engaged"
    assert response.headers.first("reason") == ('Q.850;cause=34;text="the callee answered 603"')
    assert ending(story) == Ending(
        486,
        34,
        EndedBy.CALLEE,
        "the callee answered 603 Decline; told as 486 by the rule in sbc.yaml:9",
        "the callee answered 603",
    )


def test_what_a_rule_tells_is_no_way_for_what_the_callee_says():
    rules = ResponseRules(received=(BUSY,))
    story = a_story(CALLEE, rules)
    story.reply(603, reason=f"Gone from {HOSTS[B]}")
    assert HOSTS[B] not in str(story.response(A).headers)


def test_a_refusal_without_a_cause_is_told_with_the_one_that_its_status_means():
    story = Story()
    story.begin()
    story.reply(486)
    assert story.response(A).headers.all("reason") == ["Q.850;cause=17"]
    story = Story()
    story.begin()
    story.reply(486, headers=(f"Reason: Q.850;cause=21;text={HOSTS[B]}",))
    assert story.response(A).headers.all("reason") == ["Q.850;cause=21"]


def test_a_challenge_has_no_cause():
    story = Story()
    story.begin()
    story.reply(407)
    assert not story.response(A).headers.has("reason")


def test_a_rule_may_be_for_a_cause():
    rule = ResponseRule(404, q850=1, where="x:1")
    story = a_story(CALLEE, ResponseRules(received=(rule,)))
    assert story.reply(500, headers=("Reason: Q.850;cause=1",))[-1:] == ["ended"]
    assert (ending(story).status, ending(story).q850) == (404, 1)


def test_whether_the_next_candidate_is_tried_depends_on_the_answer_itself():
    rules = ResponseRules(received=(ResponseRule(486, status=503, where="x:1"),))
    story = a_story(CALLEE, rules, candidates=(CALLEE, BACKUP))
    assert "b INVITE" in story.reply(503)


def test_what_the_caller_s_peer_is_told_goes_by_its_own_rules():
    story = a_story(CALLER, ResponseRules(sent=(BUSY,)))
    assert story.reply(603)[0] == "a 486 INVITE"
    assert story.response(A).reason == "Busy Here"
    assert ending(story).q850 == 17


def test_our_own_failures_go_by_them_too():
    story = a_story(CALLER, ResponseRules(sent=(ResponseRule(480, status=504, where="x:1"),)))
    assert story.fail("timeout")[0] == "a 480 INVITE"
    assert ending(story).by is EndedBy.TIMEOUT


def test_who_gives_up_is_told_what_the_standard_says():
    story = a_story(CALLER, ResponseRules(sent=(ResponseRule(480, status=487),)))
    assert "a 487 INVITE" in story.cancel(headers=("Reason: Q.850;cause=31",))
    assert ending(story).q850 == 31


def test_the_cause_of_a_bye_is_kept():
    story = Story().answered()
    story.ask(B, "BYE", headers=("Reason: Q.850;cause=38",))
    assert (ending(story).status, ending(story).q850) == (200, 38)
    assert story.request(A).headers.first("reason") == "Q.850;cause=38"


def test_the_journal_says_where_the_end_came_from():
    story = Story().answered()
    story.ask(A, "BYE")
    texts = [entry.text for entry in story.call.journal.entries]
    assert "ends: the caller hung up (by caller, remote)" in texts


def test_an_earlier_candidate_s_answer_goes_by_the_rules_of_its_own_peer():
    rules = ResponseRules(received=(ResponseRule(480, status=500, where="x:1"),))
    story = a_story(CALLEE, rules, candidates=(CALLEE, BACKUP))
    story.reply(500)
    story.reply(503)
    assert ending(story).status == 480
    story = a_story(BACKUP, rules, candidates=(CALLEE, BACKUP))
    story.reply(500)
    story.reply(503)
    assert ending(story).status == 500
