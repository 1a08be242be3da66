"""What the shipped policies and the rule engine decide, and how they explain it."""

from dataclasses import replace
from ipaddress import ip_network
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.policy.access import decide, screen
from sbc.policy.conditions import Conditions, Evidence, asks
from sbc.policy.expressions import regular
from sbc.policy.facts import Facts
from sbc.policy.load import combine, load_policy
from sbc.policy.model import PolicySet, StageName
from sbc.policy.rules import Action, Rule, Verb

POLICIES = Path(__file__).parents[2] / "policies"


def shipped(*names: str) -> PolicySet:
    loaded = [load_policy((POLICIES / name).read_text(), name) for name in names]
    assert [str(problem) for policy in loaded for problem in policy.problems] == []
    return combine(loaded)


EDGE = shipped("edge-default.yaml")


def outside(method: str, **facts: Any) -> Facts:
    return replace(Facts("outside", False, "203.0.113.7", method), **facts)


def inside(method: str, **facts: Any) -> Facts:
    return replace(Facts("inside", True, "192.168.1.7", method), **facts)


@pytest.mark.parametrize(
    ("facts", "outcome", "status", "rule"),
    [
        (outside("REGISTER"), "allow", 0, "registrations"),
        (outside("OPTIONS"), "allow", 0, "pings"),
        (outside("INVITE", registered=True), "allow", 0, "registered phones may call"),
        (outside("SUBSCRIBE", registered=True), "allow", 0, "registered phones may call"),
        (outside("INVITE"), "reject", 403, "not registered"),
        (outside("MESSAGE"), "reject", 403, "not registered"),
        (outside("NOTIFY"), "drop", 0, "everything else"),
        (outside("BYE"), "drop", 0, "everything else"),
        (outside("FANCY"), "drop", 0, "everything else"),
        (outside("INVITE", peer="trunk"), "allow", 0, "known peers"),
        (outside("REGISTER", user_agent="friendly-scanner"), "drop", 0, "scanners"),
        (outside("OPTIONS", user_agent="x SIPVicious 0.3"), "drop", 0, "scanners"),
        (
            outside("INVITE", registered=True, user_agent="friendly-scanner"),
            "drop",
            0,
            "scanners",
        ),
        (outside("INVITE", peer="trunk", user_agent="sipvicious"), "allow", 0, "known peers"),
        (inside("INVITE", peer="pbx"), "allow", 0, "known peers"),
        (inside("NOTIFY", peer="pbx"), "allow", 0, "known peers"),
        (inside("INVITE"), "reject", 403, "unknown on a trusted network"),
        (inside("REGISTER"), "reject", 403, "unknown on a trusted network"),
    ],
)
def test_the_edge_policy(facts: Facts, outcome: str, status: int, rule: str) -> None:
    decision = decide(EDGE, facts)
    assert (decision.outcome, decision.status, decision.rule) == (outcome, status, rule)
    assert decision.where.startswith("edge-default.yaml:")


def test_every_rule_of_the_edge_policy_is_needed_for_some_request() -> None:
    everything = [
        outside(method, peer=peer, registered=registered, user_agent=agent)
        for method, peer, registered, agent in product(
            ("REGISTER", "INVITE", "OPTIONS", "BYE"),
            (None, "trunk"),
            (False, True),
            (None, "sipvicious"),
        )
    ] + [inside("INVITE"), inside("INVITE", peer="pbx")]
    used = {decide(EDGE, facts).rule for facts in everything}
    assert used == {rule.name for rule in EDGE.rules}


def test_in_front_of_it_the_lan_policy_lets_office_phones_register_and_call() -> None:
    policy = shipped("trusted-lan.yaml", "edge-default.yaml")
    assert decide(policy, inside("REGISTER")).allowed
    assert decide(policy, inside("INVITE", registered=True)).allowed
    assert decide(policy, inside("INVITE")).status == 403
    assert decide(policy, outside("INVITE")).status == 403


def test_a_decision_names_rule_place_and_the_values_that_were_tested() -> None:
    decision = decide(EDGE, outside("INVITE"))
    line = 1 + (POLICIES / "edge-default.yaml").read_text().split("\n").index(
        "  - name: not registered"
    )
    assert decision.where == f"edge-default.yaml:{line}"
    assert decision.text == "Register first"
    assert decision.tested == (Evidence("method", "INVITE", "INVITE|MESSAGE|SUBSCRIBE"),)
    assert decision.explanation == (
        f"reject 403 by rule 'not registered' (edge-default.yaml:{line}): "
        "method INVITE (INVITE|MESSAGE|SUBSCRIBE wanted)"
    )


