"""How long is waited, at both ends of chance."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.trunks.waiting import LONGEST_S, refresh_in, retry_in, start_in

CHANCE = st.floats(0.0, 1.0, exclude_max=True)


@pytest.mark.parametrize(
    ("failures", "least", "most"),
    [(1, 2, 4), (2, 30, 60), (3, 60, 120), (4, 120, 240), (7, 900, 1800), (1000, 900, 1800)],
)
def test_a_wait_doubles_up_to_half_an_hour_and_half_of_it_is_chance(
    failures: int, least: float, most: float
) -> None:
    assert retry_in(failures, 0.0) == least
    assert retry_in(failures, 1.0) == most


def test_a_retry_after_is_never_undercut_and_spread_a_little() -> None:
    assert retry_in(1, 0.0, 100.0) == 100.0
    assert retry_in(1, 1.0, 100.0) == pytest.approx(110.0)
    assert retry_in(5, 0.0, 100.0) == 240.0


def test_no_retry_after_lasts_for_ever() -> None:
    assert retry_in(1, 0.0, 2.0**32) == LONGEST_S


@given(st.integers(1, 10**9), CHANCE, st.floats(0, 2.0**33))
def test_a_wait_is_bounded_both_ways(failures: int, chance: float, least_s: float) -> None:
    assert 2.0 <= retry_in(failures, chance, least_s) <= 1.1 * LONGEST_S


@given(st.integers(1, 604_800), CHANCE)
def test_a_refresh_comes_in_time_and_never_in_a_hurry(granted_s: int, chance: float) -> None:
    wait_s = refresh_in(granted_s, chance)
    assert wait_s >= 5.0
    assert 0.6 * granted_s <= wait_s <= 0.8 * granted_s or wait_s == 5.0


def test_many_trunks_begin_at_ten_a_second_and_all_within_half_a_minute() -> None:
    assert start_in(1, 1.0) == 0.1
    assert start_in(100, 0.5) == 5.0
    assert start_in(10_000, 1.0) == 30.0
