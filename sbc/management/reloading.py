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
        put_in_force: Callable[[C], None],
        log: Log,
    ) -> None:
        """Begin with the configuration that the process started with.

        Args:
            read: Reads the file of a configuration again; may block, so it is called in a thread.
            put_in_force: Called in the loop; it may be asked to take an older one back.
        """
        self.configuration = configuration
        """What is in force."""
        self._read = read
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
            before = self.configuration
            found: list[ReadAgain[C]] = []
            work = partial(self._read_into, found, before)
            fault = await trio.to_thread.run_sync(contained, work, abandon_on_cancel=True)
            if fault is None:
                again = found[0]
                self._tell(again)
                new = again.configuration
                if new is None:
                    return _answer(again)
                fault = contained(partial(self._put_in_force, new))
                if fault is None:
                    self.configuration = new
                    self._log.info("reloaded", changes=list(again.changes))
                    return _answer(again)
                self._take_back(before)
            self._log.error("reload failed", traceback=fault)
            what = fault.strip().rpartition("\n")[2]
            problem = f"internal error, so nothing was changed: {what}"
            return {"applied": False, "problems": [problem], "restart": [], "changes": []}

    def _read_into(self, found: list[ReadAgain[C]], before: C) -> None:
        found.append(self._read(before))

    def _take_back(self, before: C) -> None:
        """Undo what may have been half done."""
        fault = contained(partial(self._put_in_force, before))
        if fault is not None:
            self._log.error("reload not undone", traceback=fault)

    def _tell(self, again: ReadAgain[C]) -> None:
        for problem in again.problems:
            note = self._log.error if problem.is_error else self._log.warning
            note("configuration", problem=str(problem))
        if again.configuration is None:
            self._log.error("reload refused", restart=list(again.restart))


def _answer(again: ReadAgain[C]) -> Row:
    applied = again.configuration is not None
    return {
        "applied": applied,
        "problems": [str(problem) for problem in again.problems],
        "restart": list(again.restart),
        "changes": list(again.changes) if applied else [],
    }
