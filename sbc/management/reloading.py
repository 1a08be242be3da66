"""How a configuration is read again and put in force, or everything stays as it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, Protocol, TypeVar

import trio

from sbc.document.problem import Problem
from sbc.driver.boundary import contained
from sbc.management.listing import Row
from sbc.management.log import Log
from sbc.state.database import StoreUnusable
from sbc.state.versions.version import Read

C = TypeVar("C")
"""A configuration; what is in it is nothing to know here."""

NOTHING_READ = Read("", {}, {})


@dataclass(frozen=True, slots=True)
class ReadAgain(Generic[C]):
    """What reading the file again gave."""

    configuration: C | None
    """What to put in force; None when nothing may change."""
    problems: Sequence[Problem]
    restart: Sequence[str]
    """Differences that only a restart can bring about."""
    changes: Sequence[str]
    read: Read = field(default=NOTHING_READ, repr=False)
    """What it was read from."""
    candidate: C | None = None
    """The same as `configuration`, and there too when only a restart can put it in force."""


class Transaction(Protocol[C]):
    """What has to happen on disk around a swap. All of it blocks, and runs in a thread."""

    def begin(self, again: ReadAgain[C], configuration: C) -> C:
        """Before it: the configuration as it is to be put in force.

        Raises:
            StoreUnusable: it must not be.
        """

    def finish(self) -> None:
        """After it."""

    def undo(self) -> None:
        """In place of `finish`, when it could not be put in force."""


class Reloading(Generic[C]):
    """One reload after the other, each as a whole or not at all.

    An error of ours in it is logged and told; what was in force stays in force.
    """

    def __init__(
        self,
        configuration: C,
        *,
        renew: Callable[[C], ReadAgain[C]],
        put_in_force: Callable[[C], None],
        log: Log,
    ) -> None:
        """Begin with the configuration that the process started with.

        Args:
            renew: Reads only the certificates of a configuration again; may block, so it is called
                in a thread.
            put_in_force: Called in the loop; it may be asked to take an older one back.
        """
        self.configuration = configuration
        """What is in force."""
        self._renew = renew
        self._put_in_force = put_in_force
        self._log = log
        self.one_at_a_time = trio.Lock()
        """Whoever holds it is the only one who changes what is in force."""

    @property
    def is_awaited(self) -> bool:
        """Whether a reload that has not begun will read the file anyway."""
        return self.one_at_a_time.statistics().tasks_waiting > 0

    async def reload(
        self, read: Callable[[C], ReadAgain[C]], transaction: Transaction[C], done: str
    ) -> Row:
        """Read a configuration and put it in force as a whole, or change nothing.

        Args:
            read: Reads it, given the one in force; may block, so it is called in a thread.
            done: What the log calls it when it is done.

        Returns:
            What the commands tell that change the configuration.
        """
        async with self.one_at_a_time:
            again = await self._swap(read, done, transaction)
            if isinstance(again, str):
                return {"applied": False, "problems": [again], "restart": [], "changes": []}
            if again.configuration is None:
                self._log.error("reload refused", restart=list(again.restart))
            return _answer(again)

    async def renew(self) -> list[str]:
        """Take certificates from their files anew; a file that cannot work changes nothing.

        Returns what is wrong with the files.
        """
        async with self.one_at_a_time:
            again = await self._swap(self._renew, "certificates renewed", None)
            if isinstance(again, str):
                return [again]
            return [str(problem) for problem in again.problems if problem.is_error]

    async def _swap(
        self,
        read: Callable[[C], ReadAgain[C]],
        done: str,
        transaction: Transaction[C] | None,
    ) -> ReadAgain[C] | str:
        """Read a configuration and put it in force, unless nothing may change; say what was done.

        Returns:
            What was read, or why it could not be put in force.
        """
        found: list[ReadAgain[C]] = []
        work = partial(_read_into, found, read, self.configuration)
        fault = await trio.to_thread.run_sync(contained, work, abandon_on_cancel=True)
        if fault is not None:
            return self._failed(fault)
        again = found[0]
        self._tell(again)
        if again.configuration is None:
            return again
        # Whoever gave the command may leave now, but not between two halves.
        with trio.CancelScope(shield=True):
            why = await self._put(again, again.configuration, transaction)
        if why:
            return why
        self._log.info(done, changes=list(again.changes))
        return again

    async def _put(self, again: ReadAgain[C], new: C, transaction: Transaction[C] | None) -> str:
        """Put a configuration in force; why that could not be."""
        before = self.configuration
        if transaction is not None:
            begin = partial(_begin, transaction, again, new)
            kept = await trio.to_thread.run_sync(begin)
            if isinstance(kept, StoreUnusable):
                self._log.error("reload failed", why=str(kept))
                return f"nothing was changed, because it could not be kept: {kept}"
            new = kept
        fault = contained(partial(self._put_in_force, new))
        if fault is None:
            self.configuration = new
        else:
            self._take_back(before)
        if transaction is not None:
            after = transaction.finish if fault is None else transaction.undo
            await trio.to_thread.run_sync(after)
        return "" if fault is None else self._failed(fault)

    def _failed(self, fault: str) -> str:
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


def _begin(transaction: Transaction[C], again: ReadAgain[C], new: C) -> C | StoreUnusable:
    try:
        return transaction.begin(again, new)
    except StoreUnusable as error:
        return error


def _answer(again: ReadAgain[C]) -> Row:
    applied = again.configuration is not None
    return {
        "applied": applied,
        "problems": [str(problem) for problem in again.problems],
        "restart": list(again.restart),
        "changes": list(again.changes) if applied else [],
    }
