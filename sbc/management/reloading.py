"""How a configuration is read again and put in force, or everything stays as it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import trio

from sbc.document.problem import Problem
from sbc.driver.boundary import contained
from sbc.management.listing import Row
from sbc.management.log import Log

C = TypeVar("C")
"""A configuration; what is in it is nothing to know here."""


@dataclass(frozen=True, slots=True)
class ReadAgain(Generic[C]):
    """What reading the file again gave."""

    configuration: C | None
    """What to put in force; None when nothing may change."""
    problems: Sequence[Problem]
    restart: Sequence[str]
    """Differences that only a restart can bring about."""
    changes: Sequence[str]


class Reloading(Generic[C]):
    """One reload after the other, each as a whole or not at all.

    An error of ours in it is logged and told; what was in force stays in force.
    """

    def __init__(
        self,
        configuration: C,
        *,
        read: Callable[[C], ReadAgain[C]],
        renew: Callable[[C], ReadAgain[C]],
        put_in_force: Callable[[C], None],
        log: Log,
    ) -> None:
        """Begin with the configuration that the process started with.

        Args:
            read: Reads the file of a configuration again; may block, so it is called in a thread.
            renew: Reads only the certificates of a configuration again, likewise.
            put_in_force: Called in the loop; it may be asked to take an older one back.
        """
        self.configuration = configuration
        """What is in force."""
        self._read = read
        self._renew = renew
        self._put_in_force = put_in_force
        self._log = log
        self._one_at_a_time = trio.Lock()

    @property
    def is_awaited(self) -> bool:
        """Whether a reload that has not begun will read the file anyway."""
        return self._one_at_a_time.statistics().tasks_waiting > 0

    async def reload(self) -> Row:
        """Read the configuration again and put it in force as a whole, or change nothing.

        Returns what the command ``reload`` tells.
        """
        async with self._one_at_a_time:
            again = await self._swap(self._read, "reloaded")
            if isinstance(again, str):
                return {"applied": False, "problems": [again], "restart": [], "changes": []}
            if again.configuration is None:
                self._log.error("reload refused", restart=list(again.restart))
            return _answer(again)

    async def renew(self) -> list[str]:
        """Take certificates from their files anew; a file that cannot work changes nothing.

        Returns what is wrong with the files.
        """
        async with self._one_at_a_time:
            again = await self._swap(self._renew, "certificates renewed")
            if isinstance(again, str):
                return [again]
            return [str(problem) for problem in again.problems if problem.is_error]

    async def _swap(self, read: Callable[[C], ReadAgain[C]], done: str) -> ReadAgain[C] | str:
        """Read a configuration and put it in force, unless nothing may change; say what was done.

        Returns:
            What was read, or which error of ours prevented that it was put in force.
        """
        before = self.configuration
        found: list[ReadAgain[C]] = []
        work = partial(_read_into, found, read, before)
        fault = await trio.to_thread.run_sync(contained, work, abandon_on_cancel=True)
        if fault is None:
            again = found[0]
            self._tell(again)
            new = again.configuration
            if new is None:
                return again
            fault = contained(partial(self._put_in_force, new))
            if fault is None:
                self.configuration = new
                self._log.info(done, changes=list(again.changes))
                return again
            self._take_back(before)
        self._log.error("reload failed", traceback=fault)
        what = fault.strip().rpartition("\n")[2]
        return f"internal error, so nothing was changed: {what}"

    def _take_back(self, before: C) -> None:
        """Undo what may have been half done."""
        fault = contained(partial(self._put_in_force, before))
        if fault is not None:
            self._log.error("reload not undone", traceback=fault)

    def _tell(self, again: ReadAgain[C]) -> None:
        for problem in again.problems:
            note = self._log.error if problem.is_error else self._log.warning
            note("configuration", problem=str(problem))


def _read_into(found: list[ReadAgain[C]], read: Callable[[C], ReadAgain[C]], before: C) -> None:
    found.append(read(before))


def _answer(again: ReadAgain[C]) -> Row:
    applied = again.configuration is not None
    return {
        "applied": applied,
        "problems": [str(problem) for problem in again.problems],
        "restart": list(again.restart),
        "changes": list(again.changes) if applied else [],
    }
