"""Limits per user and per method, counted once a request was read and let in."""

from dataclasses import replace

import pytest

from sbc.policy.conditions import asks
from sbc.policy.emergency import EmergencyNumbers
from sbc.policy.model import PolicySet, RateLimit
from tests.kit.switchboard import OFFER, PHONE_FLOW, Board, a_message, register, titles

STRANGER = PHONE_FLOW._replace(remote=("192.0.2.66", 5060))


def a_board(limit: RateLimit) -> Board:
    board = Board()
    force = board.switchboard.force
    policy = PolicySet(force.policy.rules, [limit])
    assert board.switchboard.configure(replace(force, policy=policy), board.now)
    return board


@pytest.fixture
def board() -> Board:
    """Where each user may begin two calls at once."""
    board = a_board(RateLimit("calls", asks(method="INVITE"), "user", 0.1, 2, "p:1"))
    register(board)
    return board


def call(board: Board, number: int) -> list[str]:
    invite = a_message("INVITE", call_id=f"c{number}", branch=f"z9hG4bK-c{number}", body=OFFER)
    return titles(board.give(PHONE_FLOW, invite))


def test_a_user_that_calls_too_often_is_told_when_to_try_again(board: Board) -> None:
    assert [call(board, number) for number in range(2)] == [["100 INVITE", "INVITE"]] * 2
    sent = board.give(PHONE_FLOW, a_message("INVITE", call_id="c9", branch="z9hG4bK-9", body=OFFER))
    assert titles(sent) == ["503 INVITE"]
    assert sent[0].message.headers.first("retry-after") == "10"
    assert board.switchboard.tally.refused_rate == 1
    assert call(board, 1) == ["100 INVITE"]
    board.now += 11.0
    assert call(board, 10) == ["100 INVITE", "INVITE"]


def test_other_methods_are_not_counted_and_other_users_have_their_own(board: Board) -> None:
    other = PHONE_FLOW._replace(remote=("198.51.100.7", 40002))
    register(board, "bob", other)
    for number in range(3):
        call(board, number)
    probe = a_message("OPTIONS", branch="z9hG4bK-o")
    assert titles(board.give(PHONE_FLOW, probe)) == ["200 OPTIONS"]
    invite = a_message("INVITE", from_user="bob", call_id="b", branch="z9hG4bK-b", body=OFFER)
    assert titles(board.give(other, invite)) == ["100 INVITE", "INVITE"]


def test_a_stranger_that_asks_one_thing_too_often_is_told_so_once_a_second() -> None:
    board = a_board(RateLimit("asks", asks(method="OPTIONS"), "method", 1.0, 3, "p:1"))
    sent = [
        titles(board.give(STRANGER, a_message("OPTIONS", branch=f"z9hG4bK-{number}")))
        for number in range(6)
    ]
    assert sent == [["200 OPTIONS"]] * 3 + [["503 OPTIONS"], [], []]
    assert board.switchboard.tally.refused_rate == 3


def test_no_emergency_call_is_one_too_many(board: Board) -> None:
    force = board.switchboard.force
    world = replace(force.world, emergency=EmergencyNumbers(["112"]))
    assert board.switchboard.configure(replace(force, world=world), board.now)
    for number in range(4):
        call(board, number)
    help_ = a_message(
        "INVITE", uri="sip:112@203.0.113.10", call_id="help", branch="z9hG4bK-help", body=OFFER
    )
    assert titles(board.give(PHONE_FLOW, help_)) == ["100 INVITE", "INVITE"]
