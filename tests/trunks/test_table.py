"""The registration's table: complete, connected, and bound to what is done."""

from itertools import product

from sbc.trunks.table import TABLE, Action, Happening, State, next_of
from tests.kit.trunks import Office


def test_every_state_is_reached_and_left() -> None:
    reached = {after for (before, _), (after, _) in TABLE.items() if after is not before}
    left = {before for (before, _), (after, _) in TABLE.items() if after is not before}
    assert reached == left == set(State)


def test_every_happening_means_something_somewhere() -> None:
    assert {happening for _, happening in TABLE} == set(Happening)


def test_every_action_is_bound_and_all_but_nothing_are_used() -> None:
    assert set(Office().trunks._actions) == set(Action)
    assert {action for _, action in TABLE.values()} == set(Action) - {Action.NOTHING}


def test_what_the_table_does_not_name_changes_nothing() -> None:
    for state, happening in product(State, Happening):
        if (state, happening) not in TABLE:
            assert next_of(state, happening) == (state, Action.NOTHING)


def test_every_state_can_be_left_for_good() -> None:
    """Whatever the registrar does not say, a stop comes to its end."""
    ways = {Happening.LEAVE, Happening.REFUSED}
    for state in State:
        seen = {state}
        for _ in State:
            seen |= {next_of(at, way)[0] for at in seen for way in ways}
        assert State.UNREGISTERED in seen, state


def test_every_wait_ends_by_time_alone() -> None:
    for state in (State.UNREGISTERED, State.REGISTERED, State.BACKING_OFF):
        assert (state, Happening.DUE) in TABLE
