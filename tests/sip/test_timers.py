"""Deadlines in one heap, and the values of the timers."""

import heapq
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.sip.timers import LONGEST_INTERVAL_S, RELIABLE_S, UNRELIABLE_S, Deadlines, Timer


def test_every_timer_has_a_value_for_both_kinds_of_transport():
    assert set(UNRELIABLE_S) == set(RELIABLE_S) == set(Timer)


def test_over_udp_the_values_are_those_of_the_table_in_the_rfc():
    assert {timer.name: seconds for timer, seconds in UNRELIABLE_S.items()} == {
        "A": 0.5,
        "B": 32,
        "D": 32,
        "E": 0.5,
        "F": 32,
        "G": 0.5,
        "H": 32,
        "I": 5,
        "J": 32,
        "K": 5,
        "L": 32,
        "M": 32,
        "LATE_TRYING": 3.5,
        "EXPIRY": 32,
    }


def test_over_tcp_nothing_is_resent_and_nothing_waits_for_retransmissions():
    changed = {timer.name: RELIABLE_S[timer] for timer in Timer} | {}
    assert {name for name, seconds in changed.items() if seconds is None} == {"A", "E", "G"}
    assert {name for name, seconds in changed.items() if seconds == 0} == {"D", "I", "J", "K"}
    assert all(RELIABLE_S[timer] in {None, 0, UNRELIABLE_S[timer]} for timer in Timer), (
        "other values stay"
    )


def test_the_late_100_comes_when_timer_e_has_reached_t2():
    interval, at = UNRELIABLE_S[Timer.E], 0.0
    while interval < LONGEST_INTERVAL_S[Timer.E]:
        at += interval
        interval *= 2
    assert UNRELIABLE_S[Timer.LATE_TRYING] == at


def test_nothing_set_means_nothing_is_due():
    deadlines: Deadlines[str] = Deadlines()
    assert deadlines.next() is None
    assert deadlines.pop_due(1e9) == []
    assert len(deadlines) == 0


def test_keys_come_out_earliest_first_and_ties_as_they_were_set():
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("late", 3.0)
    deadlines.set("first of two", 2.0)
    deadlines.set("second of two", 2.0)
    deadlines.set("early", 1.0)
    assert deadlines.next() == 1.0
    assert deadlines.pop_due(2.0) == ["early", "first of two", "second of two"]
    assert deadlines.next() == 3.0


def test_setting_again_moves_the_deadline():
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("a", 1.0)
    deadlines.set("a", 5.0)
    assert (len(deadlines), deadlines.next()) == (1, 5.0)
    assert deadlines.pop_due(4.0) == []
    deadlines.set("a", 2.0)
    assert deadlines.pop_due(4.0) == ["a"]
    assert deadlines.pop_due(9.0) == []


def test_a_cancelled_deadline_never_comes_and_cancelling_nothing_is_no_error():
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("a", 1.0)
    deadlines.cancel("a")
    deadlines.cancel("never set")
    assert deadlines.next() is None
    assert deadlines.pop_due(2.0) == []


def test_keys_need_not_compare_with_each_other():
    @dataclass(frozen=True)
    class Owner:
        name: str

    deadlines: Deadlines[Owner] = Deadlines()
    for name in "abc":
        deadlines.set(Owner(name), 1.0)
    assert [owner.name for owner in deadlines.pop_due(1.0)] == ["a", "b", "c"]


@pytest.mark.parametrize("far", [1e6, 0.0])
def test_stale_entries_never_outnumber_the_live_ones_for_long(far):
    deadlines: Deadlines[int] = Deadlines()
    for number in range(10_000):
        deadlines.set(number % 10, far + number)
        if number % 3 == 0:
            deadlines.cancel(number % 10)
    assert len(deadlines._heap) <= 2 * len(deadlines) + 64


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("set"), st.integers(0, 5), st.floats(0, 100)),
            st.tuples(st.just("cancel"), st.integers(0, 5), st.just(0.0)),
            st.tuples(st.just("pop"), st.just(0), st.floats(0, 100)),
        ),
        max_size=200,
    )
)
def test_it_behaves_as_a_dictionary_that_is_searched(steps):
    deadlines: Deadlines[int] = Deadlines()
    model: dict[int, tuple[float, int]] = {}
    for serial, (what, key, at) in enumerate(steps):
        if what == "set":
            deadlines.set(key, at)
            model[key] = (at, serial)
        elif what == "cancel":
            deadlines.cancel(key)
            model.pop(key, None)
        else:
            due = sorted((when, key) for key, when in model.items() if when[0] <= at)
            assert deadlines.pop_due(at) == [key for _, key in due]
            for _, popped in due:
                del model[popped]
        assert deadlines.next() == min((when[0] for when in model.values()), default=None)
        assert len(deadlines) == len(model)
    assert deadlines._heap == [] or heapq.nsmallest(1, deadlines._heap)[0] == deadlines._heap[0]
