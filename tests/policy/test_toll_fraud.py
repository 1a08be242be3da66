"""Every line of the shipped policy against toll fraud: what it stops, and where it begins."""

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sbc.policy.access import decide, screen
from sbc.policy.facts import FACTS, Facts
from sbc.policy.library import Library
from sbc.policy.load import combine, load_policy
from sbc.policy.model import Decision, PolicySet, Step
from sbc.policy.tariffs import CutOff
from sbc.policy.tariffs_schema import combined
from sbc.policy.world import World

POLICIES = Path(__file__).parents[2] / "policies"
FILE = POLICIES / "toll-fraud.yaml"
LOADED = load_policy(FILE.read_text(), str(FILE), library=Library(read=Path.read_text))
SHIPPED = combine([LOADED])
TARIFFS = combined([LOADED.tariffs])

HOME, DEAR, RISKY, BARRED = "+4930123456", "+20123456789", "+224123456", "+88213123456"


class Counted:
    """Counters that are what a test says."""

    def __init__(self, counts: dict[str, float]) -> None:
        self._counts = counts

    def count(self, what: str, facts: Facts) -> float:
        return self._counts.get(what, 0.0)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp()


MONDAY, NIGHT, EARLY = at("2026-06-15T07:00"), at("2026-06-15T19:00"), at("2026-06-15T06:59")
SUNDAY = at("2026-06-14T12:00")


def facts_of(
    called: str, *, pbx: bool = False, forwards: float = 0, now: float = MONDAY, **counts: float
) -> Facts:
    world = World(counters=Counted(counts), tariffs=TARIFFS)
    return Facts(
        "inside" if pbx else "outside", pbx, "203.0.113.7", "INVITE",
        peer="pbx" if pbx else None, user="" if pbx else "alice", world=world, now=now,
        found={"called": called, "forwards": float(forwards), "emergency": False},
    )  # fmt: skip


def step_of(facts: Facts, policy: PolicySet = SHIPPED) -> Step | None:
    decision = screen(policy, facts, Decision("allow", "x", "x"))
    return decision.trail[-1] if decision.trail else None


def told(policy: PolicySet, facts: Facts) -> str | None:
    step = step_of(facts, policy)
    return None if step is None else f"{step.rule}: {step.action}"


