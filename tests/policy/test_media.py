"""Media rules and lists of owners in policy files: read, decided, explained."""

from typing import Any

import pytest

from sbc.policy.access import decide, screen
from sbc.policy.facts import Facts
from sbc.policy.load import LoadedPolicy, combine, load_policy
from sbc.policy.model import Decision, PolicySet
from sbc.policy.presentation import AS_PRESENTED, presentation_of
from sbc.routing.codecs import CodecRules
from tests.policy.test_call_facts import an_invite


def load(text: str) -> LoadedPolicy:
    return load_policy(text, "p.yaml", ["outside"], ["carrier", "pbx"])


def policy(*texts: str) -> PolicySet:
    loaded = [load(text) for text in texts]
    assert [str(problem) for one in loaded for problem in one.problems] == []
    return combine(loaded)


ALLOW = "rules: [{name: all, then: allow}]\n"


def decided(policy: PolicySet, method: str = "INVITE", **known: Any) -> Decision:
    known.setdefault("request", an_invite(caller="<sip:650@x>"))
    facts = Facts("outside", False, "203.0.113.7", method, **known)
    return screen(policy, facts, decide(policy, facts))


MEDIA = (
    ALLOW
    + """\
media:
  - name: narrow carrier
    when: {peer: carrier}
    kinds: audio
    codecs: {allow: [PCMA, pcmu], prefer: pcma}
  - name: no g729
    codecs: {remove: g729}
"""
)


def test_the_first_media_rule_that_matches_is_what_the_call_has_and_its_trail_says_so() -> None:
    decision = decided(policy(MEDIA), peer="carrier")
    assert decision.allowed
    assert decision.codecs == CodecRules(
        ("pcma", "pcmu"), (), ("pcma",), ("audio",), "'narrow carrier' (p.yaml:3)"
    )
    step = decision.trail[-1]
    assert (step.stage, step.rule, step.where) == ("media", "narrow carrier", "p.yaml:3")
    assert step.explanation == (
        "pass kinds audio, allow pcma|pcmu, prefer pcma by rule 'narrow carrier' (p.yaml:3): "
        "peer carrier (carrier wanted)"
    )


def test_another_rule_holds_for_the_others_and_none_for_what_is_no_call() -> None:
    codecs = decided(policy(MEDIA), peer="pbx").codecs
    assert codecs is not None
    assert codecs.remove == ("g729",)
    assert decided(policy(MEDIA), "OPTIONS").codecs is None
    assert decided(policy(ALLOW)).codecs is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "media: [{name: x}]",
            "1:9: error: media[0]: the rule says nothing (add codecs, or kinds)",
        ),
        ("media: [{name: x, kinds: fax}]", "1:26: error: media[0].kinds: 'fax' is not understood"),
        (
            "media: [{name: x, codecs: {allow: '*'}}]",
            "1:35: error: media[0].codecs.allow: '*' is no name of a codec",
        ),
        (
            "owners: {peers: {carier: '+49*'}}",
            "1:18: error: owners.peers.carier: there is no peer 'carier' (did you mean 'carrier'?)",
        ),
        (
            "owners: {peers: {carrier: set:ours}}",
            "1:27: error: owners.peers.carrier: there is no set 'ours'",
        ),
        (
            "owners: {users: {al: 69-60}}",
            "1:22: error: owners.users.al",
        ),
        (
            "media: [{name: a, kinds: audio}, {name: b, kinds: audio, when: {peer: pbx}}]",
            "1:34: warning: media[1]: 'b' can never match: 'a' in line 1 takes all of it",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_what_would_be_right(text, complaint) -> None:
    problems = [str(one) for one in load(text).problems]
    assert len(problems) == 1
    assert problems[0].startswith(f"p.yaml:{complaint}"), problems


OWNERS = "owners: {peers: {carrier: [600-699]}}\n"


def test_lists_of_owners_in_one_file_serve_the_rules_of_another() -> None:
    rules = ALLOW + "identity: [{name: not his, when: {presents: foreign}, then: reject 403 No}]\n"
    both = policy(rules, OWNERS)
    assert decided(both, peer="carrier").allowed
    foreign = an_invite(caller="<sip:700@x>")
    assert decided(both, peer="carrier", request=foreign).rule == "not his"
    wider = policy(rules, OWNERS, "owners: {peers: {carrier: [700-799]}}\n")
    assert decided(wider, peer="carrier", request=foreign).allowed
    assert decided(wider, peer="carrier").allowed


@pytest.mark.parametrize(
    ("then", "presented"),
    [
        ("replace +4930123", ("+4930123", "", False)),
        ("tag [spam?]", ("", "[spam?]", False)),
        ("anonymize", ("", "", True)),
    ],
)
def test_what_an_identity_rule_wants_is_done_to_the_call(then: str, presented) -> None:
    done = presentation_of(decided(policy(ALLOW + f"identity: [{{name: x, then: '{then}'}}]\n")))
    assert (done.number, done.tag, done.anonymous) == presented
    assert done.why == "by rule 'x' (p.yaml:2)"


@pytest.mark.parametrize("then", ["pass", "warn"])
def test_other_identity_rules_leave_the_caller_as_it_is(then: str) -> None:
    done = decided(policy(ALLOW + f"identity: [{{name: x, then: {then}}}]\n"))
    assert presentation_of(done) == AS_PRESENTED


def test_a_challenge_lets_in_who_proved_who_it_is_and_nobody_else() -> None:
    text = ALLOW + "identity: [{name: prove it, when: {neighbour: false}, then: challenge}]\n"
    assert decided(policy(text), user="alice").allowed
    denied = decided(policy(text))
    assert (denied.outcome, denied.status, denied.rule) == ("reject", 403, "prove it")
    assert "user none (proof by credentials wanted)" in denied.explanation