def test_every_condition_shows_its_value() -> None:
    text = """\
rules:
  - name: all of them
    when:
      trust: untrusted
      method: INVITE
      registered: true
      known_peer: true
      network: [outside, dmz]
      peer: trunk
      source: [203.0.113.0/24, 203.0.113.7]
      user_agent: [nothing, phone]
    then: allow
"""
    policy = combine([load_policy(text, "p")])
    facts = outside("INVITE", registered=True, peer="trunk", user_agent="My Phone/1")
    assert decide(policy, facts).tested == (
        Evidence("trust", "untrusted", "untrusted"),
        Evidence("method", "INVITE", "INVITE"),
        Evidence("registered", "true", "true"),
        Evidence("known_peer", "true", "true"),
        Evidence("network", "outside", "dmz|outside"),
        Evidence("peer", "trunk", "trunk"),
        Evidence("source", "203.0.113.7", "203.0.113.7/32"),
        Evidence("user_agent", "my phone/1", "*phone*"),
    )
    for other in (
        {"method": "BYE"},
        {"registered": False},
        {"peer": None},
        {"peer": "other"},
        {"network": "inside"},
        {"host": "198.51.100.1"},
        {"user_agent": None},
        {"trusted": True},
    ):
        assert decide(policy, replace(facts, **other, found={})).rule == "default deny"


def test_without_any_rule_strangers_get_nothing_and_trusted_networks_a_403() -> None:
    empty = PolicySet()
    stranger = decide(empty, outside("REGISTER"))
    assert (stranger.outcome, stranger.status, stranger.where) == ("drop", 0, "built in")
    friend = decide(empty, inside("REGISTER"))
    assert (friend.outcome, friend.status) == ("reject", 403)
    assert "source 192.168.1.7" in friend.explanation


METHODS = ("INVITE", "REGISTER", "BYE")
OUTCOMES: tuple[Verb, ...] = ("allow", "reject", "drop")
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "network": st.lists(st.sampled_from(["inside", "outside"]), min_size=1),
        "trust": st.sampled_from(["trusted", "untrusted"]),
        "peer": st.just("trunk"),
        "known_peer": st.booleans(),
        "method": st.lists(st.sampled_from(METHODS[:2]), min_size=1),
        "registered": st.booleans(),
        "user_agent": st.just("scan"),
        "called": st.sampled_from(["+49*", "+4930*", ["+4930", "600"], "4?", "*", "600-699"]),
        "source": st.sampled_from(
            [[ip_network("203.0.113.0/24")], [ip_network("203.0.113.7")], [ip_network("::/0")]]
        ),
    },
)
CONDITIONS = st.builds(lambda wanted, unwanted: asks(unwanted, **wanted), PARTS, PARTS)
FACTS = st.builds(
    Facts,
    st.sampled_from(["inside", "outside"]),
    st.booleans(),
    st.just("203.0.113.7"),
    st.sampled_from(METHODS),
    st.sampled_from([None, "trunk"]),
    st.booleans(),
    st.sampled_from([None, "a SCANNER"]),
    found=st.builds(
        lambda number: {"called": number}, st.sampled_from(["+4930", "+491", "600", ""])
    ),
)


@given(st.lists(st.tuples(CONDITIONS, st.sampled_from(OUTCOMES)), max_size=40), FACTS)
def test_the_first_rule_whose_conditions_hold_decides_and_every_decision_is_explained(
    entries: list[tuple[Conditions, Verb]], facts: Facts
) -> None:
    rules = [Rule(str(n), when, Action(then), f"p:{n}") for n, (when, then) in enumerate(entries)]
    decision = decide(PolicySet(rules), facts)
    expected = next((rule.name for rule in rules if rule.when.hold(facts)), "default deny")
    assert decision.rule == expected
    assert decision.where
    assert decision.rule in decision.explanation
    assert decision.trail[-1].tested == decision.tested


def test_an_expression_looks_at_whatever_bytes_a_stranger_sends() -> None:
    matcher = regular(["^S.*x$"])
    assert matcher.matches("S\udcff\udcfex")
    assert not matcher.matches("\udcff")


AFTERWARDS: tuple[StageName, ...] = ("geo", "identity", "fraud")
SCREENING = st.fixed_dictionaries(
    {
        stage: st.lists(
            st.tuples(CONDITIONS, st.sampled_from(("pass", "warn", "reject", "drop"))), max_size=12
        )
        for stage in AFTERWARDS
    }
)


@given(SCREENING, FACTS)
def test_after_arrival_each_stage_has_its_first_match_until_one_ends_it(
    written: dict[StageName, list[tuple[Conditions, Verb]]], facts: Facts
) -> None:
    facts.found["emergency"] = False
    stages = {
        stage: [Rule(f"{stage}{n}", when, Action(verb), f"p:{n}") for n, (when, verb) in
                enumerate(entries)]
        for stage, entries in written.items()
    }  # fmt: skip
    everything = [Rule("all", Conditions(), Action("allow"), "p:0")]
    policy = PolicySet(everything, stages=stages)
    expected = ["all"]
    for stage in AFTERWARDS:
        asked = stage == "geo" or facts.method == "INVITE"
        first = next((one for one in stages[stage] if asked and one.when.hold(facts)), None)
        if first is not None:
            expected.append(first.name)
            if first.outcome != "allow":
                break
    decision = screen(policy, facts, decide(policy, facts))
    assert [step.rule for step in decision.trail] == expected
    assert all(step.where and step.explanation for step in decision.trail)
    last = decision.trail[-1]
    assert decision.allowed is (last.action.verb not in {"reject", "drop"})
    assert decision.allowed or (decision.rule, decision.where) == (last.rule, last.where)
