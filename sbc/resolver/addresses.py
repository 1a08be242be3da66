"""The addresses behind the host names that the configuration mentions.

Names are looked up beside the loop, at start and then every minute; who asks gets what is known
now and never waits. A lookup that fails changes nothing: the last good answer stays.
"""

import socket
from collections.abc import Awaitable, Callable, Iterable

import trio

from sbc.prefixes import is_numeric

Addresses = tuple[str, ...]

_AT_ONCE = 8


async def look_up(host: str) -> Addresses:
    """The system's answer for a host name, best first, without duplicates.

    Raises:
        OSError: there is no such name, or nobody answers.
    """
    found = await trio.socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    return tuple(dict.fromkeys(str(address[0]) for _, _, _, _, address in found))


class PeerAddresses:
    """Current addresses of a set of hosts; a numeric host is its own address at once.

    The callbacks are plain functions called from `run`: `on_change` with a name and its new
    addresses whenever the set of them is another one, `on_trouble` with a name and why when its
    lookups begin to fail, and with an empty text when they work again.
    """

    def __init__(
        self,
        hosts: Iterable[str],
        *,
        on_change: Callable[[str, Addresses], None],
        on_trouble: Callable[[str, str], None],
        lookup: Callable[[str], Awaitable[Addresses]] = look_up,
        interval_s: float = 60.0,
        timeout_s: float = 10.0,
    ) -> None:
        """Nothing is looked up before `run`."""
        self._on_change = on_change
        self._on_trouble = on_trouble
        self._lookup = lookup
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._known: dict[str, Addresses] = {}
        self._names: frozenset[str] = frozenset()
        self._troubled: dict[str, str] = {}
        self._watched = trio.Event()
        self.watch(hosts)

    def addresses(self, host: str) -> Addresses:
        """What is known now, best first; empty for a name that was never answered."""
        return self._known.get(host, ())

    @property
    def known(self) -> dict[str, Addresses]:
        """Every host with its addresses, as a copy."""
        return dict(self._known)

    @property
    def troubled(self) -> dict[str, str]:
        """Every name whose last lookup failed, with why, as a copy."""
        return dict(self._troubled)

    def watch(self, hosts: Iterable[str]) -> None:
        """Replace the set of hosts, as a reload does; new names are looked up at once."""
        every = frozenset(hosts)
        numeric = {host for host in every if is_numeric(host)}
        self._names = every - numeric
        kept = {name: self._known[name] for name in self._names if name in self._known}
        self._known = kept | {host: (host,) for host in numeric}
        self._troubled = {n: why for n, why in self._troubled.items() if n in self._names}
        self._watched.set()

    async def run(self) -> None:
        """Look up for ever."""
        limiter = trio.CapacityLimiter(_AT_ONCE)
        while True:
            self._watched = trio.Event()
            async with trio.open_nursery() as nursery:
                for name in sorted(self._names):
                    nursery.start_soon(self._refresh, name, limiter)
            with trio.move_on_after(self._interval_s):
                await self._watched.wait()

    async def _refresh(self, name: str, limiter: trio.CapacityLimiter) -> None:
        why = "no answer in time"
        found: Addresses = ()
        async with limiter:
            with trio.move_on_after(self._timeout_s):
                try:
                    found = await self._lookup(name)
                except OSError as error:
                    why = error.strerror or str(error)
                else:
                    why = "" if found else "the name has no address"
        if name not in self._names:
            return
        self._note_trouble(name, why)
        if found:
            self._note_answer(name, found)

    def _note_trouble(self, name: str, why: str) -> None:
        known = name in self._troubled
        if why:
            self._troubled[name] = why
        else:
            self._troubled.pop(name, None)
        if bool(why) != known:
            self._on_trouble(name, why)

    def _note_answer(self, name: str, found: Addresses) -> None:
        # Name servers rotate their answers; another order is not another set of machines.
        if set(found) != set(self._known.get(name, ())):
            self._known[name] = found
            self._on_change(name, found)
