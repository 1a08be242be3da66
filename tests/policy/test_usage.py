"""What is learned of a limit from what was used of it."""

from hypothesis import given
from hypothesis import strategies as st

from sbc.policy.buckets import Buckets
from sbc.policy.conditions import asks
from sbc.policy.model import RateLimit
from sbc.policy.usage import ENOUGH, WINDOW_S, Quantiles, Suggestion, Usage, two_digits

LIMIT = RateLimit("l", asks(), "source", 20.0, 60, "p:1")


@given(st.integers(0, 10**9))
def test_two_digits_are_rounded_up_and_by_little(value: int) -> None:
    rounded = two_digits(value)
    assert value <= rounded <= value * 1.1 + 1
    assert len(str(rounded).rstrip("0")) <= 2 or rounded == 100


def test_quantiles_are_those_of_the_minutes_of_sources() -> None:
    usage = Usage(60)
    for messages in range(1, 1001):
        usage.add(messages, 5)
    assert usage.minutes == 1000
    assert usage.per_minute == Quantiles(500, 990, 1000, 1000)
    assert usage.at_once == Quantiles(5, 5, 5, 5)


def test_nothing_used_is_nothing_and_suggests_nothing() -> None:
    assert Usage(60).per_minute == Quantiles(0, 0, 0, 0)
    assert Usage(60).suggestion() is None


def test_a_suggestion_allows_twice_what_nearly_everybody_used() -> None:
    usage = Usage(60)
    for _ in range(ENOUGH - 1):
        usage.add(300, 12)
    assert usage.suggestion() is None
    usage.add(300, 12)
    assert usage.suggestion() == Suggestion(10, 24)


def test_what_is_kept_does_not_grow_with_what_is_sent() -> None:
    usage = Usage(10**9)
    for number in range(200_000):
        usage.add(number * 4999, number * 4999)
    assert len(usage._per_minute) + len(usage._at_once) < 2000


def test_a_minute_of_a_source_is_learned_with_its_deepest_draw() -> None:
    buckets = Buckets(LIMIT, 16, ())
    for n in range(30):
        assert buckets.take("a", 100.0 + n / 1000)
    assert buckets.take("a", 110.0)
    assert buckets.learn(111.0).minutes == 0
    usage = buckets.learn(100.0 + WINDOW_S)
    assert (usage.minutes, usage.per_minute.most, usage.at_once.most) == (1, 31, 30)
    assert buckets.take("a", 300.0)
    usage = buckets.learn(400.0)
    assert (usage.minutes, usage.per_minute.p50, usage.at_once.p50) == (2, 1, 1)


def test_a_source_that_used_it_up_drew_the_whole_burst_and_what_was_denied_is_not_counted() -> None:
    buckets = Buckets(LIMIT, 16, ())
    assert sum(buckets.take("a", 1.0) for _ in range(500)) == 60
    usage = buckets.learn(100.0)
    assert (usage.per_minute.most, usage.at_once.most, buckets.denied) == (60, 60, 440)


def test_what_is_learned_of_a_source_outlives_its_place() -> None:
    buckets = Buckets(LIMIT, 4, ())
    for number in range(100):
        assert buckets.take(number, 100.0 * number)
    assert buckets.usage.minutes >= 96
    assert len(buckets) == 4
