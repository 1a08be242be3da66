"""The shipped policy for geography: every line of it decides about something."""

from pathlib import Path
from typing import Any

import pytest

from sbc.numbering import WorldKinds
from sbc.policy.access import decide, screen
from sbc.policy.emergency import EmergencyNumbers
from sbc.policy.facts import Facts
from sbc.policy.load import combine, load_policy
from sbc.policy.model import PolicySet
from sbc.policy.world import FAILED_CLOSED, FAILED_OPEN, World

TEXT = (Path(__file__).parents[2] / "policies/geo-blocking.yaml").read_text()
ALLOW = load_policy("rules: [{name: may come in, then: allow}]", "all.yaml")

HOSTS = {
    "203.0.113.1": "DE", "203.0.113.2": "AT", "203.0.113.3": "CH", "203.0.113.4": "KP",
    "203.0.113.5": "FR", "203.0.113.6": "", "203.0.113.7": FAILED_CLOSED,
    "203.0.113.8": FAILED_OPEN,
}  # fmt: skip


class Atlas:
    """The countries of some hosts."""

    def country(self, host: str) -> str:
        return HOSTS.get(host, "")

    def asn(self, host: str) -> str:
        return ""


def loaded(text: str) -> PolicySet | None:
    policy = load_policy(text, "geo-blocking.yaml")
    return None if policy.broken else combine([policy, ALLOW])


def asked(host: str, method: str = "REGISTER", called: str = "", **more: Any) -> Facts:
    world = World(Atlas(), WorldKinds(["DE"]), emergency=EmergencyNumbers())
    facts = Facts("outside", False, host, method, world=world)
    facts.found["called"] = called
    for name, value in more.items():
        setattr(facts, name, value)
    return facts


def outcome(policy: PolicySet, facts: Facts) -> str:
    facts.found = {"called": facts.found["called"]}
    decision = screen(policy, facts, decide(policy, facts))
    if decision.allowed:
        return "served"
    return f"{decision.rule}: {decision.status} {decision.text}"


ELSEWHERE = "source country: 403 Not served where you are"
DEAR = "premium and satellite numbers: 603 Not a number to call from here"
ABROAD = "destination country: 603 Not a country to call from here"


def call(number: str, **more: Any) -> Facts:
    return asked("203.0.113.1", "INVITE", number, **more)


CASES = [
    *((asked(f"203.0.113.{n}"), "served") for n in (1, 2, 3)),
    *((asked(f"203.0.113.{n}"), ELSEWHERE) for n in (4, 5, 6)),
    *((asked(f"203.0.113.{n}", "INVITE", "600"), ELSEWHERE) for n in (4, 6)),
    # The database failed: closed, open.
    (asked("203.0.113.7"), ELSEWHERE),
    (asked("203.0.113.8"), "served"),
    # Who is known otherwise.
    (asked("203.0.113.4", peer="trunk"), "served"),
    (asked("203.0.113.4", trusted=True), "served"),
    (asked("203.0.113.4", registered=True), ELSEWHERE),
    *((asked(h), "served") for h in ("10.1.2.3", "172.16.1.2", "192.168.1.2", "fd00::1")),
    (asked("172.32.1.2"), ELSEWHERE),
    (asked("203.0.113.4", "INVITE", "+4930123456", trusted=True), "served"),
    # An exception for an address is none for what it calls.
    (asked("10.1.2.3", "INVITE", "+18765551234"), ABROAD),
    # Extensions, names, short codes.
    *((call(number), "served") for number in ("600", "alice", "11833", "030123456", "")),
    # Home, and each of the countries beside it.
    *((call(number), "served") for number in ("+4930123456", "+431234567", "+41446681800")),
    *(
        (call(number), "served")
        for number in (
            "+3222345678", "+4532123456", "+33142345678", "+442071234567", "+35315123456",
            "+390612345678", "+35226123456", "+31201234567", "+4722334455", "+48221234567",
            "+4681234567",
        )
    ),
    # +1 is many countries, and none of them is home here.
    *((call(number), ABROAD) for number in ("+12125550123", "+14165551234", "+18765551234")),
    (call("+12025550123"), "served"),
    (call("+18005551212"), "served"),
    (call("+80012345678"), "served"),
    (call("+18885551212"), "served"),
    # Numbers that earn somebody money.
    (call("+499001234567"), DEAR),
    (call("+491801123456"), DEAR),
    (call("+870773123456"), DEAR),
    (call("+88213300000"), DEAR),
    (call("+979123456789"), DEAR),
    # Nobody's, and what nobody understood.
    (call("+999123456"), ABROAD),
    (call("+10005551234"), ABROAD),
    (call("0018765551234"), ABROAD),
    (call("01118765551234"), ABROAD),
    # The other way round: from peers too.
    (call("+18765551234", peer="pbx", trusted=True), ABROAD),
    # Only calls have a destination.
    (asked("203.0.113.1", "OPTIONS", "+18765551234"), "served"),
    (asked("203.0.113.1", "MESSAGE", "+499001234567"), "served"),
    (call("112"), "served"),
    (asked("203.0.113.4", "INVITE", "112"), "served"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "wanted"), CASES, ids=[f"{f.method} {f.host} {f.found['called']}" for f, _ in CASES]
)
def test_the_policy_for_geography(facts: Facts, wanted: str) -> None:
    policy = loaded(TEXT)
    assert policy is not None
    assert outcome(policy, facts) == wanted


def test_with_north_america_as_home_the_caribbean_is_still_abroad() -> None:
    policy = loaded(TEXT.replace("home: [DE, AT, CH]", "home: [US, CA]"))
    assert policy is not None
    found = [
        outcome(policy, asked("10.0.0.1", "INVITE", number))
        for number in ("+12125550123", "+14165551234", "+18765551234", "+18095551234")
    ]
    assert found == ["served", "served", ABROAD, ABROAD]


def test_exceptions_come_before_what_they_are_exceptions_of() -> None:
    policy = loaded(TEXT)
    assert policy is not None
    names = [rule.name for rule in policy.stages["geo"]]
    assert names.index("wanted numbers") < names.index("destination country")
    facts = call("+12025550123")
    decision = screen(policy, facts, decide(policy, facts))
    assert [(step.stage, step.rule) for step in decision.trail] == [
        ("rules", "may come in"),
        ("geo", "wanted numbers"),
    ]
