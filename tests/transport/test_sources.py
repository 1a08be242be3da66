from sbc.transport.limits import TransportLimits
from sbc.transport.sources import PAUSE_S, REMEMBERED, Budget, Sources


def test_a_budget_may_be_overdrawn_once_and_then_pauses_until_that_is_regained() -> None:
    budget = Budget(rate=10, burst=20)
    assert budget.spend(20, 0.0)
    assert not budget.spend(30, 0.0)
    assert budget.paused_until == 3.0
    assert budget.spend(10, 4.0)


def test_a_pause_has_a_least_length() -> None:
    budget = Budget(rate=1000, burst=1)
    assert not budget.spend(2, 5.0)
    assert budget.paused_until == 5.0 + PAUSE_S


def test_overdrafts_are_counted_until_the_budget_is_full_again() -> None:
    budget = Budget(rate=10, burst=20)
    for turn in range(3):
        budget.spend(40, float(turn))
    assert budget.overdrafts == 3
    assert budget.spend(1, 100.0)
    assert budget.overdrafts == 0


def test_hanging_up_and_coming_back_renews_no_budget() -> None:
    sources = Sources(TransportLimits())
    sources.arrived("public", "192.0.2.1")
    before = sources.find("public", "192.0.2.1")
    sources.left("public", "192.0.2.1")
    sources.arrived("public", "192.0.2.1")
    assert sources.find("public", "192.0.2.1") is before
    assert before.connections == 1


def test_a_subscribers_line_is_one_source_and_networks_are_apart() -> None:
    sources = Sources(TransportLimits())
    one = sources.find("public", "2001:db8::1")
    assert sources.find("public", "2001:db8::2") is one
    assert sources.find("public", "2001:db8:0:1::1") is not one
    assert sources.find("other", "2001:db8::1") is not one


def test_the_table_is_bounded_and_keeps_who_is_connected() -> None:
    sources = Sources(TransportLimits())
    sources.arrived("public", "192.0.2.1")
    connected = sources.find("public", "192.0.2.1")
    for number in range(REMEMBERED + 50):
        sources.find("public", f"10.0.{number // 250}.{number % 250}")
    assert len(sources) == REMEMBERED + 1
    assert sources.find("public", "192.0.2.1") is connected


def test_a_source_is_answered_once_in_a_second() -> None:
    source = Sources(TransportLimits()).find("public", "192.0.2.1")
    assert [source.may_answer(now) for now in (5.0, 5.9, 6.0, 6.5)] == [True, False, True, False]
