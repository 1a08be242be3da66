"""What holds for each transition table, whatever it says."""

import pytest

from sbc.sip.timers import LONGEST_INTERVAL_S, Timer
from sbc.sip.transaction.diagram import mermaid
from sbc.sip.transaction.machine import _PERFORM
from sbc.sip.transaction.tables import (
    INVITE_CLIENT,
    INVITE_SERVER,
    NON_INVITE_CLIENT,
    NON_INVITE_SERVER,
    Action,
    Event,
    State,
    Table,
    compile_rows,
    heard,
)

CLIENT_WIRE = {Event.PROVISIONAL, Event.SUCCESS, Event.FAILURE}
TABLES = {
    "INVITE client": (INVITE_CLIENT, CLIENT_WIRE, "ABDM"),
    "non-INVITE client": (NON_INVITE_CLIENT, CLIENT_WIRE, "EFK"),
    "INVITE server": (INVITE_SERVER, {Event.REQUEST, Event.ACK}, "GHIL"),
    "non-INVITE server": (NON_INVITE_SERVER, {Event.REQUEST}, "J"),
}
RFC_STATES = {
    "INVITE client": "Calling Proceeding Accepted Completed Terminated",
    "non-INVITE client": "Trying Proceeding Completed Terminated",
    "INVITE server": "Proceeding Accepted Completed Confirmed Terminated",
    "non-INVITE server": "Trying Proceeding Completed Terminated",
}

every_table = pytest.mark.parametrize(
    ("table", "wire", "letters"), list(TABLES.values()), ids=list(TABLES)
)


def live_states(table: Table) -> set[State]:
    return {state for state, _ in table} - {State.INITIAL}


def reachable(table: Table, start: State) -> set[State]:
    seen, fresh = set(), {start}
    while fresh:
        seen |= fresh
        fresh = {row.state for (state, _), row in table.items() if state in seen} - seen
    return seen


@pytest.mark.parametrize("name", TABLES)
def test_the_states_are_those_of_the_rfc(name):
    states = reachable(TABLES[name][0], State.INITIAL) - {State.INITIAL}
    assert states == set(RFC_STATES[name].split())


@every_table
def test_every_state_is_reached_and_none_is_a_dead_end(table, wire, letters):
    assert reachable(table, State.INITIAL) == live_states(table) | {
        State.INITIAL,
        State.TERMINATED,
    }
    for state in live_states(table):
        assert State.TERMINATED in reachable(table, state)


@every_table
def test_what_the_wire_can_bring_is_written_out_in_every_state(table, wire, letters):
    missing = {
        (state, event)
        for state in live_states(table)
        for event in wire | {Event.TRANSPORT_ERROR}
        if (state, event) not in table
    }
    assert not missing


@every_table
def test_the_terminated_state_hears_nothing(table, wire, letters):
    assert not [row for row in table if row[0] is State.TERMINATED]


@every_table
def test_a_started_timer_is_heard_where_it_was_started(table, wire, letters):
    for (state, event), row in table.items():
        for timer in row.actions:
            if isinstance(timer, Timer):
                assert timer in heard(table, row.state), (state, event, timer)


@every_table
def test_a_heard_timer_was_started_on_every_way_into_the_state(table, wire, letters):
    """Started by the way in, or running in the state before, which hears it too."""
    for (state, event), row in table.items():
        if row.state is not state:
            for timer in heard(table, row.state):
                running = timer in row.actions or timer in heard(table, state)
                assert running, (state, event, row.state, timer)


@every_table
def test_each_timer_of_the_rfc_is_there(table, wire, letters):
    timers = {event for _, event in table if isinstance(event, Timer)}
    assert {timer.name for timer in timers if len(timer.name) == 1} == set(letters)


@every_table
def test_every_state_but_the_two_that_wait_for_people_is_left_by_a_timer(table, wire, letters):
    waits = {
        state
        for state in live_states(table)
        if not any(table[state, timer].state is not state for timer in heard(table, state))
    }
    assert waits <= {State.PROCEEDING}
    assert not waits or table in (INVITE_CLIENT, INVITE_SERVER)


@every_table
def test_a_timer_that_backs_off_starts_itself_again(table, wire, letters):
    for (state, event), row in table.items():
        if event in LONGEST_INTERVAL_S:
            assert row.state is state
            assert event in row.actions
            assert Action.RESEND in row.actions


def test_every_action_is_used_and_can_be_performed():
    used = {
        action
        for table, _, _ in TABLES.values()
        for row in table.values()
        for action in row.actions
        if isinstance(action, Action)
    }
    assert used == set(Action)
    assert set(_PERFORM) == set(Action) - {Action.STOP_RESENDING}


@every_table
def test_compiling_stops_exactly_the_timers_that_are_not_heard_any_more(table, wire, letters):
    rows = compile_rows(table)
    for (state, event), row in table.items():
        step = rows[state][event]
        gone = set(heard(table, state)) - set(heard(table, row.state))
        if Action.STOP_RESENDING in row.actions:
            gone |= {Timer.G}
        assert set(step.stops) == gone
        assert [*step.actions, *step.starts] == [
            action for action in row.actions if action is not Action.STOP_RESENDING
        ]


def test_a_diagram_has_an_arrow_for_each_row_that_does_something():
    drawn = mermaid(INVITE_SERVER, State.INITIAL, State.TERMINATED)
    assert drawn.splitlines()[:3] == [
        "stateDiagram-v2",
        "    [*] --> Proceeding : request / request to TU",
        "    Proceeding --> Proceeding : request / resend",
    ]
    assert "    Completed --> [*] : Timer H / inform TU that no ACK came\n" in drawn
    assert "    Accepted --> [*] : Timer L\n" in drawn
    idle = [key for key, row in INVITE_SERVER.items() if row == (key[0], ())]
    assert len(drawn.splitlines()) == 1 + len(INVITE_SERVER) - len(idle)


def test_a_diagram_of_any_table_keeps_to_what_mermaid_can_read():
    drawn = mermaid({("offer sent", "a: b; c"): ("stable", ["x\ny"])}, "offer sent")
    assert drawn == "stateDiagram-v2\n    [*] --> stable : a  b, c / x y\n"


def test_a_first_state_that_is_come_back_to_is_drawn_as_a_state():
    table = {("idle", "go"): ("busy", []), ("busy", "stop"): ("idle", [])}
    assert mermaid(table, "idle") == (
        "stateDiagram-v2\n    [*] --> idle\n    idle --> busy : go\n    busy --> idle : stop\n"
    )
