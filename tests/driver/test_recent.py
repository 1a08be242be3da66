"""Ended calls are remembered within bounds."""

from sbc.b2bua.journal import Journal
from sbc.driver.recent import RecentCalls
from tests.kit.switchboard import OFFER, PHONE_FLOW, Board, a_message, register


def a_call(size: int):
    board = Board()
    register(board)
    board.give(PHONE_FLOW, a_message("INVITE", body=OFFER))
    (call,) = board.switchboard.calls
    call.journal = Journal()
    call.journal.note(0.0, "sip", "", raw=b"x" * size)
    return call


def test_the_oldest_make_room_by_number():
    recent, calls = RecentCalls(max_calls=2), [a_call(1) for _ in range(3)]
    for call in calls:
        recent.append(call)
    assert list(recent) == calls[1:]
    assert len(recent) == recent.bytes == 2


def test_and_by_bytes():
    recent, calls = RecentCalls(max_bytes=25_000), [a_call(10_000) for _ in range(3)]
    for call in calls:
        recent.append(call)
    assert list(recent) == calls[1:]
    assert recent.bytes == 20_000


def test_one_that_is_too_long_for_all_is_not_kept():
    recent = RecentCalls(max_bytes=10)
    recent.append(a_call(11))
    assert (list(recent), recent.bytes) == ([], 0)
