"""Answers of the name service, kept for as long as they hold, and longer while nobody answers.

However many ask, a question is under way once. How many are under way, and kept, has a bound.

Spec: RFC 2308 (negative answers), RFC 8767 (stale ones).
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import trio

from sbc.resolver.dns import Found, Unanswered
from sbc.resolver.records import Answer, Question

LEAST_TTL_S: Final = 5.0
"""However short a zone has it, nothing is asked more often."""
MOST_TTL_S: Final = 3600.0
"""However long a zone has it, a change is noticed within the hour."""
STALE_S: Final = 3 * 86400.0
"""For how long an answer is used while nobody gives a new one (RFC 8767 §5: one to three days)."""
RETRY_S: Final = 10.0
"""After a failure."""
AT_ONCE: Final = 64
"""Questions under way; those that nobody answers wait for seconds, and must not hold up others."""
MOST_KEPT: Final = 16_384


@dataclass(frozen=True, slots=True)
class _Kept:
    answer: Answer
    good_until: float
    """Until when it may be used though nobody answers any more."""


@dataclass(slots=True)
class ResolverStatistics:
    """Everything that is counted of questions."""

    questions: int = 0
    """That were asked, of the hosts table or of servers."""
    unanswered: int = 0
    stale: int = 0
    """Unanswered ones for which an older answer was used."""
    forgotten: int = 0
    """Answers that gave way to others."""


class Answers:
    """Asks for what is not known. Reads the clock of the running loop."""

    def __init__(self, ask: Callable[[Question], Awaitable[Found]]) -> None:
        """Take answers from `ask`, which raises `Unanswered`."""
        self.statistics = ResolverStatistics()
        self._ask = ask
        self._kept: OrderedDict[Question, _Kept] = OrderedDict()
        self._under_way: dict[Question, trio.Event] = {}
        self._limiter = trio.CapacityLimiter(AT_ONCE)

    def __len__(self) -> int:
        return len(self._kept)

    async def ask(self, question: Question) -> Answer:
        """What is known of a question, after asking if it is time to."""
        while True:
            await trio.lowlevel.checkpoint()
            kept = self._kept.get(question)
            if kept is not None and trio.current_time() < kept.answer.until:
                self._kept.move_to_end(question)
                return kept.answer
            asked = self._under_way.get(question)
            if asked is None:
                break
            await asked.wait()
        done = self._under_way[question] = trio.Event()
        try:
            kept = await self._renewed(question, kept)
        finally:
            del self._under_way[question]
            done.set()
        self._keep(question, kept)
        return kept.answer

    async def _renewed(self, question: Question, before: _Kept | None) -> _Kept:
        try:
            async with self._limiter:
                self.statistics.questions += 1
                found = await self._ask(question)
        except Unanswered as error:
            self.statistics.unanswered += 1
            now = trio.current_time()
            trouble = f"{question}: {error}"
            if before is not None and now < before.good_until:
                self.statistics.stale += 1
                stale = Answer(before.answer.records, now + RETRY_S, trouble=trouble)
                return _Kept(stale, before.good_until)
            return _Kept(Answer((), now + RETRY_S, known=False, trouble=trouble), 0.0)
        now = trio.current_time()
        until = now + min(max(found.ttl_s, LEAST_TTL_S), MOST_TTL_S)
        return _Kept(Answer(found.records, until), now + STALE_S)

    def _keep(self, question: Question, kept: _Kept) -> None:
        self._kept[question] = kept
        self._kept.move_to_end(question)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
            self.statistics.forgotten += 1
