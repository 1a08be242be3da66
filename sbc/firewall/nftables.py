"""Our own table in the kernel's packet filter, kept in step with who is shut out.

What changes is gathered, and handed to one ``nft`` a few times a second at most, however many
sources are banned meanwhile. The table is read back when it is made and now and then after that;
should it be gone, or a change be refused, it is made anew from what the process knows. With the
process it goes.
"""

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import trio

from sbc.firewall import ruleset
from sbc.firewall.ruleset import Guarded, Rate, Source

Mode = Literal["auto", "off", "required"]

PAUSE_S: Final = 0.25
"""Between two changes of the table."""

LOOK_S: Final = 30.0
"""Between two looks at it."""

MOST_LINES: Final = 20_000
"""Of one change; what is beyond it comes with the next one."""

MOST_WAITING: Final = 100_000
"""Changes that may wait; with more the table is made anew."""

NFT_S: Final = 20.0
"""How long one ``nft`` may take."""

_PATH: Final = "/usr/sbin:/sbin:/usr/local/sbin"


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


class NftFailed(Exception):
    """``nft`` refused; the text is the first line of what it said."""


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
        nft: what runs ``nft``; gives what it printed, or raises `NftFailed`.
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
        nft: "Nft | None" = None,
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
        self._lines: dict[object, list[str]] = {}
        self._prefixes_changed = False
        self._anew = False
        self._look_at = 0.0
        self._changed = trio.Event()

    # -- what the process decides -----------------------------------------------------------

    def ban(self, source: Source, seconds: float) -> None:
        """Shut a source out."""
        if ruleset.is_single(source):
            self._add(source, ruleset.ban_lines(self.name, source, seconds))
        else:
            self._change_prefixes()

    def lift(self, source: Source) -> None:
        """Let a source in again."""
        if ruleset.is_single(source):
            self._add(source, ruleset.lift_lines(self.name, source))
        else:
            self._change_prefixes()

    def mute_flow(self, host: str, port: int, seconds: float) -> None:
        """Hear no datagrams from one address and port for a moment."""
        self._add((host, port), ruleset.mute_flow_lines(self.name, host, port, seconds))

    def know(self, host: str, *, known: bool) -> None:
        """Do not count a host, on which a phone is registered; or count it again."""
        self._add(("known", host), ruleset.know_lines(self.name, host, known=known))

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
            await self._make()
            if self.trouble and self.mode == "required":
                raise FirewallUnusable(f"nftables: {self.trouble}")
            task_status.started()
            while True:
                with trio.move_on_at(self._look_at):
                    await self._changed.wait()
                self._changed = trio.Event()
                await self._keep_up()
                await trio.sleep(PAUSE_S)
        finally:
            if self.batches:
                with trio.CancelScope(shield=True):
                    await self._remove()

    async def look(self) -> None:
        """Read back what the kernel has, and what it dropped.

        Raises:
            NftFailed: the table is not there, or not all of it.
        """
        # Terse: with a hundred thousand elements the listing is long, and they are known anyway.
        printed = await self._nft.run(("-j", "-t", "list", "table", "inet", self.name))
        try:
            reading = ruleset.read_listing(printed)
        except ValueError as error:
            raise NftFailed(str(error)) from None
        wanted = self._wanted()
        if reading.rules != ruleset.rules_of(wanted.guarded, wanted.rate) or not reading.hooked:
            raise NftFailed("the table is not as it was made: somebody changed it")
        self.dropped = {
            why: count + self._before.get(why, 0) for why, count in reading.dropped.items()
        }

    async def _keep_up(self) -> None:
        due = trio.current_time() >= self._look_at
        if self._anew or self.trouble:
            await self._make()
            return
        try:
            lines = self._taken()
            if lines:
                await self._write("\n".join(lines) + "\n")
            if due:
                await self.look()
                self._look_at = trio.current_time() + LOOK_S
        except NftFailed:
            # Whatever it was: from what we know it can be made again, or else it says why not.
            await self._make()

    async def _make(self) -> None:
        """Make the table anew, with everything that should be in it, and see that it is there."""
        self._anew, self._prefixes_changed = False, False
        self._lines.clear()
        self._before = dict(self.dropped)
        self._look_at = trio.current_time() + LOOK_S
        try:
            await self._write(self._everything())
            await self.look()
            why = ""
        except NftFailed as error:
            why = str(error)
        if why != self.trouble:
            self.trouble = why
            self._tell(why)
        if self._lines or self._prefixes_changed:
            self._wake()  # They came while it was made.

    def _everything(self) -> str:
        wanted = self._wanted()
        lines: list[str] = []
        for source, seconds in self._shut():
            if ruleset.is_single(source):
                lines += ruleset.ban_lines(self.name, source, seconds)
        lines += self._prefix_lines()
        if wanted.rate is not None:
            for host in self._known():
                lines += ruleset.know_lines(self.name, host, known=True)
        return ruleset.table_script(self.name, *wanted) + "\n".join(lines) + "\n"

    def _prefix_lines(self) -> list[str]:
        wide = {source: s for source, s in self._shut() if not ruleset.is_single(source)}
        return ruleset.prefix_lines(self.name, wide)

    async def _write(self, script: str) -> None:
        await self._nft.run(("-f", "-"), script)
        self.batches += 1

    def _add(self, key: object, lines: list[str]) -> None:
        if self.mode == "off":
            return
        self._lines[key] = lines
        if len(self._lines) > MOST_WAITING:
            self._anew = True
            self._lines.clear()
        self._wake()

    def _change_prefixes(self) -> None:
        self._prefixes_changed = True
        self._wake()

    def _wake(self) -> None:
        # While the table cannot be had nobody is asked more often than by the clock.
        if not self.trouble:
            self._changed.set()

    def _taken(self) -> list[str]:
        """What waits, up to what one change may hold."""
        lines: list[str] = []
        while self._lines and len(lines) < MOST_LINES:
            lines += self._lines.pop(next(iter(self._lines)))
        if self._lines:
            self._changed.set()
        if self._prefixes_changed:
            self._prefixes_changed = False
            lines += self._prefix_lines()
        return lines

    async def _remove(self) -> None:
        try:
            await self._nft.run(("-f", "-"), ruleset.delete_script(self.name))
        except NftFailed as error:
            self._tell(f"our table {self.name} could not be removed: {error}")


class Nft:
    """The program ``nft``."""

    async def run(self, arguments: Iterable[str], script: str = "") -> str:
        """Have it do something; what it printed.

        Raises:
            NftFailed: it is not there, may not do it, or refused.
        """
        program = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:{_PATH}")
        if program is None:
            raise NftFailed("nft is not installed; install the package nftables")
        with trio.move_on_after(NFT_S):
            try:
                done = await trio.run_process(
                    [program, *arguments], stdin=script.encode(), capture_stdout=True,
                    capture_stderr=True, check=False,
                )  # fmt: skip
            except OSError as error:
                raise NftFailed(f"{program}: {error.strerror or error}") from None
            if done.returncode == 0:
                return bytes(done.stdout).decode()
            raise NftFailed(_said(bytes(done.stderr).decode(errors="replace")))
        raise NftFailed(f"nft was not done within {NFT_S:g} s")


def _said(text: str) -> str:
    """What it said, in one line, with what to do where that is known."""
    line = next((one for one in text.splitlines() if one.strip()), "nft said nothing")
    if "not permitted" in text:
        return "the process may not change it; give it CAP_NET_ADMIN, or leave it as it is"
    return line.strip()[:200]
