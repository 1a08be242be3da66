"""What a record says of its call, and what is assumed of it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sbc.candidates import in_force, treated
from sbc.config.load import load_text
from sbc.driver.in_force import InForce
from sbc.management.replay import replay
from sbc.policy.conditions import Evidence
from sbc.policy.facts import FACTS
from sbc.simulation.recorded import ASSUMED, assumed, assumed_under, case_of
from sbc.state.cdr import CdrRecord, LegRecord
from tests.config.files import GOOD, POLICIES, FakeMachine

NIGHT = 1_772_490_600.0
"""Monday, the second of March 2026, half past ten in the evening."""

ALLOW = "rules: [{name: all, when: {peer: pbx}, then: allow}]\n"


def force(policy: str = ALLOW) -> InForce:
    text = GOOD.replace("policies: edge.yaml", "policies: asked.yaml")
    files = {**POLICIES, "asked.yaml": policy}

    def read(path: Path) -> str:
        return files[path.name]

    loaded = load_text(text, "sbc.yaml", FakeMachine(), {}, read)
    assert loaded.configuration is not None, loaded.problems
    return in_force(loaded.configuration, {})


def a_record(**changes: object) -> CdrRecord:
    a = LegRecord("pbx", "inside", "192.168.1.5:5060")
    record = CdrRecord("c1", "", NIGHT, None, None, "100", "+491", a, LegRecord())
    return replace(record, **changes)  # type: ignore[arg-type]  # names are the fields'


def explained(**values: str) -> str:
    tested = [{"fact": fact, "value": value, "wanted": "x"} for fact, value in values.items()]
    return json.dumps({"steps": [{"stage": "rules", "tested": tested}]})


def stopped(policy: str, record: CdrRecord) -> bool:
    return "by rule 'no'" in treated(force(policy + ALLOW), record).text


def requirement(when: str) -> str:
    return f"requirements: [{{name: 'no', when: {{{when}}}, then: reject 403}}]\n"


NIGHTLY = (
    "calendars: {night: {timezone: UTC, hours: '22:00-06:00'}}\n"
    "geo: [{name: 'no', when: {time: night}, then: reject 403}]\n"
)


def test_a_call_is_asked_about_at_the_hour_it_was_made() -> None:
    assert stopped(NIGHTLY, a_record())
    assert not stopped(NIGHTLY, a_record(started_at=NIGHT - 10 * 3600))


def test_calls_of_two_hours_are_not_taken_for_one() -> None:
    records = [a_record(started_at=NIGHT - 10 * 3600), a_record()]
    (one,) = replay(records, force(), force(NIGHTLY + ALLOW), treated).differences
    assert (one.calls, one.example.started_at) == (1, NIGHT)


def test_calls_of_two_kinds_of_phones_are_not_taken_for_one() -> None:
    agents = ("snom", "yealink", "yealink")
    records = [a_record(explanation=explained(user_agent=agent)) for agent in agents]
    after = force(requirement("user_agent: yealink") + ALLOW)
    (one,) = replay(records, force(), after, treated).differences
    assert one.calls == 2


@pytest.mark.parametrize(
    ("account", "user"),
    [("user 150", "150"), ("peer pbx", ""), ("source 192.0.2.1", ""), ("", ""), (None, "100")],
)
def test_who_logged_in_is_who_paid(account: str | None, user: str) -> None:
    assert case_of(a_record(account=account), force()).user == user


def test_what_rules_looked_at_then_is_known_now() -> None:
    case = case_of(
        a_record(explanation=explained(transport="tls", user_agent="yealink", srtp="sdes")), force()
    )
    assert (case.transport, case.user_agent) == ("tls", "yealink")
    assert case_of(a_record(explanation=explained(user_agent="none")), force()).user_agent is None
    assert case_of(a_record(explanation="{}"), force()).transport == "udp"
    by_agent = requirement("user_agent: yealink")
    assert stopped(by_agent, a_record(explanation=explained(user_agent="yealink")))
    assert not stopped(by_agent, a_record())


def test_a_decision_by_what_a_record_does_not_say_tells_what_was_assumed() -> None:
    plain = requirement("secure: false, header_matches: {X-A: '^$'}") + ALLOW
    told = treated(force(plain), a_record())
    assert told.text == "reject 403 by rule 'no'"
    assert told.why.startswith(f"{told.text} (")  # what a plan shows alone, and the place once
    assert told.why.count(":1)") == 1
    assert told.assumed == {ASSUMED["secure"], ASSUMED["header"]}
    assert treated(force(), a_record()).assumed == set()
    by_transport = requirement("transport: udp") + ALLOW
    assert treated(force(by_transport), a_record()).assumed == {ASSUMED["transport"]}
    known = a_record(explanation=explained(transport="udp"))
    assert treated(force(by_transport), known).assumed == set()


def test_what_any_rule_asks_and_records_do_not_say_is_told_of_a_policy() -> None:
    assert assumed_under(force().policy) == set()
    policy = requirement("user_agent: scanner, called: '+4*'") + ALLOW
    assert assumed_under(force(policy).policy) == {"no User-Agent"}


SAID = """
    network trust source peer known_peer registered source_country source_asn method status called
    called_country called_type emergency caller caller_country caller_type authenticated user time
    price risk
"""


def test_a_record_says_every_fact_or_it_is_assumed() -> None:
    assert FACTS.keys() - ASSUMED.keys() == set(SAID.split())
    assert ASSUMED.keys() <= FACTS.keys()
    tested = [Evidence(name, "", "") for name in FACTS]
    assert assumed(a_record(), tested) == frozenset(ASSUMED.values())