@pytest.mark.parametrize(
    ("called", "given", "answer"),
    [
        (HOME, {}, None),
        (HOME, {"pbx": True}, None),
        (DEAR, {"new_country": 1}, None),
        ("600", {"calls_hour": 500, "short_calls": 500, "spend_day": 999}, None),
        # barred destinations, each class, whoever calls
        (BARRED, {}, "barred destinations: reject 403 This destination is barred"),
        (BARRED, {"pbx": True}, "barred destinations: reject 403 This destination is barred"),
        ("+979123456", {}, "barred destinations: reject 403 This destination is barred"),
        ("+677123456", {}, "barred destinations: reject 403 This destination is barred"),
        ("+80012345678", {}, None),
        # forwarding
        (HOME, {"forwards": 2}, None),
        (HOME, {"forwards": 3}, "forward chains: reject 403 Forwarded too often"),
        (RISKY, {"forwards": 0}, None),
        (
            RISKY,
            {"forwards": 1},
            "forwarded to a risky destination: reject 403 Calls are not forwarded there",
        ),
        (DEAR, {"diverter_calls": 1}, None),
        (HOME, {"diverter_calls": 2}, None),
        (
            DEAR,
            {"diverter_calls": 2},
            "forwards in parallel: reject 403 Too many forwarded calls",
        ),
        (HOME, {"diverter_spend_hour": 10}, None),
        ("600", {"diverter_spend_hour": 11}, None),
        (HOME, {"diverter_spend_hour": 10.1}, None),
        (DEAR, {"diverter_spend_hour": 10}, None),
        (
            DEAR,
            {"diverter_spend_hour": 10.1},
            "forwards cost too much: reject 403 Too much was forwarded",
        ),
        # risky destinations
        (HOME, {"calls_back": 1}, None),
        (RISKY, {"calls_back": 1}, "lured to call back: reject 403 Do not call back"),
        (HOME, {"risky_calls": 1}, None),
        (
            RISKY,
            {"risky_calls": 1},
            "risky calls in parallel: reject 403 One such call at a time",
        ),
        (RISKY, {"risky_calls": 1, "pbx": True}, None),
        (HOME, {"risky_calls": 2, "pbx": True}, None),
        (
            RISKY,
            {"risky_calls": 2, "pbx": True},
            "more risky calls in parallel: reject 403 Two such calls at a time",
        ),
        (RISKY, {"risky_numbers": 4}, None),
        (HOME, {"risky_numbers": 5}, None),
        (RISKY, {"risky_numbers": 5}, "many risky numbers: reject 403 Too many such numbers"),
        (
            RISKY,
            {"risky_numbers": 5, "pbx": True},
            "many risky numbers: reject 403 Too many such numbers",
        ),
        (
            RISKY,
            {"new_country": 1, "now": NIGHT},
            "first calls at night: reject 403 Not at this time",
        ),
        (
            RISKY,
            {"new_country": 1, "now": SUNDAY},
            "first calls at night: reject 403 Not at this time",
        ),
        (
            RISKY,
            {"new_country": 1, "now": EARLY},
            "first calls at night: reject 403 Not at this time",
        ),
        (RISKY, {"now": NIGHT}, None),
        (DEAR, {"new_country": 1, "now": NIGHT}, None),
        (RISKY, {"new_country": 1, "spend_day": 15}, "first calls to a risky country: cap 10"),
        (
            RISKY,
            {"new_country": 1, "spend_day": 15.1},
            "first calls to a risky country cost too much: reject 403 Too much for the first day",
        ),
        (RISKY, {"spend_day": 15.1}, None),
        (
            RISKY,
            {"new_country": 1, "spend_day": 15.1, "pbx": True},
            "first calls to a risky country: cap 10",
        ),
        (DEAR, {"new_country": 1, "spend_day": 15.1}, None),
        # money
        (DEAR, {"spend_hour": 20}, "spends much: warn"),
        (HOME, {"spend_hour": 20.1}, None),
        (
            DEAR,
            {"spend_hour": 20.1},
            "spent too much in an hour: reject 403 The limit of this hour is reached",
        ),
        (DEAR, {"spend_hour": 20.1, "pbx": True}, None),
        (DEAR, {"spend_day": 60.1, "pbx": True}, None),
        (DEAR, {"spend_day": 60}, None),
        (HOME, {"spend_day": 60.1}, None),
        (
            DEAR,
            {"spend_day": 60.1},
            "spent too much in a day: reject 403 The limit of today is reached",
        ),
        (HOME, {"spend_hour": 100, "pbx": True}, "anybody spends much: warn"),
        (
            HOME,
            {"spend_hour": 100.1, "pbx": True},
            "anybody spent too much in an hour: reject 403 The limit of this hour is reached",
        ),
        ("600", {"spend_hour": 100.1, "pbx": True}, None),
        (HOME, {"spend_day": 400, "pbx": True}, None),
        (
            HOME,
            {"spend_day": 400.1, "pbx": True},
            "anybody spent too much in a day: reject 403 The limit of today is reached",
        ),
        ("600", {"spend_day": 400.1, "pbx": True}, None),
        # patterns
        (HOME, {"short_calls": 20}, None),
        (HOME, {"short_calls": 21}, "many short calls: reject 403 Too many short calls"),
        (HOME, {"short_calls": 120, "pbx": True}, None),
        (
            HOME,
            {"short_calls": 121, "pbx": True},
            "even more short calls: reject 403 Too many short calls",
        ),
        ("600", {"short_calls": 121, "pbx": True}, None),
        (HOME, {"live_calls": 7}, None),
        ("600", {"live_calls": 8}, "too many calls at once: reject 403 Too many calls at once"),
        (HOME, {"live_calls": 8, "pbx": True}, None),
        (HOME, {"calls_hour": 120}, None),
        (HOME, {"calls_hour": 121}, "too many calls in an hour: reject 403 Too many calls"),
        (HOME, {"calls_hour": 121, "pbx": True}, None),
        # caps and warnings
        (RISKY, {}, None),
        (RISKY, {"new_country": 1}, "first calls to a risky country: cap 10"),
        (RISKY, {"new_country": 1, "pbx": True}, "first calls to a risky country: cap 10"),
        (DEAR, {"spend_hour": 10}, None),
        (HOME, {"spend_hour": 10.1}, None),
        (DEAR, {"spend_hour": 10.1}, "spends much: warn"),
        (DEAR, {"spend_hour": 10.1, "pbx": True}, None),
        (HOME, {"spend_hour": 50, "pbx": True}, None),
        ("600", {"spend_hour": 50.1, "pbx": True}, None),
        (HOME, {"spend_hour": 50.1, "pbx": True}, "anybody spends much: warn"),
        (HOME, {"failed_calls": 60}, None),
        (HOME, {"failed_calls": 61}, "nobody answers: warn"),
        (HOME, {"failed_calls": 61, "pbx": True}, None),
    ],
)
def test_what_is_said_of_a_call(called: str, given: dict[str, Any], answer: str | None) -> None:
    assert told(SHIPPED, facts_of(called, **given)) == answer


