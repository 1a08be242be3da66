"""Policy text to rules, and what is said about text that is wrong."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.document.problem import Severity
from sbc.policy.conditions import Conditions, asks
from sbc.policy.load import LoadedPolicy, combine, load_policy
from sbc.policy.model import RateLimit
from sbc.policy.rules import Action, Rule

GOOD = """\
rate_limits:
  - {name: strangers, when: {trust: untrusted, source: 192.0.2.0/24}, rate: 20, burst: 60}
  - name: all
    per: network
    rate: 0.5
    burst: 1
rules:
  - name: scanners
    when: {user_agent: [Friendly-Scanner, x]}
    then: drop
  - name: members
    when:
      network: outside
      peer: [pbx, trunk]
      known_peer: yes
      method: INVITE
      registered: false
    then: reject 404 Not here
  - {name: rest, then: reject}
"""


def load(text: str) -> LoadedPolicy:
    return load_policy(text, "p.yaml", ("inside", "outside"), ("pbx", "trunk"))


def test_a_file_becomes_rules_and_limits_that_know_where_they_stand() -> None:
    policy = load(GOOD)
    assert policy.problems == ()
    assert policy.rate_limits == (
        RateLimit(
            "strangers",
            asks(trust="untrusted", source=[ip_network("192.0.2.0/24")]),
            "source",
            20.0,
            60,
            "p.yaml:2",
        ),
        RateLimit("all", Conditions(), "network", 0.5, 1, "p.yaml:3"),
    )
    assert policy.rules == (
        Rule("scanners", asks(user_agent=["friendly-scanner", "x"]), Action("drop"), "p.yaml:8"),
        Rule(
            "members",
            asks(
                network="outside",
                peer=["pbx", "trunk"],
                known_peer=True,
                method="INVITE",
                registered=False,
            ),
            Action("reject", 404, "Not here"),
            "p.yaml:11",
        ),
        Rule("rest", Conditions(), Action("reject", 403), "p.yaml:19"),
    )


def test_files_are_combined_in_their_order() -> None:
    first = load("rules: [{name: a, then: drop}]")
    second = load("rules: [{name: b, then: drop}]\nrate_limits: [{name: c, rate: 1, burst: 1}]")
    policies = combine([first, second])
    assert [rule.name for rule in policies.rules] == ["a", "b"]
    assert [limit.name for limit in policies.rate_limits] == ["c"]


RULE = "rules:\n  - name: a\n    "
SOURCES = "sources:\n  - name: a\n    then: block\n    "


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "",
            "1:1: error: expected a mapping, found nothing (top keys: version, include, ",
        ),
        ("- a\n", "1:1: error: expected a mapping, found a list (top keys: "),
        (
            "admission: [{name: a, per: user}]",
            "1:13: error: admission[0]: the limit limits nothing (add max_calls, calls_per_second",
        ),
        ("rule: []", "1:1: error: rule: unknown key 'rule' (did you mean 'rules'?)"),
        ("version: 2", "1:10: error: version: '2' is more than 1 (for example: 1)"),
        (
            RULE + "then: permit",
            "3:11: error: rules[0].then: 'permit' is not understood (one of: al",
        ),
        (RULE + "then: allow it", "3:11: error: rules[0].then: 'allow it' is not understood"),
        (
            RULE + "then: reject 200",
            "3:11: error: rules[0].then: '200' is no status from 400 to 699",
        ),
        (RULE + "then: reject soon", "3:11: error: rules[0].then: 'soon' is no status"),
        (RULE + "then: reject 40٣", "3:11: error: rules[0].then: '40٣' is no status"),
        (RULE + 'then: "reject 403 a\\r\\nb"', "3:11: error: rules[0].then: the text is longer"),
        (RULE + "then: [allow]", "3:11: error: rules[0].then: expected what to do (one of: "),
        (
            SOURCES + "when: {tls_version: {below: 1.2}}",
            (
                "4:12: error: sources[0].when.tls_version: 'tls_version' is not known yet: "
                "`sources` are asked when a connection comes, before its TLS handshake (ask"
            ),
        ),
        (
            SOURCES + "when: {not: {client_certificate: true}}",
            "4:18: error: sources[0].when.not.client_certificate: 'client_certificate' is not kn",
        ),
        (
            SOURCES + "when: {method: INVITE}",
            (
                "4:12: error: sources[0].when.method: 'method' is not known yet: "
                "`sources` are asked before a message is read (ask for it in `req"
            ),
        ),
        (
            SOURCES + "when: {status: 200}",
            "4:12: error: sources[0].when.status: unknown key 'status'",
        ),
        ("rules:\n  - then: drop", "2:5: error: rules[0].name: the key 'name' is missing"),
        (
            RULE + "when: {}",
            "2:5: error: rules[0].then: the key 'then' is missing (for example: rej",
        ),
        (
            RULE + "then: drop\n    when: {methods: X}",
            "4:12: error: rules[0].when.methods: unknown key 'methods' (did you mean 'method'?)",
        ),
        (
            RULE + "then: drop\n    when: {user_agent: {not: x}}",
            "4:24: error: rules[0].when.user_agent: 'not' stands beside the facts, not in ",
        ),
        (
            RULE + "then: drop\n    when: {hour: 7}",
            "4:12: error: rules[0].when.hour: unknown key 'hour' (known keys: anonymous, ",
        ),
        (
            RULE + "then: drop\n    when: {method: invite}",
            "4:20: error: rules[0].when.method: 'invite' is no method (did you mean 'INVITE'?)",
        ),
        (
            RULE + "then: drop\n    when: {source: [192.0.2.0/24, 10.0.0.1/8]}",
            "4:35: error: rules[0].when.source[1]: 10.0.0.1/8 has bits set behind",
        ),
        (
            RULE + "then: drop\n    when: {source: example.com}",
            "4:20: error: rules[0].when.source: 'example.com' is neither an address nor a prefix",
        ),
        (
            RULE + "then: drop\n    when: {source: []}",
            "4:20: error: rules[0].when.source: expected at least one entry, found an empty list",
        ),
        (
            RULE + "then: drop\n    when: {network: outsid}",
            "4:21: error: rules[0].when.network: there is no network 'outsid' (did you mean 'outs",
        ),
        (
            RULE + "then: drop\n    when: {peer: [pbx, nobody]}",
            "4:24: error: rules[0].when.peer[1]: there is no peer 'nobody' (peers: pbx, trunk)",
        ),
        (
            RULE + "then: drop\n    when: {peer: pbx, known_peer: false}",
            "4:35: error: rules[0].when.known_peer: no peer is an unknown one: the conditions peer",
        ),
        (
            RULE + "then: drop\n    when: {registered: perhaps}",
            "4:24: error: rules[0].when.registered: expected true or false, found 'perhaps'",
        ),
        (
            RULE + "then: drop\n    when: {method: BYE}\n  - {name: a, then: allow}",
            "5:12: error: rules[1].name: the name 'a' is taken (by line 2; explanations need names",
        ),
        (
            "rate_limits: [{name: a, rate: 0, burst: 1}]",
            "1:31: error: rate_limits[0].rate: '0' is not more than 0 (for example: 20)",
        ),
        (
            "rate_limits: [{name: a, rate: fast, burst: 1}]",
            "1:31: error: rate_limits[0].rate: expected a number, found 'fast' (for example: 20)",
        ),
        (
            "rate_limits: [{name: a, rate: nan, burst: 1}]",
            "1:31: error: rate_limits[0].rate: expected a number, found 'nan' (for example: 20)",
        ),
        (
            "rate_limits: [{name: a, rate: 1, burst: 1.5}]",
            "1:41: error: rate_limits[0].burst: expected a whole number, found '1.5'",
        ),
        (
            "rate_limits: [{name: a, rate: 1, burst: 1, when: {method: X}}]",
            "1:59: error: rate_limits[0].when.method: 'method' is not known yet where messages per",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_what_would_be_right(
    text: str, complaint: str
) -> None:
    policy = load(text)
    assert policy.broken
    assert not policy.rules
    assert not policy.rate_limits
    assert [problem.severity for problem in policy.problems] == [Severity.ERROR]
    assert str(policy.problems[0]).startswith(f"p.yaml:{complaint}")


@pytest.mark.parametrize(
    ("wide", "narrow", "shadowed"),
    [
        ("{}", "{method: INVITE}", True),
        ("{}", "{}", True),
        ("{method: [INVITE, BYE]}", "{method: BYE, trust: trusted}", True),
        ("{method: BYE}", "{method: [INVITE, BYE]}", False),
        ("{trust: trusted}", "{trust: untrusted}", False),
        ("{source: 192.0.2.0/24}", "{source: [192.0.2.1, 192.0.2.128/25]}", True),
        ("{source: 192.0.2.0/24}", "{source: [192.0.2.1, 2001:db8::1]}", False),
        ("{source: '2001:db8::/32'}", "{source: '2001:db8::1'}", True),
        ("{user_agent: scan}", "{user_agent: SIP-Scanner}", True),
        ("{user_agent: scanner}", "{user_agent: scan}", False),
        ("{registered: true}", "{method: INVITE}", False),
    ],
)
def test_a_rule_that_can_never_match_is_warned_of(wide: str, narrow: str, shadowed: bool) -> None:
    policy = load(
        f"rules:\n  - {{name: a, when: {wide}, then: allow}}\n"
        f"  - {{name: b, when: {narrow}, then: drop}}\n"
    )
    expected = (
        "p.yaml:3:5: warning: rules[1]: 'b' can never match: 'a' in line 2 takes all of it "
        "(put the narrower one first)"
    )
    assert [str(problem) for problem in policy.problems] == ([expected] if shadowed else [])
    assert len(policy.rules) == 2


def test_limits_shadow_only_limits_of_their_own_kind() -> None:
    text = "rate_limits:\n" + "".join(
        f"  - {{name: {name}, per: {per}, rate: 1, burst: 1}}\n"
        for name, per in (("a", "source"), ("b", "network"), ("c", "source"))
    )
    assert [problem.path for problem in load(text).problems] == ["rate_limits[2]"]


def test_without_names_to_check_any_name_is_accepted() -> None:
    policy = load_policy("rules: [{name: a, when: {peer: x, network: y}, then: drop}]", "p")
    assert policy.problems == ()


@pytest.mark.parametrize("name", ["a\\r\\nX-Evil: 1", "\\e[2J", "\\u202Eab"])
def test_the_name_of_a_rule_is_one_line_that_can_be_seen(name: str) -> None:
    (problem,) = load(f'rules: [{{name: "{name}", then: drop}}]').problems
    assert (problem.path, problem.hint) == ("rules[0].name", "one line of plain text")


@given(st.text() | st.text(alphabet="rules: -{}[]\n,name&*!#'\"|thenallow"))
def test_any_text_gives_a_policy_or_problems(text: str) -> None:
    policy = load(text)
    assert policy.broken or isinstance(combine([policy]).rules, tuple)
