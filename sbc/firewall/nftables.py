"""Our own table in the kernel's packet filter, kept in step with who is shut out.

What changes is gathered, and handed to ``nft`` a few times a second at most, however many sources
are banned meanwhile. The table is read back when it is made and now and then after that; should it
be gone, or a change be refused, or ``nft`` end, that is told, and it is made anew from what the
process knows. With the process it goes, however that ends.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal, NamedTuple

import trio

from sbc.firewall import ruleset
from sbc.firewall.nft import Nft, NftFailed
from sbc.firewall.ruleset import Change, Guarded, Rate, Source

Mode = Literal["auto", "off", "required"]

PAUSE_S: Final = 0.25
"""Between two changes of the table."""

LOOK_S: Final = 30.0
"""Between two looks at it."""

MOST_AT_ONCE: Final = 20_000
"""Changes that are made at once; what is beyond them comes next."""

MOST_WAITING: Final = 100_000
"""Changes that may wait; with more the table is made anew."""

AGAIN_S: Final = 5.0
"""From one ``nft`` to the next, should they end by themselves; and to the second try of all."""

_TRIES: Final = 8
"""At a start that needs the table: the ``nft`` of a process that was killed may be about to end."""


@dataclass(frozen=True, slots=True)
class FirewallSettings:
    """What the configuration says of the kernel's packet filter."""

    nftables: Mode = "auto"
    rate: Rate | None = None
    """What one stranger may send before the kernel drops it; None for no limit there."""


class Wanted(NamedTuple):
    """What the table should say."""

    guarded: tuple[Guarded, ...]
    rate: Rate | None
    spared: tuple[Source, ...]
    """Whom `rate` does not concern."""


class FirewallUnusable(Exception):
    """The table is required and cannot be had; the text says why."""


Shut = Callable[[], Iterable[tuple[Source, float]]]
"""Every source that is shut out now, and for how many seconds more."""


