"""Calls of before, judged by the shipped policy: all fraud is found, and nothing else."""

from pathlib import Path

import pytest

from sbc.policy.facts import FACTS
from sbc.policy.ledger import Ledger
from sbc.policy.library import Library
from sbc.policy.load import combine, load_policy
from sbc.policy.model import PolicySet
from sbc.policy.past import Past, backtest, remember
from sbc.policy.world import World
from tests.kit.toll_fraud import DAY_S, FRAUD, MONTH, Numbering, Phones, a_normal_month

POLICIES = Path(__file__).parents[2] / "policies"
WORLD = World(numbers=Numbering())


def shipped(*more: str) -> PolicySet:
    file = POLICIES / "toll-fraud.yaml"
    loaded = [load_policy(text, "mine.yaml") for text in more]
    loaded.append(load_policy(file.read_text(), str(file), library=Library(read=Path.read_text)))
    assert [str(problem) for policy in loaded for problem in policy.problems] == []
    return combine(loaded)


SHIPPED = shipped()
NORMAL = a_normal_month()
MID_MONTH = [call for call in NORMAL if 10 * DAY_S < call.began - MONTH < 18 * DAY_S]


def test_a_month_of_an_honest_company_gives_no_alarm() -> None:
    report = backtest(SHIPPED, WORLD, NORMAL)
    assert report.calls > 5_000
    assert [(one.step.rule, one.past) for one in report.found] == []
    assert report.counts == {}
    assert report.saved == 0.0
    assert report.cost > 500.0


@pytest.mark.parametrize("name", FRAUD)
def test_every_pattern_of_fraud_is_stopped_within_three_calls(name: str) -> None:
    fraud = FRAUD[name]()
    month = sorted([*MID_MONTH, *fraud], key=lambda call: call.began)
    report = backtest(SHIPPED, WORLD, month)
    found = {one.past.call: one for one in report.found}
    paid = [call for call in fraud if call.account]
    # The owner of a stolen account may reach the limits that its thief has used up; nobody else.
    assert {one.past.account for one in report.found} <= {call.account for call in paid}
    first = next(number for number, call in enumerate(paid) if call.call in found)
    assert first < 3
    saved = sum(one.saved for one in found.values())
    assert saved > 0.8 * sum(cost(call) for call in paid) - 1.0


def cost(call: Past) -> float:
    return SHIPPED.tariffs.price(call.number).of((call.ended - (call.answered or call.ended)) / 60)


def test_what_is_rejected_is_not_counted_and_what_is_capped_ends_sooner() -> None:
    phones = Phones("x")
    policy = shipped(
        "fraud:\n"
        "- {name: one, when: {called: +491*, live_calls: {above: 0}}, then: reject}\n"
        "- {name: short, when: {called: +491*}, then: cap 1}\n"
    )
    calls = [
        phones.call("user a", "+4915123", MONTH, 600.0),
        phones.call("user a", "+4915123", MONTH + 30, 600.0),
        phones.call("user a", "+4915123", MONTH + 69, 600.0),
    ]
    report = backtest(policy, WORLD, calls)
    assert [(one.past.call, one.step.rule) for one in report.found] == [
        ("x1", "short"),
        ("x2", "one"),
        ("x3", "short"),
    ]
    assert report.counts == {"cap": 2, "reject": 1}
    assert report.cost == pytest.approx(1.5)
    assert report.saved == pytest.approx(0.45 + 0.5 + 0.45)
    assert report.by_rule["one"] == (1, pytest.approx(0.5))


def test_calls_that_came_in_cost_nobody_anything() -> None:
    phones = Phones("x")
    report = backtest(SHIPPED, WORLD, [phones.call("", "+882123456", MONTH, 600.0)])
    assert (report.calls, report.cost, report.found) == (0, 0.0, [])


def test_what_was_written_down_is_counted_again_after_a_restart() -> None:
    ledger = Ledger()
    world = World(numbers=Numbering(), counters=ledger, tariffs=SHIPPED.tariffs)
    phones = Phones("x")
    past = [
        phones.call("user a", "+4930123456", MONTH, 600.0),
        phones.call("peer pbx", "+224123456", MONTH, 60.0, diverter="peer pbx forwarding 7"),
        phones.call("", "+2327612345", MONTH, 0.0),
    ]
    assert remember(ledger, world, past[::-1], lambda: False) == 3
    again = Past("y", "user a", "+2327612345", MONTH + 900, None, MONTH + 901)
    facts = again.facts(world)
    read = {name: FACTS[name].read(facts) for name in ("spend_hour", "calls_hour", "calls_back")}
    assert read == {"spend_hour": pytest.approx(0.5), "calls_hour": 1.0, "calls_back": True}
    forwarded = past[1]._replace(began=MONTH + 900).facts(world)
    assert FACTS["diverter_spend_hour"].read(forwarded) == pytest.approx(0.8)


def test_of_calls_of_before_the_newest_are_counted_as_long_as_there_is_time() -> None:
    ledger, phones = Ledger(), Phones("x")
    past = [phones.call(f"user {n}", "+4930123456", MONTH - n, 60.0) for n in range(9)]
    answers = iter([False, False, True])
    assert remember(ledger, WORLD, past, lambda: next(answers)) == 2
    assert [name for name, _ in ledger.accounts()] == ["user 1", "user 0"]
