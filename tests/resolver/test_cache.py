"""How long answers are kept, and what is done when there are none."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from sbc.resolver import cache
from sbc.resolver.cache import (
    AT_ONCE,
    LEAST_TTL_S,
    MOST_TTL_S,
    RETRY_S,
    STALE_S,
    Answers,
    ResolverStatistics,
)
from sbc.resolver.dns import Found, Unanswered
from sbc.resolver.records import Answer, Question

PBX = Question("pbx.example", "A")
ONE = Found(("192.0.2.1",), 60.0)
TWO = Found(("192.0.2.2",), 60.0)


class Server:
    """Says what a test wants, and counts."""

    def __init__(self, says: Found | str = ONE) -> None:
        self.says = says
        self.asked: list[Question] = []
        self.takes_s = 0.0

    async def __call__(self, question: Question) -> Found:
        self.asked.append(question)
        await trio.sleep(self.takes_s)
        if isinstance(self.says, str):
            raise Unanswered(self.says)
        return self.says


async def test_an_answer_is_kept_for_its_time_to_live(autojump_clock: MockClock) -> None:
    server = Server()
    answers = Answers(server)
    now = trio.current_time()
    assert await answers.ask(PBX) == Answer(("192.0.2.1",), now + 60)
    await trio.sleep(59)
    server.says = TWO
    assert (await answers.ask(PBX)).records == ("192.0.2.1",)
    await trio.sleep(1)
    assert (await answers.ask(PBX)).records == ("192.0.2.2",)
    assert server.asked == [PBX, PBX]


@pytest.mark.parametrize(
    ("ttl_s", "kept_s"), [(0, LEAST_TTL_S), (60, 60), (604_800, MOST_TTL_S), (2**31, MOST_TTL_S)]
)
async def test_a_time_to_live_has_a_least_and_a_most(
    autojump_clock: MockClock, ttl_s: float, kept_s: float
) -> None:
    answer = await Answers(Server(ONE._replace(ttl_s=ttl_s))).ask(PBX)
    assert answer.until == trio.current_time() + kept_s


async def test_while_nobody_answers_the_last_answer_is_used_for_long(
    autojump_clock: MockClock,
) -> None:
    server = Server()
    answers = Answers(server)
    await answers.ask(PBX)
    server.says = "no answer from 192.0.2.53 in 3 s"
    await trio.sleep(60)
    now = trio.current_time()
    trouble = "A of pbx.example: no answer from 192.0.2.53 in 3 s"
    assert await answers.ask(PBX) == Answer(("192.0.2.1",), now + RETRY_S, trouble=trouble)
    await trio.sleep(RETRY_S)
    await answers.ask(PBX)
    assert len(server.asked) == 3
    assert answers.statistics == ResolverStatistics(questions=3, unanswered=2, stale=2)
    await trio.sleep(STALE_S)
    assert await answers.ask(PBX) == Answer(
        (), trio.current_time() + RETRY_S, known=False, trouble=trouble
    )
    server.says = TWO
    await trio.sleep(RETRY_S)
    assert (await answers.ask(PBX)).records == ("192.0.2.2",)


async def test_that_there_is_no_record_is_an_answer_and_stays_one_in_silence(
    autojump_clock: MockClock,
) -> None:
    server = Server(Found((), 30.0))
    answers = Answers(server)
    assert (await answers.ask(PBX)).known
    server.says = "no answer"
    await trio.sleep(30)
    assert (await answers.ask(PBX)).known


async def test_what_was_never_answered_is_not_known(autojump_clock: MockClock) -> None:
    answer = await Answers(Server("no answer")).ask(PBX)
    assert not answer.known
    assert answer.trouble == "A of pbx.example: no answer"


async def test_however_many_ask_a_question_is_under_way_once(autojump_clock: MockClock) -> None:
    server = Server()
    server.takes_s = 1
    answers = Answers(server)
    told: list[Answer] = []

    async def ask() -> None:
        told.append(await answers.ask(PBX))

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(ask)
    assert server.asked == [PBX]
    assert len(told) == 100
    assert len(set(told)) == 1


async def test_whoever_waits_for_one_who_gave_up_asks_for_himself(
    autojump_clock: MockClock,
) -> None:
    server = Server()
    server.takes_s = 1
    answers = Answers(server)
    async with trio.open_nursery() as nursery:
        scope = trio.CancelScope()

        async def gives_up() -> None:
            with scope:
                await answers.ask(PBX)

        nursery.start_soon(gives_up)
        await wait_all_tasks_blocked()
        nursery.start_soon(answers.ask, PBX)
        await wait_all_tasks_blocked()
        scope.cancel()
    assert server.asked == [PBX, PBX]


async def test_only_so_many_questions_are_under_way(autojump_clock: MockClock) -> None:
    server = Server()
    server.takes_s = 1
    answers = Answers(server)
    async with trio.open_nursery() as nursery:
        for n in range(AT_ONCE + 10):
            nursery.start_soon(answers.ask, Question(f"h{n}.example", "A"))
        await wait_all_tasks_blocked()
        assert len(server.asked) == AT_ONCE
    assert len(server.asked) == AT_ONCE + 10


async def test_only_so_many_answers_are_kept_and_those_not_asked_for_go_first(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MOST_KEPT", 10)
    server = Server()
    answers = Answers(server)
    await answers.ask(PBX)
    for n in range(50):
        await answers.ask(Question(f"h{n}.example", "A"))
        await answers.ask(PBX)
    assert len(answers) == 10
    assert answers.statistics == ResolverStatistics(questions=51, forgotten=41)
    assert server.asked.count(PBX) == 1