def test_every_rule_is_among_the_cases() -> None:
    mark = next(m for m in test_what_is_said_of_a_call.pytestmark if m.name == "parametrize")
    named = {answer.partition(":")[0] for _, _, answer in mark.args[1] if answer}
    assert named == {rule.name for rule in SHIPPED.stages["fraud"]}


def test_a_number_without_a_price_costs_what_the_file_says() -> None:
    assert TARIFFS.unknown_price.per_minute == 1.0
    assert TARIFFS.cut_off == CutOff(150.0, 500.0)
    assert FACTS["price"].read(facts_of("+0123456789")) == 1.0


def test_what_is_wanted_comes_first_as_the_file_shows_it() -> None:
    lines = FILE.read_text().splitlines()
    begin = lines.index("#     fraud:")
    example = "\n".join(line[6:] for line in lines[begin : begin + 4])
    mine = load_policy(example, "mine.yaml")
    assert mine.problems == ()
    both = combine([mine, LOADED])
    facts = facts_of("+870773123456")
    facts.user = "bridge"
    decision = screen(both, facts, Decision("allow", "x", "x"))
    assert (decision.allowed, decision.trail[-1].rule) == (True, "the ship calls by satellite")
    facts = facts_of("+88161234567")
    facts.user = "bridge"
    assert screen(both, facts, Decision("allow", "x", "x")).allowed
    facts.user = "cook"
    assert not screen(both, facts, Decision("allow", "x", "x")).allowed


def test_emergency_calls_pass_whatever_they_cost() -> None:
    facts = facts_of(BARRED, live_calls=99)
    facts.found["emergency"] = True
    assert screen(SHIPPED, facts, Decision("allow", "x", "x")).allowed


def test_it_lets_nobody_in_by_itself() -> None:
    assert not decide(SHIPPED, facts_of(HOME)).allowed
    assert LOADED.problems == ()


def test_a_refusal_tells_amounts_and_rule() -> None:
    step = step_of(facts_of(DEAR, spend_hour=20.5))
    assert step is not None
    assert "by rule 'spent too much in an hour'" in step.explanation
    assert "spend_hour 20.5 (above 20 wanted)" in step.explanation


@pytest.mark.parametrize("number", ["+4930123456", "+4366412345", "+33123456789", "+12125551234",
                                    "+81312345678", "+61212345678", "+447911123456"])  # fmt: skip
def test_ordinary_destinations_have_no_risk_and_a_price(number: str) -> None:
    assert TARIFFS.risk(number) == ""
    assert 0 < TARIFFS.price(number).per_minute <= 0.1
