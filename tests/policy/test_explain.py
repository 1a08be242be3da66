"""Which rule would have decided otherwise: the smallest change, in words."""

import re
from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.policy.access import decide, screen
from sbc.policy.conditions import asks
from sbc.policy.explain import MOST_RULES, Decided
from sbc.policy.facts import Facts
from sbc.policy.model import PolicySet
from sbc.policy.rules import Action, Rule
from sbc.sip.headers import Headers
from sbc.sip.message import Request
from tests.policy.test_access import EDGE, inside, outside


def decided(policy: PolicySet, facts: Facts) -> Decided:
    decision = decide(policy, facts)
    if decision.allowed:
        decision = screen(policy, facts, decision)
    return Decided(policy, facts, decision)


def nearest(policy: PolicySet, facts: Facts) -> str | None:
    near = decided(policy, facts).nearest
    return None if near is None else re.sub(r"yaml:\d+", "yaml:N", near.text)


def test_a_refused_call_hears_of_the_rule_that_lacks_least() -> None:
    assert nearest(EDGE, outside("INVITE")) == (
        "would be allowed by rule 'registered phones may call' (edge-default.yaml:N) "
        "if registered were true"
    )


def test_the_default_says_who_would_be_let_in() -> None:
    only = Rule("friends", asks(peer="pbx", method="INVITE"), Action("allow"), "p:1")
    assert nearest(PolicySet([only]), outside("INVITE")) == (
        "would be allowed by rule 'friends' (p:1) if peer were pbx"
    )


def test_an_allowed_call_hears_of_the_rule_that_would_have_refused_it() -> None:
    assert nearest(EDGE, outside("INVITE", peer="trunk")) == (
        "would be refused by rule 'not registered' (edge-default.yaml:N) "
        "if rule 'known peers' did not match for known_peer true"
    )


def test_a_refusal_may_be_one_rules_own_doing() -> None:
    assert nearest(EDGE, inside("INVITE")) == (
        "would be allowed by rule 'known peers' (edge-default.yaml:N) if known_peer were true"
    )
    own = Rule("night", asks(trust="untrusted"), Action("reject", 403), "p:1")
    rest = Rule("rest", asks(), Action("allow"), "p:2")
    assert nearest(PolicySet([own, rest]), outside("INVITE")) == (
        "would be allowed by rule 'rest' (p:2) if rule 'night' did not match for trust untrusted"
    )


def test_where_no_single_change_helps_nothing_is_said() -> None:
    assert nearest(EDGE, outside("INVITE", user_agent="friendly-scanner")) is None


def test_later_stages_pass_what_no_rule_stops() -> None:
    allow = Rule("all", asks(), Action("allow"), "p:1")
    abroad = Rule("abroad", asks(called="+1900*"), Action("reject", 403), "p:2")
    policy = PolicySet([allow], stages={"geo": [abroad]})
    stopped = replace(outside("INVITE"), found={"called": "+19005550100"})
    assert nearest(policy, stopped) == (
        "would be allowed if rule 'abroad' did not match for called +19005550100"
    )
    passed = replace(outside("INVITE"), found={"called": "+4930123"})
    assert nearest(policy, passed) == (
        "would be refused by rule 'abroad' (p:2) if called were +1900*"
    )


def test_stages_that_were_not_reached_change_nothing() -> None:
    deny = Rule("none", asks(), Action("drop"), "p:1")
    pass_ = Rule("home", asks(source=[ip_network("192.0.2.0/24")]), Action("pass"), "p:2")
    policy = PolicySet([deny], stages={"geo": [pass_]})
    assert nearest(policy, outside("INVITE")) is None


def test_rules_far_from_the_one_that_decided_are_not_looked_at() -> None:
    far = Rule("far", asks(registered=True), Action("allow"), "p:0")
    many = [
        Rule(f"r{n}", asks(source=[ip_network("192.0.2.9/32")]), Action("drop"), f"p:{n}")
        for n in range(1, MOST_RULES + 1)
    ]
    last = Rule("last", asks(), Action("drop"), "p:x")
    assert nearest(PolicySet([far, *many[1:], last]), outside("INVITE")) is not None
    assert nearest(PolicySet([far, *many, last]), outside("INVITE")) is None


def test_a_malformed_header_hides_only_what_asks_for_it() -> None:
    headers = Headers()
    headers.append("From", "<<>")
    request = Request("INVITE", "sip:1@example.com", headers)
    known = Rule("known", asks(registered=True), Action("allow"), "p:1")
    callers = Rule("callers", asks(caller="+49*", peer="pbx"), Action("allow"), "p:2")
    facts = replace(outside("INVITE"), request=request)
    deny = Rule("rest", asks(), Action("drop"), "p:3")
    policy = PolicySet([known, callers, deny])
    assert nearest(policy, facts) == (
        "would be allowed by rule 'known' (p:1) if registered were true"
    )


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "REGISTER", "NOTIFY", "FANCY"])
@given(
    registered=st.booleans(),
    peer=st.sampled_from([None, "pbx"]),
    agent=st.sampled_from([None, "sipvicious"]),
    trusted=st.booleans(),
)
def test_there_is_no_decision_without_an_explanation(
    method: str, registered: bool, peer: str | None, agent: str | None, trusted: bool
) -> None:
    of = inside if trusted else outside
    found = decided(EDGE, of(method, registered=registered, peer=peer, user_agent=agent))
    assert found.decision.rule
    assert found.decision.where
    assert found.decision.trail
    data = found.to_data()
    assert data["steps"][-1]["rule"] == found.decision.rule
    near = found.nearest
    assert near is None or (near.outcome == "refused") is found.decision.allowed


def test_a_rule_that_holds_only_since_the_decision_is_not_named_without_a_reason() -> None:
    later = Rule("parallel", asks(registered=True), Action("reject", 403), "p:1")
    rest = Rule("rest", asks(), Action("allow"), "p:2")
    before = decided(PolicySet([later, rest]), outside("INVITE"))
    since = before._replace(facts=outside("INVITE", registered=True)).nearest
    assert since is None or not since.text.endswith(" if ")
