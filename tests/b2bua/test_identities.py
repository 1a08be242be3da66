"""Who a message inside an answered call says that it is from, and what the rules say of that."""

from dataclasses import replace

import pytest

from sbc.b2bua.call import Call
from sbc.policy.access import decide
from sbc.policy.explain import Decided
from sbc.policy.facts import Facts
from sbc.policy.load import combine, load_policy
from sbc.policy.model import PolicySet
from sbc.policy.presentation import Presentation
from tests.kit.call import A, B, Story, a_call, an_invite
from tests.kit.pair import CALLEE, CALLER

OWN = "P-Asserted-Identity: <sip:+49301234@x.example>"
OWN_TOO = "P-Asserted-Identity: <sip:+49301235@x.example>"
FOREIGN = "P-Asserted-Identity: <sip:+12025550123@x.example>"
DIVERTED = "Diversion: <sip:+12025550123@x.example>;reason=unconditional"
OWNERS = f"""\
rules: [{{name: all, then: allow}}]
owners:
  peers: {{{CALLER}: [alice, "+49*"], {CALLEE}: ["600", bob, "+49*"]}}
identity:
  - {{name: foreign, when: {{presents: foreign}}, then: reject 403}}
"""
REPLACED = """\
rules: [{name: all, then: allow}]
identity:
  - {name: main number, when: {asserted: "+49301234"}, then: replace +4930999}
  - {name: hidden, when: {asserted: "+4930*"}, then: anonymize}
  - {name: who are you, when: {asserted: "+12*"}, then: challenge}
"""


def a_policy(text: str) -> PolicySet:
    policy = load_policy(text, "p")
    assert [str(problem) for problem in policy.problems if "warning" not in str(problem)] == []
    return combine([policy])


def in_trust(text: str, *, decided: bool = False, presentation: Presentation | None = None) -> Call:
    """A call between two that are both trusted, its INVITE decided on by a policy."""
    call = a_call(an_invite(headers=(OWN,)))
    call.context.policy = a_policy(text)
    call.a.trusted = call.b.trusted = True
    if presentation is not None:
        call.a.presentation = presentation
    if decided:
        facts = Facts("outside", True, "192.0.2.1", "INVITE", peer=CALLER, request=call.invite)
        decision = decide(call.context.policy, facts)
        call.decided = Decided(call.context.policy, facts, decision)
    return call


def told(story: Story, side, header: str = "p-asserted-identity") -> str:
    return story.request(side).headers.first(header) or ""


@pytest.mark.parametrize("decided", [True, False])
@pytest.mark.parametrize("method", ["UPDATE", "INFO", "MESSAGE"])
@pytest.mark.parametrize(
    ("header", "passes"),
    [(OWN, True), (OWN_TOO, True), (FOREIGN, False)],
    ids=["same", "own", "not"],
)
def test_another_identity_passes_as_long_as_the_rules_agree(
    method, header, passes, decided
) -> None:
    story = Story(in_trust(OWNERS, decided=decided)).answered()
    story.ask(A, method, headers=(header,))
    number = header.partition("sip:")[2].partition("@")[0]
    assert (number in told(story, B)) is passes
    assert story.request(B).method == method


@pytest.mark.parametrize(
    "header", [DIVERTED, FOREIGN, FOREIGN.replace("P-Asserted-Identity", "Remote-Party-ID")]
)
def test_nothing_of_a_foreign_identity_gets_through_in_another_header(header: str) -> None:
    story = Story(in_trust(OWNERS)).answered()
    story.ask(A, "UPDATE", headers=(header,) if header != DIVERTED else (FOREIGN, DIVERTED))
    assert "2025550123" not in str(story.request(B).headers.items())


def test_the_callee_is_asked_about_by_its_own_numbers() -> None:
    story = Story(in_trust(OWNERS)).answered()
    story.ask(B, "UPDATE", headers=(OWN_TOO,))
    assert "+49301235" in told(story, A)
    story.reply(200)
    story.ask(B, "UPDATE", headers=(FOREIGN,))
    assert told(story, A) == ""


def test_the_journal_says_what_was_left_out_and_by_which_rule() -> None:
    story = Story(in_trust(OWNERS)).answered()
    story.ask(A, "UPDATE", headers=(FOREIGN,))
    (note,) = [one.text for one in story.call.journal.entries if "not told" in one.text]
    assert note.startswith("who the UPDATE says that it is from is not told: reject 403 by rule ")
    assert "'foreign' (p:" in note


def test_who_answers_is_told_at_set_up_and_afterwards_no_response_says_anybody() -> None:
    story = Story(in_trust(OWNERS))
    story.begin()
    story.reply(180, headers=(FOREIGN,))
    assert "+12025550123" in (story.response(A).headers.first("p-asserted-identity") or "")
    story = Story(in_trust(OWNERS)).answered()
    story.ask(B, "UPDATE")
    story.reply(200, headers=(FOREIGN,))
    assert not story.response(B).headers.has("p-asserted-identity")


def test_what_replaces_the_number_of_the_call_replaces_that_of_all_that_follows() -> None:
    shown = Presentation(number="+4930999", why="by rule 'main number' (p:3)")
    story = Story(in_trust(REPLACED, presentation=shown)).answered()
    story.ask(A, "UPDATE", headers=(OWN,))
    assert "+4930999" in told(story, B)


@pytest.mark.parametrize("header", [OWN_TOO, FOREIGN])
def test_who_would_be_presented_otherwise_now_is_not_told_of(header: str) -> None:
    shown = Presentation(number="+4930999", why="by rule 'main number' (p:3)")
    story = Story(in_trust(REPLACED, presentation=shown)).answered()
    story.ask(A, "UPDATE", headers=(header,))
    assert told(story, B) == ""


def test_who_is_challenged_now_and_has_not_logged_in_is_not_told_of() -> None:
    story = Story(in_trust(REPLACED)).answered()
    story.ask(A, "UPDATE", headers=(FOREIGN,))
    assert told(story, B) == ""


def test_who_has_logged_in_meets_a_challenge() -> None:
    call = in_trust(REPLACED, decided=True)
    assert call.decided is not None
    facts = replace(call.decided.facts, user="alice")
    call.decided = call.decided._replace(facts=facts)
    story = Story(call).answered()
    story.ask(A, "UPDATE", headers=(FOREIGN,))
    assert "+12025550123" in told(story, B)


def test_without_rules_for_identities_the_trusted_say_what_they_want() -> None:
    story = Story(in_trust("rules: [{name: all, then: allow}]")).answered()
    story.ask(A, "UPDATE", headers=(FOREIGN,))
    assert "+12025550123" in told(story, B)


def test_the_untrusted_are_not_believed_whatever_they_say_later() -> None:
    call = in_trust("rules: [{name: all, then: allow}]")
    call.a.trusted = False
    story = Story(call).answered()
    story.ask(A, "UPDATE", headers=(OWN,))
    assert told(story, B) == ""


@pytest.mark.parametrize("side", [A, B])
def test_no_display_name_changes_inside_a_call(side) -> None:
    story = Story(in_trust("rules: [{name: all, then: allow}]")).answered()
    other = B if side is A else A
    story.ask(side, "INFO")
    before = told(story, other, "from")
    story.reply(200)
    story.ask(side, "INFO", headers=('P-Preferred-Identity: "Your Bank" <sip:1@x>',))
    assert told(story, other, "from") == before
    assert "Your Bank" not in before