class Nftables:
    """Shuts out in the kernel who is shut out in the process.

    Args:
        name: of the table: of this instance, whoever runs it.
        mode: ``off`` does nothing; ``auto`` does without it where it cannot be had.
        wanted: asked for whenever the table is made.
        shut: likewise.
        known: hosts of registered phones, likewise.
        tell: told when the table begins to be in force, and when it is not, with why; once each.
        nft: the program that owns the table.
    """

    def __init__(
        self,
        name: str,
        mode: Mode,
        *,
        wanted: Callable[[], Wanted],
        shut: Shut,
        known: Callable[[], Iterable[str]],
        tell: Callable[[str], None],
        nft: Nft | None = None,
    ) -> None:
        self.name = name
        self.mode = mode
        self._wanted = wanted
        self._shut = shut
        self._known = known
        self._tell = tell
        self._nft = nft if nft is not None else Nft()
        self.trouble = "it is off" if mode == "off" else "it was not made yet"
        """Why nothing is shut out in the kernel; empty when everything is."""
        self.batches = 0
        """How often ``nft`` changed the table."""
        self.dropped: dict[str, int] = {}
        """Packets that the kernel dropped, by why, when the table was last looked at."""
        self._before: dict[str, int] = {}
        self._changes: dict[tuple[str, str], Change] = {}
        self._prefixes_changed = False
        self._anew = False
        self._made_at = self._look_at = 0.0
        self._changed = trio.Event()

    # -- what the process decides -----------------------------------------------------------

    def ban(self, source: Source, seconds: float) -> None:
        """Shut a source out."""
        if ruleset.is_single(source):
            self._add(ruleset.ban(source, seconds))
        else:
            self._change_prefixes()

    def lift(self, source: Source) -> None:
        """Let a source in again."""
        self.ban(source, 0)

    def mute_flow(self, host: str, port: int, seconds: float) -> None:
        """Hear no datagrams from one address and port for a moment."""
        self._add(ruleset.mute_flow(host, port, seconds))

    def know(self, host: str, *, known: bool) -> None:
        """Do not count a host, on which a phone is registered; or count it again."""
        self._add(ruleset.know(host, known=known))

    def renew(self) -> None:
        """Make the table anew: the configuration, or everything else, may be another one."""
        self._anew = True
        self._changed.set()

    # -- what is done about it --------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the table until cancelled; then it is removed.

        Raises:
            FirewallUnusable: it is required and cannot be had.
        """
        if self.mode == "off":
            task_status.started()
            return
        try:
            await self._begin()
            task_status.started()
            while True:
                await self._wait()
                await self._keep_up()
                await trio.sleep(PAUSE_S)
        finally:
            await self._nft.end()

    async def look(self) -> None:
        """Read back what the kernel has, and what it dropped.

        Raises:
            NftFailed: the table is not there, or not all of it.
        """
        answers = [await self._nft.tell(question) for question in ruleset.questions(self.name)]
        try:
            reading = ruleset.read_listing(answers)
        except ValueError as error:
            raise NftFailed(str(error)) from None
        wanted = self._wanted()
        if reading.rules != ruleset.rules_of(wanted.guarded, wanted.rate) or not reading.hooked:
            raise NftFailed("the table is not as it was made: somebody changed it")
        self.dropped = {
            why: count + self._before.get(why, 0) for why, count in reading.dropped.items()
        }

    async def _begin(self) -> None:
        await self._make()
        for _ in range(_TRIES if self.mode == "required" else 0):
            if self.trouble:
                await trio.sleep(PAUSE_S)
                await self._make()
        if self.trouble and self.mode == "required":
            raise FirewallUnusable(f"nftables: {self.trouble}")
        if self.trouble:
            self._look_at = trio.current_time() + AGAIN_S

    async def _wait(self) -> None:
        """Wait until something is to be done."""
        with trio.move_on_at(self._look_at):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch_nft)
                await self._changed.wait()
                nursery.cancel_scope.cancel()
        self._changed = trio.Event()

    async def _watch_nft(self) -> None:
        why = await self._nft.ended()
        self._in_trouble(why)
        # At once, but not again and again should it be something that always ends it.
        await trio.sleep_until(self._made_at + AGAIN_S)
        self._changed.set()

    async def _keep_up(self) -> None:
        due = trio.current_time() >= self._look_at
        if self._anew or self.trouble or self._nft.worn:
            await self._make()
            return
        try:
            lines = self._taken()
            if lines:
                await self._write(lines)
            if due:
                await self.look()
                self._look_at = trio.current_time() + LOOK_S
        except NftFailed as error:
            # Whatever it was: from what we know it can be made again, or else it says why not.
            self._in_trouble(str(error))
            await self._make()

    async def _make(self) -> None:
        """Make the table anew, with everything that should be in it, and see that it is there."""
        self._anew, self._prefixes_changed = False, False
        self._changes.clear()
        self._before = dict(self.dropped)
        self._made_at = trio.current_time()
        self._look_at = self._made_at + LOOK_S
        try:
            if self._nft.worn:
                await self._nft.end()
            if self._nft.pid is None:
                await self._nft.tell(ruleset.clearing(self.name))
            await self._write(self._everything())
            await self.look()
            why = ""
        except NftFailed as error:
            why = str(error)
        self._in_trouble(why)
        if self._changes or self._prefixes_changed:
            self._wake()  # They came while it was made.

    def _in_trouble(self, why: str) -> None:
        if why != self.trouble:
            self.trouble = why
            self._tell(why)

    def _everything(self) -> list[str]:
        wanted = self._wanted()
        changes = [ruleset.ban(one, left) for one, left in self._shut() if ruleset.is_single(one)]
        if wanted.rate is not None:
            changes += {ruleset.know(host, known=True) for host in self._known()}
        return [
            ruleset.table_script(self.name, *wanted),
            *ruleset.change_lines(self.name, changes, fresh=True),
            *self._prefix_lines(),
        ]

    def _prefix_lines(self) -> list[str]:
        wide = {source: s for source, s in self._shut() if not ruleset.is_single(source)}
        return ruleset.prefix_lines(self.name, wide)

    async def _write(self, lines: list[str]) -> None:
        await self._nft.tell("\n".join(lines))
        self.batches += 1

    def _add(self, change: Change) -> None:
        if self.mode == "off":
            return
        self._changes[change.place, change.element] = change
        if len(self._changes) > MOST_WAITING:
            self._anew = True
            self._changes.clear()
        self._wake()

    def _change_prefixes(self) -> None:
        self._prefixes_changed = True
        self._wake()

    def _wake(self) -> None:
        # While the table cannot be had nobody is asked more often than by the clock.
        if not self.trouble:
            self._changed.set()

    def _taken(self) -> list[str]:
        """What waits, up to what is changed at once."""
        keys = list(islice(self._changes, MOST_AT_ONCE))
        lines = ruleset.change_lines(self.name, [self._changes.pop(key) for key in keys])
        if self._changes:
            self._changed.set()
        if self._prefixes_changed:
            self._prefixes_changed = False
            lines += self._prefix_lines()
        return lines
