"""``plan``: what a candidate would change, and which recent calls would go another way."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import trio

from sbc.document.reading import why_unreadable
from sbc.driver.in_force import InForce
from sbc.management.control import CommandRefused
from sbc.management.listing import Row
from sbc.management.reloading import ReadAgain
from sbc.management.replay import Difference, Treat, replay
from sbc.management.versions import Outlook, ReadFrom
from sbc.state.cdr import CdrRecord
from sbc.state.database import StoreUnusable
from sbc.state.versions.disk import read_bounded

C = TypeVar("C")

MOST_CALLS = 2_000
CALLS = 200
"""How many of the newest calls are asked again unless the command says."""


@dataclass(frozen=True, slots=True)
class Sources(Generic[C]):
    """What a plan is made of; everything but `current` may block."""

    current: Callable[[], C]
    read: ReadFrom[C]
    main: Callable[[C], str]
    """The absolute path of the sbc.yaml of a configuration."""
    force: Callable[[C], InForce]
    entries: Callable[[C, C], Sequence[Row]]
    """What differs between two configurations, as rows."""
    treat: Treat
    assumed: Callable[[InForce], Set[str]]
    """What is assumed of recorded calls that rules of a configuration ask about."""
    records: Callable[[int], Sequence[CdrRecord]]
    """So many of the newest records, the oldest first; raises StoreUnusable."""


async def plan(sources: Sources[C], candidate: Path | Outlook | None, calls: int) -> Row:
    """What the command ``plan`` tells; nothing is changed.

    Args:
        candidate: What stands for sbc.yaml, or what an earlier version would bring; None for the
            files as they stand.

    Raises:
        CommandRefused: that file cannot be read.
    """
    work = partial(_plan, sources, sources.current(), candidate, calls)
    return await trio.to_thread.run_sync(work, abandon_on_cancel=True)


def _plan(sources: Sources[C], current: C, candidate: Path | Outlook | None, calls: int) -> Row:
    if isinstance(candidate, Outlook):
        again = sources.read(current, candidate.files, only=True)
        return {**_told(sources, current, again, calls), "files": candidate.fates}
    given: Mapping[str, bytes] = {}
    if candidate is not None:
        try:
            given = {sources.main(current): read_bounded(candidate)}
        except (OSError, ValueError) as error:
            why = why_unreadable(error)
            raise CommandRefused(f"{candidate}: cannot be read: {why}") from None
    return _told(sources, current, sources.read(current, given, only=False), calls)


def _told(sources: Sources[C], current: C, again: ReadAgain[C], calls: int) -> Row:
    problems = [str(problem) for problem in again.problems]
    if again.candidate is None:
        return {"possible": False, "problems": problems, "entries": [], "replayed": None}
    return {
        "possible": again.configuration is not None,
        "problems": problems,
        "entries": list(sources.entries(current, again.candidate)),
        "replayed": _replayed(sources, current, again, calls),
    }


def _replayed(sources: Sources[C], current: C, again: ReadAgain[C], calls: int) -> Row | None:
    """The calls that would go another way; None where there are no records to ask."""
    assert again.candidate is not None
    try:
        records = sources.records(calls) if calls else []
    except StoreUnusable:
        return None
    before, after = sources.force(current), sources.force(again.candidate)
    found = replay(records, before, after, sources.treat)
    return {
        "calls": found.calls,
        "differences": [_row(one) for one in found.differences],
        "assumed": sorted(sources.assumed(before) | sources.assumed(after)),
    }


def _row(one: Difference) -> Row:
    call = one.example
    return {
        "calls": one.calls,
        "before": one.before.text,
        "before_why": one.before.why,
        "after": one.after.text,
        "after_why": one.after.why,
        "assumed": sorted(one.before.assumed | one.after.assumed),
        "example": {
            "call": call.call,
            "started_at": call.started_at,
            "from": call.from_number,
            "to": call.to_number,
            "of": call.a.peer or call.a.network,
        },
    }
