"""Emergency calls: which they are, and what does not hold for them."""

import pytest

from sbc.numbering import WorldKinds, WorldPlan
from sbc.policy.access import decide, screen
from sbc.policy.emergency import EmergencyNumbers, is_emergency_service
from sbc.policy.facts import Facts
from sbc.policy.load import combine, load_policy
from sbc.policy.model import Decision
from sbc.policy.world import World
from sbc.routing.numbers import NumberRules, Rewriting
from sbc.sip.uri import parse_uri_untrusted

POLICY = combine(
    [
        load_policy(
            """\
rules:
  - {name: registered, when: {registered: true}, then: allow}
geo: [{name: nobody, then: reject}]
identity: [{name: fine, then: pass}]
fraud: [{name: too dear, then: reject 603}]
""",
            "p.yaml",
        )
    ]
)
WORLD = World(
    numbers=WorldKinds(["DE"]), plan=WorldPlan(), emergency=EmergencyNumbers(["0112", "117*"])
)


def calling(uri: str, registered: bool = True, method: str = "INVITE") -> Facts:
    return Facts(
        "outside",
        False,
        "192.0.2.1",
        method,
        registered=registered,
        called=parse_uri_untrusted(uri),
        numbers=NumberRules("DE", inbound=Rewriting(format="e164")),
        world=WORLD,
    )


def decided(facts: Facts) -> Decision:
    arrived = decide(POLICY, facts)
    return screen(POLICY, facts, arrived) if arrived.allowed else arrived


@pytest.mark.parametrize(
    ("uri", "emergency"),
    [
        ("sip:112@example.com", True),
        ("sip:110@example.com;user=phone", True),
        ("sip:911@example.com", True),
        ("tel:112;phone-context=+49", True),
        ("sip:0112@example.com", True),
        ("sip:11702@example.com", True),
        ("urn:service:sos", True),
        ("URN:Service:SOS.police", True),
        ("urn:service:test.sos.fire", True),
        ("urn:service:sosfoo", False),
        ("urn:service:counseling", False),
        ("sip:service%3Asos@example.com", False),
        ("sip:+112@example.com", False),
        ("sip:1120@example.com", False),
        ("sip:+4930112@example.com", False),
        ("sip:999@example.com", False),
        ("sip:example.com", False),
        # Whatever the context, it is the emergency number that is called.
        ("tel:112;phone-context=+88213123", True),
        ("sip:112;phone-context=+88213123@example.com;user=phone", True),
        ("tel:112;phone-context=+4930", True),
        ("tel:110;phone-context=+4930", True),
        ("tel:0112;phone-context=+4930", True),
        ("sip:112;phone-context=+49@example.com", True),
        ("tel:112;phone-context=example.com", True),
        ("tel:1120;phone-context=+4930", False),
        ("tel:+4930112;phone-context=+49", False),
    ],
)
def test_a_call_is_an_emergency_by_its_number_or_by_the_name_of_the_service(
    uri: str, emergency: bool
) -> None:
    assert calling(uri).emergency is emergency


def test_emergency_calls_pass_geography_and_fraud_and_the_trail_says_why() -> None:
    decision = decided(calling("sip:112@example.com"))
    assert decision.allowed
    assert [(step.stage, step.rule, step.where) for step in decision.trail] == [
        ("rules", "registered", "p.yaml:2"),
        ("geo", "emergency call", "built in"),
        ("identity", "fine", "p.yaml:4"),
        ("fraud", "emergency call", "built in"),
    ]
    assert decision.trail[1].explanation == (
        "pass by rule 'emergency call' (built in): emergency true (true wanted)"
    )


@pytest.mark.parametrize("method", ["REGISTER", "OPTIONS", "SUBSCRIBE"])
def test_only_a_call_is_an_emergency(method: str) -> None:
    assert decided(calling("sip:112@example.com", method=method)).rule == "nobody"


def test_other_calls_do_not() -> None:
    assert decided(calling("sip:+4930123456@example.com")).rule == "nobody"


def test_whoever_may_not_call_at_all_may_not_by_dialling_112_either() -> None:
    assert decided(calling("sip:112@example.com", registered=False)).rule == "default deny"


def test_a_policy_without_such_stages_has_nothing_to_say_of_emergencies() -> None:
    policy = combine([load_policy("rules: [{name: all, then: allow}]", "p")])
    facts = calling("sip:112@example.com")
    assert screen(policy, facts, decide(policy, facts)).trail == decide(policy, facts).trail


def test_rules_may_ask_for_emergencies() -> None:
    text = "rules: [{name: sos, when: {emergency: true}, then: allow}]"
    policy = combine([load_policy(text, "p")])
    assert decide(policy, calling("urn:service:sos")).rule == "sos"
    assert decide(policy, calling("sip:600@example.com")).rule == "default deny"


def test_a_service_is_asked_for_by_urn_only() -> None:
    assert not is_emergency_service(parse_uri_untrusted("tel:112"))


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        ("urn:service:sos", "112"),
        ("urn:service:sos.police", "110"),
        ("urn:service:sos.police.local", "110"),
        ("URN:SERVICE:SOS.Fire", "112"),
        ("urn:service:sos." + "x." * 30_000, "112"),
        ("urn:service:test.sos", ""),
        ("urn:service:test.sos.fire", ""),
        ("urn:service:counseling", ""),
        ("urn:service:sosfoo", ""),
        ("urn:service", ""),
        ("urn:nena:service:sos", ""),
        ("sip:service%3Asos@example.com", ""),
        ("tel:112", ""),
    ],
)
def test_a_service_has_its_number_or_that_of_the_service_it_belongs_to(
    uri: str, number: str
) -> None:
    numbers = EmergencyNumbers(services={"sos.police": "110"})
    assert numbers.serving(parse_uri_untrusted(uri)) == number


def test_rules_see_the_number_that_a_service_calls() -> None:
    assert calling("urn:service:sos").called_number == "112"


def test_a_test_of_the_way_has_the_number_that_policies_give_it() -> None:
    numbers = EmergencyNumbers(services={"test.sos": "0999"})
    assert numbers.serving(parse_uri_untrusted("urn:service:test.sos.fire")) == "0999"
    assert numbers.serving(parse_uri_untrusted("urn:service:sos")) == "112"


def test_of_several_files_the_last_one_says_what_a_service_calls() -> None:
    texts = ("{sos: 112, sos.police: 110}", "{'urn:service:sos': '911'}")
    files = [load_policy(f"emergency: {{services: {text}}}", "p") for text in texts]
    assert dict(combine(files).emergency.services) == {"sos": "911", "sos.police": "110"}
