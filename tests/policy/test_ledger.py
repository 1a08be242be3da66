"""What calls cost and how many there are, for each account."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sbc.policy.accounts import account_of, diverter_of
from sbc.policy.charges import (
    Charge,
    PastCall,
    charge_from_data,
    charge_of,
    charge_to_data,
)
from sbc.policy.facts import FACTS, Facts
from sbc.policy.ledger import MOST_MISSED, MOST_RISKY_NUMBERS, Ledger
from sbc.policy.money_facts import COUNTS
from sbc.policy.tariffs import CutOff, Price, Row, Tariffs
from sbc.policy.windows import DAY_S, HOUR_S, STEPS, Window
from sbc.policy.world import World
from sbc.sip.message import Request
from sbc.sip.parser import parse_message_untrusted

NOW = 1.7e9
TARIFFS = Tariffs([Row("49", Price(0.06)), Row("883", Price(6.0, 1.0), "irsf")], 0.6)


class Countries:
    """+49 is DE, +883 is nowhere, +44 GB."""

    def country(self, e164: str) -> str:
        return {"+49": "DE", "+44": "GB"}.get(e164[:3], "")

    def kind(self, e164: str) -> str:
        return "premium" if e164.startswith("+49900") else ""


def facts_of(ledger: Ledger, called: str, now: float = NOW, **more: Any) -> Facts:
    world = World(numbers=Countries(), counters=ledger, tariffs=TARIFFS)
    given = {"user": "alice", "host": "203.0.113.7", **more}
    return Facts("outside", False, method="INVITE", world=world, now=now,
                 found={"called": called}, **given)  # fmt: skip


def asked(ledger: Ledger, name: str, now: float = NOW, called: str = "+49301", **more: Any) -> Any:
    return FACTS[name].read(facts_of(ledger, called, now, **more))


def begun(ledger: Ledger, call: str, called: str, now: float = NOW, **more: Any) -> None:
    ledger.begin(call, charge_of(facts_of(ledger, called, now, **more)), now)


def test_names_that_a_sender_makes_up_push_out_no_account_of_others() -> None:
    ledger = Ledger(most=5, most_diverters=3)
    begun(ledger, "dear", "+883123", user="victim")
    ledger.ended("dear", NOW)
    for number in range(20):
        told = invite(f"Diversion: <sip:{number}@x>")
        begun(ledger, f"c{number}", "+49301", user="bob", request=told)
        ledger.ended(f"c{number}", NOW)
    assert asked(ledger, "calls_hour", user="victim") == 1.0
    assert asked(ledger, "calls_hour", user="bob") == 20.0
    assert (len(ledger), ledger.evicted) == (5, 17)


def test_a_ringing_call_counts_at_once_with_a_minute_of_its_price() -> None:
    ledger = Ledger()
    begun(ledger, "a", "+883123")
    assert asked(ledger, "spend_hour") == 7.0
    assert (asked(ledger, "live_calls"), asked(ledger, "risky_calls")) == (1, 1)
    assert (asked(ledger, "calls_hour"), asked(ledger, "risky_numbers")) == (1, 1)
    ledger.ended("a", NOW + 20)
    assert asked(ledger, "spend_hour", NOW + 20) == 0.0
    assert (asked(ledger, "live_calls"), asked(ledger, "failed_calls")) == (0, 1)
    assert asked(ledger, "risky_numbers") == 1


def test_a_live_call_costs_more_while_it_lasts_and_in_the_end_what_it_cost() -> None:
    ledger = Ledger()
    begun(ledger, "a", "+883123")
    ledger.answered("a", NOW + 10)
    assert asked(ledger, "spend_hour", NOW + 10) == pytest.approx(1.0 + 6.0)
    assert asked(ledger, "spend_hour", NOW + 310) == pytest.approx(1.0 + 5 * 6.0 + 6.0)
    ledger.ended("a", NOW + 610)
    assert asked(ledger, "spend_hour", NOW + 610) == pytest.approx(1.0 + 10 * 6.0)
    assert asked(ledger, "spend_day", NOW + 2 * HOUR_S) == pytest.approx(61.0)
    assert asked(ledger, "spend_hour", NOW + 2 * HOUR_S) == 0.0
    assert asked(ledger, "spend_day", NOW + 2 * DAY_S) == 0.0


def test_of_a_long_call_the_last_hour_costs_an_hour() -> None:
    ledger = Ledger()
    begun(ledger, "a", "+49301")
    ledger.answered("a", NOW)
    hour = asked(ledger, "spend_hour", NOW + 5 * HOUR_S) - 0.06
    assert 3.6 <= hour <= 3.6 * (1 + 1 / STEPS) + 1e-9
    assert asked(ledger, "spend_day", NOW + 5 * HOUR_S) == pytest.approx(5 * 3.6 + 0.06)


def test_calls_that_are_set_up_at_once_see_each_other() -> None:
    ledger = Ledger()
    seen = []
    for call in "abc":
        seen.append((asked(ledger, "live_calls"), asked(ledger, "spend_hour")))
        begun(ledger, call, "+883123")
    assert seen == [(0, 0), (1, 7), (2, 14)]


def test_a_call_that_was_only_challenged_was_none() -> None:
    ledger = Ledger()
    begun(ledger, "a", "+49301")
    ledger.undo("a", NOW + 1)
    for what in ("calls_hour", "failed_calls", "live_calls", "spend_hour"):
        assert asked(ledger, what, NOW + 1) == 0.0


def test_short_calls_are_those_that_were_answered_and_over_soon() -> None:
    ledger = Ledger()
    for call, seconds in (("a", 3), ("b", 9.9), ("c", 10), ("d", 60)):
        begun(ledger, call, "+49301")
        ledger.answered(call, NOW)
        ledger.ended(call, NOW + seconds)
    assert asked(ledger, "short_calls", NOW + 60) == 2


def test_a_country_is_new_for_a_day() -> None:
    ledger = Ledger()
    assert asked(ledger, "new_country", called="+44201") is True
    begun(ledger, "a", "+44201")
    assert asked(ledger, "new_country", NOW + 60, called="+44201") is True
    assert asked(ledger, "new_country", NOW + DAY_S, called="+44201") is False
    assert asked(ledger, "new_country", NOW + DAY_S, called="+883123") is False
    assert asked(ledger, "new_country", NOW + DAY_S, called="+44201", user="bob") is True


def test_whoever_rang_and_was_not_answered_is_known_for_a_day() -> None:
    ledger = Ledger()
    ledger.begin("a", Charge("", "+883123"), NOW)
    ledger.ended("a", NOW + 2)
    ledger.begin("b", Charge("", "+49309"), NOW)
    ledger.answered("b", NOW + 5)
    ledger.ended("b", NOW + 6)
    ledger.begin("c", Charge("", "anonymous"), NOW)
    ledger.ended("c", NOW + 2)
    assert asked(ledger, "calls_back", NOW + 60, called="+883123") is True
    assert asked(ledger, "calls_back", NOW + 60, called="+49309") is False
    assert asked(ledger, "calls_back", NOW + 60, called="anonymous") is False
    assert asked(ledger, "calls_back", NOW + 2 + DAY_S, called="+883123") is False
    assert asked(ledger, "live_calls") == 0


def test_the_numbering_plan_says_what_is_risky_where_no_table_does() -> None:
    assert asked(Ledger(), "risk", called="+49900123") == "premium"
    assert asked(Ledger(), "risk", called="+883123") == "irsf"
    assert asked(Ledger(), "risk", called="+49301") == ""
    assert asked(Ledger(), "price", called="+49301") == 0.06


def invite(*headers: str) -> Request:
    lines = [
        "INVITE sip:+49301@sbc SIP/2.0",
        "Via: SIP/2.0/UDP h;branch=z9hG4bKa",
        "From: <sip:x@h>;tag=1",
        "To: <sip:y@h>",
        "Call-ID: c",
        "CSeq: 1 INVITE",
        *headers,
    ]
    message = parse_message_untrusted("\r\n".join([*lines, "", ""]).encode())
    assert isinstance(message, Request)
    return message


@pytest.mark.parametrize(
    ("facts", "account"),
    [
        ({"user": "alice", "peer": "pbx"}, "user alice"),
        ({"user": "", "registered": True, "aor": "sip:bob@example.com"}, "phone bob@example.com"),
        ({"user": "", "peer": "pbx"}, "peer pbx"),
        ({"user": ""}, "source 203.0.113.7"),
    ],
)
def test_the_account_is_whoever_is_known_best(facts: dict[str, Any], account: str) -> None:
    assert account_of(facts_of(Ledger(), "+49301", **facts)) == account


@pytest.mark.parametrize(
    ("headers", "diverter"),
    [
        ((), ""),
        (("Diversion: <sip:100@pbx>;reason=no-answer", "Diversion: <sip:99@pbx>"), "100"),
        (("History-Info: <sip:100@pbx>;index=1, <sip:+49301@pbx>;index=1.1",), "100"),
        (("History-Info: <sip:+49301@pbx>;index=1",), ""),
        (("Diversion: <sip:pbx>",), "anonymous"),
    ],
)
def test_a_forwarded_call_counts_for_who_forwarded_it_too(
    headers: tuple[str, ...], diverter: str
) -> None:
    ledger = Ledger()
    facts = facts_of(ledger, "+883123", request=invite(*headers))
    name = f"user alice forwarding {diverter}" if diverter else ""
    assert diverter_of(facts) == name
    ledger.begin("a", charge_of(facts), NOW)
    again = replace(facts, found={"called": "+49301"})
    expected = (1.0, 7.0) if diverter else (0.0, 0.0)
    read = [FACTS[what].read(again) for what in ("diverter_calls", "diverter_spend_hour")]
    assert tuple(read) == expected
    assert asked(ledger, "spend_hour") == 7.0


def test_every_counter_is_a_fact_that_begins_with_nothing() -> None:
    assert {name: asked(Ledger(), name) for name in COUNTS} == dict.fromkeys(COUNTS, 0.0)


def test_records_of_before_count_as_the_calls_did() -> None:
    live, later = Ledger(), Ledger()
    begun(live, "a", "+883123")
    live.answered("a", NOW + 10)
    live.ended("a", NOW + 610)
    begun(live, "b", "+44201", NOW + 700)
    live.ended("b", NOW + 705)
    for called, began, answered, ended in (
        ("+44201", NOW + 700, None, NOW + 705),
        ("+883123", NOW, NOW + 10, NOW + 610),
    ):
        later.record(PastCall(charge_of(facts_of(later, called)), began, answered, ended))
    later.record(PastCall(Charge("", "+49309"), NOW, None, NOW + 2))
    for name in COUNTS:
        assert asked(later, name, NOW + 800) == pytest.approx(asked(live, name, NOW + 800)), name
    assert asked(later, "new_country", NOW + 800 + DAY_S, called="+44201") is False
    assert asked(later, "calls_back", NOW + 800, called="+49309") is True


@pytest.mark.parametrize(
    ("limits", "found"),
    [
        (CutOff(hour=13.9), {("a", "user alice"), ("b", "user alice")}),
        (CutOff(hour=14), set()),
        (CutOff(day=13.9), {("a", "user alice"), ("b", "user alice")}),
        (CutOff(), set()),
    ],
)
def test_calls_that_cost_are_overdrawn_when_their_account_has_spent_too_much(
    limits: CutOff, found: set[tuple[str, str]]
) -> None:
    ledger = Ledger()
    begun(ledger, "a", "+883123")
    begun(ledger, "b", "+883124")
    begun(ledger, "free", "600")
    begun(ledger, "other", "+883124", user="bob")
    ledger.begin("in", Charge("", "+49301"), NOW)
    overdrawn = ledger.overdrawn(limits, NOW)
    assert {(call, account) for call, account, _ in overdrawn} == found
    assert {amount for _, _, amount in overdrawn} <= {14.0}


def test_a_charge_is_plain_data() -> None:
    charge = charge_of(facts_of(Ledger(), "+883123", request=invite("Diversion: <sip:1@h>")))
    assert charge_from_data(charge_to_data(charge)) == charge


def test_strangers_push_out_each_other_and_nobody_else() -> None:
    ledger = Ledger(most=2, most_strangers=3)
    begun(ledger, "mine", "+883123")
    begun(ledger, "theirs", "+883123", user="", host="198.51.100.1")
    for number in range(50):
        begun(ledger, f"s{number}", "+49301", user="", host=f"198.51.101.{number}")
        ledger.ended(f"s{number}", NOW)
    assert len(ledger) <= 4
    assert ledger.evicted >= 47
    assert asked(ledger, "live_calls") == 1
    assert asked(ledger, "live_calls", user="", host="198.51.100.1") == 1


def test_what_is_remembered_of_one_account_and_of_callers_is_bounded() -> None:
    ledger = Ledger()
    for number in range(MOST_RISKY_NUMBERS + 50):
        begun(ledger, str(number), f"+883{number:04}", NOW + number)
        ledger.ended(str(number), NOW + number)
    assert asked(ledger, "risky_numbers", NOW + 200) == MOST_RISKY_NUMBERS
    for number in range(MOST_MISSED + 5):
        ledger.record(PastCall(Charge("", f"+{number}"), NOW, None, NOW))
    assert asked(ledger, "calls_back", called="+0") is False
    assert asked(ledger, "calls_back", called=f"+{MOST_MISSED}") is True


def test_what_nobody_began_can_neither_be_answered_nor_end() -> None:
    ledger = Ledger()
    ledger.answered("x", NOW)
    ledger.ended("x", NOW)
    ledger.undo("x", NOW)
    assert len(ledger) == 0


@given(
    st.lists(st.tuples(st.floats(0, 3 * DAY_S), st.floats(0, 100)), max_size=50),
    st.floats(0, 3 * DAY_S),
)
def test_a_window_forgets_nothing_early_and_everything_one_step_late(
    added: list[tuple[float, float]], now: float
) -> None:
    window = Window(DAY_S)
    added = sorted(one for one in added if one[0] <= now)
    for at, amount in added:
        window.add(at, amount)
    step = DAY_S / STEPS
    low = sum(amount for at, amount in added if at > now - DAY_S)
    high = sum(amount for at, amount in added if at > now - DAY_S - step)
    assert low - 1e-6 <= window.sum(now) <= high + 1e-6
    assert len(window) <= STEPS + 1


@given(st.floats(0, DAY_S), st.floats(0, 2 * DAY_S), st.floats(0, 1e4))
def test_what_is_spread_over_a_time_is_all_there(
    begin: float, length: float, amount: float
) -> None:
    window = Window(DAY_S)
    window.spread(begin, begin + length, amount)
    expected = amount if length <= DAY_S else amount * DAY_S / length
    assert window.sum(begin + length) >= expected * (1 - 1e-6) - 1e-6
    assert window.sum(begin + length) <= amount * (1 + 1e-6)


class LedgerAgainstCalls(RuleBasedStateMachine):
    """The ledger's counters are those of the set of live calls, whatever happens in what order."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(most=4, most_strangers=2)
        self.now = NOW
        self.live: dict[str, tuple[str, str, bool]] = {}
        self.count = 0

    @rule(
        account=st.sampled_from(["a", "b", "c", ""]), called=st.sampled_from(["+883123", "+49301"])
    )
    def begin(self, account: str, called: str) -> None:
        self.count += 1
        name = str(self.count)
        begun(self.ledger, name, called, self.now, user=account)
        self.live[name] = (account, called, False)

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.live)))
        self.ledger.answered(name, self.now)
        self.live[name] = (*self.live[name][:2], True)

    @precondition(lambda self: self.live)
    @rule(data=st.data(), challenged=st.booleans())
    def end(self, data: st.DataObject, challenged: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.live)))
        del self.live[name]
        if challenged:
            self.ledger.undo(name, self.now)
        else:
            self.ledger.ended(name, self.now)

    @rule(seconds=st.floats(0, 4000))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def counters_are_those_of_the_live_calls(self) -> None:
        assert set(self.ledger.live) == set(self.live)
        for account in ("a", "b", "c", ""):
            mine = [call for call in self.live.values() if call[0] == account]
            risky = [call for call in mine if call[1] == "+883123"]
            assert asked(self.ledger, "live_calls", self.now, user=account) == len(mine)
            assert asked(self.ledger, "risky_calls", self.now, user=account) == len(risky)
            reserve = sum(
                TARIFFS.price(called).of(1) if not answered else TARIFFS.price(called).per_minute
                for _, called, answered in mine
            )
            assert asked(self.ledger, "spend_hour", self.now, user=account) >= reserve - 1e-6


TestLedgerAgainstCalls = LedgerAgainstCalls.TestCase
