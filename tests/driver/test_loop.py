"""The loop wakes at the earliest deadline, however late it is learned."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from sbc.driver.loop import Loop
from tests.kit.switchboard import PHONE_FLOW


class FakeBoard:
    """A switchboard that is nothing but deadlines."""

    def __init__(self) -> None:
        self.due: list[float] = []
        self.woken: list[float] = []
        self.received: list[tuple[bytes, float]] = []
        self.per_turn = 1000

    def next_timeout(self) -> float | None:
        return min(self.due, default=None)

    def handle_timeout(self, now: float) -> None:
        due = sorted(at for at in self.due if at <= now)[: self.per_turn]
        for at in due:
            self.due.remove(at)
            self.woken.append(now)

    def receive(self, flow: object, data: bytes, now: float) -> None:
        self.received.append((data, now))
        if data:
            self.due.append(now + float(data))

    def flow_failed(self, flow: object, why: str, now: float) -> None:
        self.due.append(now + 1)

    def flow_closed(self, flow: object, why: str, now: float) -> None:
        self.due.append(now + 1)

    def media_event(self, event: object, now: float) -> None:
        self.due.append(now + 1)


@pytest.fixture
async def running(nursery: trio.Nursery):
    board = FakeBoard()
    loop = Loop(board)  # type: ignore[arg-type]  # what a loop needs of one
    nursery.start_soon(loop.run)
    await wait_all_tasks_blocked()
    return board, loop, trio.current_time()


async def test_a_message_that_sets_the_first_deadline_arms_the_timer(autojump_clock, running):
    board, loop, start = running
    loop.messages([(PHONE_FLOW, b"5")])
    await trio.sleep(6)
    assert board.received == [(b"5", start)]
    assert board.woken == [start + 5]


async def test_an_earlier_deadline_wakes_earlier_and_the_later_still_comes(autojump_clock, running):
    board, loop, start = running
    loop.messages([(PHONE_FLOW, b"10")])
    await trio.sleep(1)
    loop.messages([(PHONE_FLOW, b"2")])
    await trio.sleep(20)
    assert board.woken == [start + 3, start + 10]


async def test_a_later_deadline_does_not_disturb_the_earlier(autojump_clock, running):
    board, loop, start = running
    loop.messages([(PHONE_FLOW, b"3"), (PHONE_FLOW, b"9")])
    await trio.sleep(20)
    assert board.woken == [start + 3, start + 9]


async def test_a_deadline_that_was_cancelled_does_no_harm(autojump_clock, running):
    board, loop, start = running
    loop.messages([(PHONE_FLOW, b"3")])
    await trio.sleep(1)
    board.due.clear()
    board.due.append(start + 8)
    await trio.sleep(20)
    assert board.woken == [start + 8]


async def test_several_changes_before_the_loop_runs_again(autojump_clock, running):
    board, loop, start = running
    loop.messages([(PHONE_FLOW, b"9")])
    loop.messages([(PHONE_FLOW, b"7")])
    loop.messages([(PHONE_FLOW, b"8")])
    await trio.sleep(20)
    assert board.woken == [start + 7, start + 8, start + 9]


@pytest.mark.parametrize("what", ["flow_failed", "flow_closed", "media_event", "changed"])
async def test_everything_else_that_happens_rearms_too(autojump_clock, running, what):
    board, loop, start = running
    if what == "flow_failed":
        loop.flow_failed(PHONE_FLOW, "x")
    elif what == "flow_closed":
        loop.flow_closed(PHONE_FLOW, "closed by the peer")
    elif what == "media_event":
        loop.media_event(None)
    else:
        board.due.append(start + 1)
        loop.changed()
    await trio.sleep(5)
    assert board.woken == [start + 1]


async def test_work_that_is_left_over_lets_others_run_in_between(autojump_clock, running):
    board, loop, start = running
    board.per_turn = 1
    board.due += [start] * 5
    turns = 0
    loop.changed()
    while board.due:
        await trio.lowlevel.checkpoint()
        turns += 1
    assert board.woken == [start] * 5
    assert turns >= 5


async def test_messages_before_the_loop_runs_are_not_forgotten(nursery, autojump_clock):
    board = FakeBoard()
    loop = Loop(board)  # type: ignore[arg-type]  # what a loop needs of one
    loop.messages([(PHONE_FLOW, b"2")])
    start = trio.current_time()
    nursery.start_soon(loop.run)
    await trio.sleep(5)
    assert board.woken == [start + 2]
