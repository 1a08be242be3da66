"""What the linter says of configurations that can be used, and what it does not say."""

from pathlib import Path

import pytest

from sbc.config.load import load_text
from tests.config.files import GOOD, FakeMachine, changed

LIMITS = "rate_limits: [{name: strangers, when: {trust: untrusted}, rate: 20, burst: 60}]\n"
CALLS = "  - {name: phones, when: {registered: true}, then: allow}\n"
OUT = "  - {from: outside, to: pbx}\n"
"""The route that is changed so that phones call through the trunk."""


def told(text: str, first: str = "", second: str | None = None) -> list[str]:
    """The warnings of a configuration whose policies are these."""
    policies = {"edge.yaml": first or f"{LIMITS}rules:\n{CALLS}", "second.yaml": second or ""}
    if second is not None:
        text = text.replace("policies: edge.yaml", "policies: [edge.yaml, second.yaml]")

    def read(path: Path) -> str:
        return policies[path.name]

    result = load_text(text, "sbc.yaml", FakeMachine(), {}, read)
    assert result.errors == ()
    return [str(problem) for problem in result.problems]


def rules(*when: str, stage: str = "rules", then: str = "drop") -> str:
    lines = [f"  - {{name: r{n}, when: {one}, then: {then}}}\n" for n, one in enumerate(when)]
    return f"{LIMITS}{stage}:\n{''.join(lines)}"


def test_a_sound_configuration_is_not_complained_about() -> None:
    assert told(GOOD) == []


def test_an_untrusted_network_needs_a_limit() -> None:
    assert told(GOOD, f"rules:\n{CALLS}") == [
        (
            "sbc.yaml:2:3: warning: networks.outside: nothing limits what strangers may send to "
            "'outside' (add a rate limit to a policy: {name: strangers, when: {trust: untrusted}, "
            "rate: 20, burst: 60})"
        )
    ]


@pytest.mark.parametrize(
    ("when", "enough"),
    [
        ("{}", True),
        ("{network: outside}", True),
        ("{network: inside}", False),
        ("{known_peer: true}", False),
        ("{source: 192.0.2.0/24}", False),
        ("{source: 0.0.0.0/0}", True),
    ],
)
def test_a_limit_counts_when_strangers_are_under_it(when: str, enough: bool) -> None:
    limits = f"rate_limits: [{{name: l, when: {when}, rate: 1, burst: 2}}]\n"
    assert (told(GOOD, f"{limits}rules:\n{CALLS}") == []) is enough


def test_a_rule_that_an_earlier_file_leaves_nothing_is_named_with_both_places() -> None:
    found = told(GOOD, rules("{method: INVITE}"), rules("{method: INVITE}").replace("r0", "s0"))
    assert found == [
        (
            "second.yaml:3:1: warning: 's0' can never match: 'r0' (edge.yaml:3) takes all of it "
            "(name this file before that one, or narrow that rule)"
        )
    ]


@pytest.mark.parametrize(
    ("when", "why"),
    [
        (
            "{source: 10.1.0.0/16, not: {source: 10.0.0.0/8}}",
            "it wants source 10.1.0.0/16 and source not 10.0.0.0/8",
        ),
        ("{network: inside, trust: untrusted}", "no network is as its conditions want it"),
        ("{network: outside, transport: wss}", "no network is as its conditions want it"),
        ("{network: outside, peer: pbx}", "its peers are on no network that it wants"),
        (
            "{authenticated: true}",
            "authenticated is not known before the stages after authentication",
        ),
        ("{user: alice}", "user is not known before the stages after authentication"),
    ],
)
def test_a_rule_that_nothing_fulfils_is_told(when: str, why: str) -> None:
    found = told(GOOD, rules(when))
    assert found == [f"edge.yaml:3:1: warning: 'r0' can never match: {why} (remove it or mend it)"]


