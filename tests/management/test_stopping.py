import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from sbc.management import stopping
from sbc.management.log import Log
from sbc.management.stopping import HANG_UP_S, Stopping
from tests.kit.switchboard import (
    ANSWER,
    OFFER,
    PHONE_FLOW,
    Board,
    Sent,
    a_configuration,
    a_message,
    register,
)


class Border:
    """A switchboard with calls on trio's clock, and its stopping."""

    def __init__(self) -> None:
        self.board = Board()
        self.board.now = trio.current_time()
        self.said: list[bytes] = []
        self.rearmed = 0
        self.stopping = Stopping(
            self.board.switchboard, rearm=self._rearm, log=Log(self.said.append)
        )
        register(self.board)

    def _rearm(self) -> None:
        self.rearmed += 1

    @property
    def left(self) -> int:
        return len(self.board.switchboard.calls)

    def call(self, number: int = 0) -> None:
        """Set a call up."""
        invite = a_message("INVITE", branch=f"z9hG4bK-{number}", call_id=f"c{number}", body=OFFER)
        sent = self.board.give(PHONE_FLOW, invite)[-1]
        contact = ("Contact: <sip:600@192.168.1.5>",)
        replies = self.board.reply(sent, 200, headers=contact, body=ANSWER)
        ok = next(one for one in replies if one.title == "200 INVITE")
        ack = a_message(
            "ACK", branch=f"z9hG4bK-a{number}", call_id=f"c{number}", to_tag=ok.message.to_tag
        )
        self.board.give(PHONE_FLOW, ack)

    def said_bye(self) -> list[Sent]:
        return [one for one in self.board.wire.take() if one.title == "BYE"]

    def answer(self, byes: list[Sent]) -> None:
        self.board.now = trio.current_time()
        for bye in byes:
            self.board.reply(bye, 200)


@pytest.fixture
async def border() -> Border:
    return Border()


async def test_a_stop_hangs_up_and_waits_for_the_answers(
    border: Border, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    border.call()
    done = trio.Event()

    async def run() -> None:
        await border.stopping.run()
        done.set()

    nursery.start_soon(run)
    await wait_all_tasks_blocked()
    assert border.left == 1
    border.stopping.stop()
    await trio.sleep(0.5)
    byes = border.said_bye()
    assert len(byes) == 2
    assert not done.is_set()
    border.answer(byes)
    assert border.left == 0
    await done.wait()
    assert trio.current_time() < 1.0
    (call,) = border.board.records.ended
    assert call.ending is not None
    assert (call.ending.by, call.ending.status) == ("operator", 503)


async def test_nobody_waits_longer_for_an_answer_than_that(
    border: Border, autojump_clock: MockClock
) -> None:
    border.call()
    border.stopping.stop()
    began = trio.current_time()
    await border.stopping.run()
    assert trio.current_time() - began == pytest.approx(HANG_UP_S, abs=0.2)
    assert border.left == 0
    assert len(border.board.records.ended) == 1


async def test_a_stop_without_calls_takes_no_time(
    border: Border, autojump_clock: MockClock
) -> None:
    border.stopping.stop(float("inf"))
    began = trio.current_time()
    await border.stopping.run()
    assert trio.current_time() == began


async def test_a_drain_takes_no_new_call_and_lasts_until_its_deadline(
    border: Border, autojump_clock: MockClock
) -> None:
    border.call()
    border.stopping.stop(60.0)
    assert border.board.switchboard.reception.draining
    await border.stopping.run()
    assert trio.current_time() == pytest.approx(60.0 + HANG_UP_S, abs=0.4)


@pytest.mark.parametrize(("second", "ends"), [(0.0, 10.0), (20.0, 30.0), (500.0, 100.0)])
async def test_a_second_stop_can_only_bring_the_end_nearer(
    border: Border, autojump_clock: MockClock, nursery: trio.Nursery, second: float, ends: float
) -> None:
    border.call()
    border.stopping.stop(100.0)
    async with trio.open_nursery() as stopped:
        stopped.start_soon(border.stopping.run)
        await trio.sleep(10.0)
        border.stopping.stop(second)
    assert trio.current_time() == pytest.approx(ends + HANG_UP_S, abs=0.4)


async def test_a_stop_while_answers_are_waited_for_waits_no_longer(
    border: Border, autojump_clock: MockClock
) -> None:
    border.call()
    border.stopping.stop()
    async with trio.open_nursery() as stopped:
        stopped.start_soon(border.stopping.run)
        await trio.sleep(0.05)
        assert len(border.said_bye()) == 2
        border.stopping.stop()
    assert trio.current_time() < 0.2
    assert border.left == 0
    assert len(border.board.records.ended) == 1


async def test_others_have_their_turn_while_many_are_hung_up(
    border: Border, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "CALLS_AT_ONCE", 4)
    for number in range(10):
        border.call(number)
    border.stopping.stop()
    turns: list[int] = []

    async def look() -> None:
        while border.left:
            byes = border.said_bye()
            turns.append(len(byes))
            border.answer(byes)
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as stopped:
        stopped.start_soon(border.stopping.run)
        stopped.start_soon(look)
    assert sum(turns) == 20
    assert max(turns) < 20
    assert border.rearmed == 3


async def test_a_failure_is_remembered_and_told_to_the_calls(
    border: Border, autojump_clock: MockClock
) -> None:
    border.call()
    border.stopping.fail("the media engine failed: no memory")
    border.stopping.fail("another thing")
    await border.stopping.run()
    assert border.stopping.failure == "the media engine failed: no memory"
    (call,) = border.board.records.ended
    assert call.ending is not None
    assert (call.ending.by, call.ending.text) == (
        "internal",
        "the media engine failed: no memory",
    )


class Registered:
    """A switchboard that is registered with a trunk, and its stopping."""

    def __init__(self) -> None:
        self.board = Board(a_configuration(TRUNK))
        self.board.now = trio.current_time()
        self.stopping = Stopping(
            self.board.switchboard, rearm=lambda: None, log=Log(lambda _: None)
        )
        self.board.switchboard.begin(self.board.now)
        (sent,) = self.board.wait(0.2)
        self.board.reply(sent, 200)


TRUNK = """\
networks: {outside: {bind: 203.0.113.10, listen: udp/5060}}
peers: {carrier: {kind: trunk, network: outside, address: 192.0.2.1, register: {user: us}}}
routes: [{to: carrier}]
policies: ../policies/edge-default.yaml
"""


async def test_what_we_registered_is_withdrawn_and_the_answer_waited_for(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    border = Registered()
    border.stopping.stop()
    nursery.start_soon(border.stopping.run)
    await wait_all_tasks_blocked()
    (sent,) = border.board.wire.take()
    assert (sent.title, sent.message.headers.first("expires")) == ("REGISTER", "0")
    border.board.reply(sent, 200)
    assert len(border.board.switchboard.carriers.registrations) == 0


async def test_an_answer_that_does_not_come_is_not_waited_for_long(
    autojump_clock: MockClock,
) -> None:
    border = Registered()
    border.stopping.stop()
    began = trio.current_time()
    await border.stopping.run()
    assert trio.current_time() - began == pytest.approx(HANG_UP_S, abs=0.2)
