"""The call's table: complete, connected, and heard by everything that can wake a call."""

from itertools import product

from sbc.b2bua.call import Timer
from sbc.b2bua.machine import _ACTIONS, _WHEN_FIRED
from sbc.b2bua.table import TABLE, Action, Happening, State, next_of


def test_every_state_is_reached_and_left() -> None:
    reached = {after for (before, _), (after, _) in TABLE.items() if after is not before}
    left = {before for (before, _), (after, _) in TABLE.items() if after is not before}
    assert reached == set(State)  # CALLING again, when another candidate is tried
    assert left == set(State) - {State.ENDED}


def test_what_happens_in_any_state_has_an_outcome() -> None:
    for state, happening in product(State, Happening):
        after, action = next_of(state, happening)
        assert isinstance(after, State)
        assert action in _ACTIONS


def test_every_happening_means_something_somewhere_but_a_note() -> None:
    assert {happening for _, happening in TABLE} == set(Happening) - {Happening.NOTE}


def test_every_action_is_bound_and_used() -> None:
    assert set(_ACTIONS) == set(Action)
    assert {action for _, action in TABLE.values()} == set(Action)


def test_nothing_leaves_the_end() -> None:
    assert not [row for row in TABLE if row[0] is State.ENDED]


def test_the_end_is_reached_from_every_state_by_a_timer_alone() -> None:
    """Whatever the legs do not say, the call ends: each state hears a way to the end."""
    ways = {Happening.GIVE_UP, Happening.EXPIRED}
    for state in set(State) - {State.ENDED}:
        seen = {state}
        ahead = [state]
        while ahead:
            at = ahead.pop()
            for way in ways:
                after, _ = next_of(at, way)
                if after not in seen:
                    seen.add(after)
                    ahead.append(after)
        assert State.ENDED in seen, state


def test_each_timer_is_heard() -> None:
    repeated = {Timer.ACK_A, Timer.ACK_B, Timer.REINVITE}
    assert set(Timer) == set(_WHEN_FIRED) | repeated
    for timer, (_, _, happening) in _WHEN_FIRED.items():
        heard = any(happening is known for _, known in TABLE)
        assert heard or happening is Happening.NOTE, timer


def test_a_call_is_given_up_in_every_state_before_its_end_began() -> None:
    alive = (State.CALLING, State.RINGING, State.ANSWERED, State.CONFIRMED)
    for state in alive:
        after, _ = next_of(state, Happening.GIVE_UP)
        assert after in (State.CANCELLING, State.ENDING)