@pytest.mark.parametrize(
    "when",
    [
        "{trust: trusted}",
        "{transport: wss}",
        "{network: outside, peer: [pbx, trunk]}",
        "{source: 10.0.0.0/8, not: {source: 10.1.0.0/16}}",
    ],
)
def test_a_rule_that_something_fulfils_is_not(when: str) -> None:
    assert told(GOOD, rules(when)) == []


@pytest.mark.parametrize(
    ("when", "fact"), [("{authenticated: false}", "authenticated"), ("{not: {user: 150}}", "user")]
)
def test_a_condition_that_holds_for_everybody_as_nobody_has_logged_in_yet_is_told(
    when: str, fact: str
) -> None:
    assert told(GOOD, rules(when)) == [
        (
            f"edge.yaml:3:1: warning: 'r0' asks for {fact}, which is not known before the stages "
            f"after authentication: that holds for everybody (ask for {fact} in geo, identity or "
            "fraud)"
        )
    ]


@pytest.mark.parametrize(
    ("when", "wide"),
    [
        ("{}", True),
        ("{source: 0.0.0.0/0}", True),
        ("{trust: untrusted}", True),
        ("{source: 192.0.2.0/24}", False),
        ("{trust: trusted}", False),
        ("{known_peer: true}", False),
    ],
)
def test_sources_that_are_everybody_are_told(when: str, wide: bool) -> None:
    found = told(GOOD, rules(when, stage="sources", then="allow"))
    why = (
        "edge.yaml:3:1: warning: 'r0' lets anybody on 'outside' by all limits and bans "
        "(name the sources that need it: source: 192.0.2.0/24)"
    )
    assert found == ([why] if wide else [])


def test_where_only_calls_are_asked_about_no_rule_is_for_registrations() -> None:
    (found,) = told(GOOD, rules("{method: REGISTER}", stage="fraud", then="reject"))
    assert "in fraud only calls are asked about, which are INVITEs" in found


def test_phones_that_call_through_a_trunk_are_bounded() -> None:
    assert told(changed(OUT, "  - {from: phones, to: trunk}\n")) == [
        (
            "sbc.yaml:14:3: warning: peers.trunk: phones may call through it by route 'routes[1]' "
            "(sbc.yaml:22), and nothing limits how many calls at once (for example: limits: "
            "{max_calls: 30})"
        ),
        (
            "sbc.yaml:14:3: warning: peers.trunk: phones may call through it by route 'routes[1]' "
            "(sbc.yaml:22), and no rule keeps them from expensive numbers (add a fraud rule: "
            "{name: premium, when: {called_type: [premium, satellite]}, then: reject 403})"
        ),
    ]


@pytest.mark.parametrize(
    ("trunk", "route", "policy"),
    [
        ("limits: {max_calls: 3}", "{from: phones, number: '+49*', to: trunk}", ""),
        (
            "limits: {max_calls: 3}",
            "{from: phones, to: trunk}",
            (
                f"{LIMITS}rules:\n{CALLS}fraud: [{{name: p, when: {{called_type: premium}}, then: "
                "reject}]\n"
            ),
        ),
        ("domain: x.example", "{from: phones, method: REGISTER, to: trunk}", ""),
    ],
)
def test_what_is_bounded_already_is_not_told(trunk: str, route: str, policy: str) -> None:
    text = changed(OUT, f"  - {route}\n").replace(
        "    kind: trunk\n", f"    kind: trunk\n    {trunk}\n"
    )
    assert told(text, policy) == []


def test_a_challenge_that_nobody_can_meet_is_told() -> None:
    policy = rules("{neighbour: true}", stage="identity", then="challenge") + "rules:\n" + CALLS
    (problem,) = told(GOOD, policy)
    assert problem.startswith(
        "edge.yaml:3:1: warning: 'r0' refuses with 403 whom it matches, for no peer has a realm"
    )
    asked = (
        "  phones:\n    kind: endpoints\n    network: outside\n"
        "    authentication: {mode: challenge, realm: x.example, users: {a: secret}}\n"
    )
    text = changed("  phones: {kind: endpoints, network: outside}\n", asked)
    assert told(text, policy) == []
