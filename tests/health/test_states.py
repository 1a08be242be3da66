"""The table of health is total, and every state can be reached and left."""

from itertools import product

from sbc.health.states import TABLE, Sign, State


def test_the_table_is_total() -> None:
    assert set(TABLE) == set(product(State, Sign))


def test_every_state_but_the_first_is_reached_and_every_one_is_left() -> None:
    reached = {after for (before, _), after in TABLE.items() if before is not after}
    assert reached == set(State) - {State.UNKNOWN}
    assert {before for (before, _), after in TABLE.items() if before is not after} == set(State)


def test_one_that_is_down_comes_up_only_when_it_answered_often_enough() -> None:
    ups = {sign for sign in Sign if TABLE[State.DOWN, sign] is not State.DOWN}
    assert ups == {Sign.LIFE_ENOUGH}


def test_what_fails_often_enough_is_down_wherever_it_was() -> None:
    assert {TABLE[state, Sign.FAILURE_ENOUGH] for state in State} == {State.DOWN}
