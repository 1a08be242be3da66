"""Limits on calls that policies set: the call above one is refused, named, and free again after."""

from dataclasses import replace

import pytest

from sbc.policy.load import combine, load_policy
from sbc.policy.model import PolicySet
from tests.kit.switchboard import OFFER, PHONE_FLOW, Board, a_message, register, titles

TEXT = "admission: [{name: lines, per: user, max_calls: 2}]"
OTHER = PHONE_FLOW._replace(remote=("198.51.100.7", 40002))


@pytest.fixture
def board() -> Board:
    """Where each user has two lines."""
    board = Board()
    force = board.switchboard.force
    loaded = combine([load_policy(TEXT, "lines.yaml")])
    policy = PolicySet(force.policy.rules, admission=loaded.admission)
    assert board.switchboard.configure(replace(force, policy=policy), board.now)
    register(board)
    register(board, "bob", OTHER)
    return board


def call(board: Board, number: int) -> list[str]:
    invite = a_message("INVITE", call_id=f"c{number}", branch=f"z9hG4bK-c{number}", body=OFFER)
    return titles(board.give(PHONE_FLOW, invite))


def test_a_user_has_its_lines_and_another_user_others(board: Board) -> None:
    assert [call(board, number) for number in range(2)] == [["100 INVITE", "INVITE"]] * 2
    assert call(board, 2) == ["503 INVITE"]
    invite = a_message("INVITE", from_user="bob", call_id="b", branch="z9hG4bK-b", body=OFFER)
    assert titles(board.give(OTHER, invite)) == ["100 INVITE", "INVITE"]


def test_the_refused_call_names_the_limit_and_what_was_counted(board: Board) -> None:
    for number in range(3):
        call(board, number)
    (refused,) = board.records.refused
    assert refused.status == 503
    (step,) = [one for one in refused.explanation["steps"] if one["stage"] == "admission"]
    assert (step["rule"], step["where"]) == ("lines", "lines.yaml:1")
    assert step["tested"][0]["value"].startswith("2 of phone alice@")


def test_the_line_is_free_when_its_call_is_over_and_counters_are_the_calls(board: Board) -> None:
    for number in range(2):
        call(board, number)
    cancel = a_message("CANCEL", call_id="c0", branch="z9hG4bK-c0")
    board.give(PHONE_FLOW, cancel)
    board.wait(40.0)
    live = board.switchboard.caps.room.calls()
    assert sum(live.values()) == len(board.switchboard.calls)
    assert call(board, 5) == ["100 INVITE", "INVITE"]
