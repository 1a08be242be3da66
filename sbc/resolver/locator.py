"""The places of every destination of the configuration, found beside the loop and kept up to date.

Who asks gets what is known now and never waits. Each destination is located anew when the first of
the answers that led to it is over; while nobody answers, the last good answers stay in use.
"""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import trio

from sbc.resolver.locate import locate
from sbc.resolver.records import Answer, Question
from sbc.routing.location import UNKNOWN, Destination, Located, Locations, Reach
from sbc.routing.model import Target

Ask = Callable[[Question], Awaitable[Answer]]

_GATHER_S: Final = 0.05
"""What becomes known within this time is told together: each telling builds indexes anew."""


class Step(NamedTuple):
    """One question on the way to the places, and its answer."""

    question: Question
    answer: Answer


async def find(target: Target, reach: Reach, ask: Ask) -> tuple[Located, list[Step]]:
    """Locate a target, asking what has to be asked.

    Returns:
        The places, with the first trouble on the way; and every step of it.
    """
    steps: list[Step] = []
    locating = locate(target, reach)
    try:
        questions = next(locating)
        while True:
            answers = await _ask_all(questions, ask)
            steps += map(Step, questions, answers)
            questions = locating.send(answers)
    except StopIteration as end:
        return _told(end.value, steps), steps


def _told(located: Located, steps: Sequence[Step]) -> Located:
    troubles = [located.trouble, *(step.answer.trouble for step in steps)]
    return replace(located, trouble=next(filter(None, troubles), ""))


async def _ask_all(questions: Sequence[Question], ask: Ask) -> list[Answer]:
    answers: dict[int, Answer] = {}

    async def one(number: int, question: Question) -> None:
        answers[number] = await ask(question)

    async with trio.open_nursery() as nursery:
        for number, question in enumerate(questions):
            nursery.start_soon(one, number, question)
    return [answers[number] for number in range(len(questions))]


class Locator:
    """Current places of a set of destinations.

    The callbacks are plain functions called from `run`: `on_change` when places or troubles are
    others than before, `on_trouble` with a destination and why when its trouble begins, and with an
    empty text when it is over.
    """

    def __init__(
        self,
        ask: Ask,
        *,
        on_change: Callable[[Locations], None],
        on_trouble: Callable[[Destination, str], None],
        time_of_day: Callable[[], str],
    ) -> None:
        """Nothing is asked before `run`.

        Args:
            ask: answers a question, however long it takes.
            on_change: told what is known of all destinations.
            on_trouble: told when trouble begins and ends.
            time_of_day: the time as people write it, for when a trouble began.
        """
        self._ask = ask
        self._on_change = on_change
        self._on_trouble = on_trouble
        self._time_of_day = time_of_day
        self._wanted: dict[Destination, Reach] = {}
        self._known: dict[Destination, Located] = {}
        self._since: dict[Destination, str] = {}
        self._following: dict[Destination, trio.CancelScope] = {}
        self._news = trio.Event()
        self._watched = trio.Event()
        self._settled = trio.Event()

    @property
    def known(self) -> Locations:
        """Every destination that was located, with what is known of it, as a copy."""
        return dict(self._known)

    @property
    def troubled(self) -> dict[Destination, str]:
        """Every destination in trouble, with why, as a copy."""
        return {one: known.trouble for one, known in self._known.items() if known.trouble}

    def watch(self, wanted: Mapping[Destination, Reach]) -> None:
        """Replace the set of destinations, as a reload does; new ones are located at once."""
        for destination in [one for one in self._following if one not in wanted]:
            self._following.pop(destination).cancel()
        self._wanted = dict(wanted)
        self._known = {one: known for one, known in self._known.items() if one in wanted}
        self._since = {one: since for one, since in self._since.items() if one in wanted}
        self._watched.set()

    async def settled(self) -> None:
        """Wait until of every destination was told what is known of it, or that nothing is."""
        while any(one not in self._known for one in self._wanted):
            self._settled = trio.Event()
            await self._settled.wait()

    async def run(self) -> None:
        """Locate for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tell)
            while True:
                self._watched = trio.Event()
                for destination, reach in self._wanted.items():
                    if destination not in self._following:
                        scope = self._following[destination] = trio.CancelScope()
                        nursery.start_soon(self._follow, destination, reach, scope)
                await self._watched.wait()

    async def _follow(
        self, destination: Destination, reach: Reach, scope: trio.CancelScope
    ) -> None:
        with scope:
            while True:
                located, steps = await find(destination.target, reach, self._ask)
                self._note(destination, located)
                over = min((step.answer.until for step in steps), default=math.inf)
                await trio.sleep_until(over)

    def _note(self, destination: Destination, located: Located) -> None:
        if destination not in self._wanted:
            return
        before = self._known.get(destination, UNKNOWN)
        if located.trouble:
            if destination not in self._since:
                self._since[destination] = self._time_of_day()
                self._on_trouble(destination, located.trouble)
            trouble = f"{located.trouble} (since {self._since[destination]})"
            located = replace(located, trouble=trouble)
        elif self._since.pop(destination, None) is not None:
            self._on_trouble(destination, "")
        # Name servers rotate their answers; another order is not another set of machines.
        if set(located.places) == set(before.places):
            located = replace(located, places=before.places)
        self._known[destination] = located
        if located != before:
            self._news.set()

    async def _tell(self) -> None:
        while True:
            await self._news.wait()
            await trio.sleep(_GATHER_S)
            self._news = trio.Event()
            self._on_change(self.known)
            self._settled.set()
