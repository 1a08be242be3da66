"""Muting in the kernel without privileges: a filter on each of our own UDP sockets.

What is muted comes from the budgets, which go on counting whatever the filter lets through. The
firewall's tables of the host are not told: they would drop connections, too, so that a forger of
datagrams could shut out whoever connects from the address that he names.
"""

import ctypes
import socket
import struct
from collections.abc import Callable, Iterable
from typing import Final

import trio

from sbc.firewall.filter_program import MOST, Source, filter_program

_SO_ATTACH_FILTER: Final = 26
_SO_DETACH_FILTER: Final = 27
_SO_MEMINFO: Final = 55
_DROPS: Final = 8
"""Linux: which of the numbers of `SO_MEMINFO` counts what a socket dropped."""

CHANGE_S = 0.1
"""How often the filters are changed at most."""


Sockets = Callable[[str], Iterable[socket.socket]]
"""The UDP sockets of a network."""


def attach_filter(sock: socket.socket, program: bytes | None) -> None:
    """Give a socket a filter in place of the one it has, or none.

    Raises:
        OSError: the kernel refuses it.
    """
    if program is None:
        sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
        return
    kept = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("@HP", len(program) // 8, ctypes.addressof(kept))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)


def datagrams_dropped(sock: socket.socket) -> int | None:
    """How many datagrams the kernel dropped at a socket: filtered, or for want of room.

    Returns:
        None where the kernel does not tell.
    """
    try:
        told = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * (_DROPS + 1))
    except OSError:
        return None
    numbers = struct.unpack(f"{len(told) // 4}I", told)
    return numbers[_DROPS] if len(numbers) > _DROPS else None


class SocketFilter:
    """Keeps the filters of all networks as they should be, while `run` runs."""

    __slots__ = ("_changed", "_muted", "_sockets", "_wake", "trouble")

    def __init__(self, sockets: Sockets) -> None:
        """Nobody is muted."""
        self._sockets = sockets
        self._muted: dict[str, dict[Source, float]] = {}
        self._changed: set[str] = set()
        self._wake = trio.Event()
        self.trouble = ""
        """Why the kernel took no filter, if it did not."""

    def mute(self, network: str, host: str, port: int, seconds: float) -> None:
        """Drop what a source sends for some seconds; with too many of them nothing is done.

        Args:
            host: an IPv4 address, or the first four groups of an IPv6 one.
            port: 0 for all.
        """
        muted = self._muted.setdefault(network, {})
        source = Source(host, port)
        if len(muted) >= MOST and source not in muted:
            return
        muted[source] = trio.current_time() + seconds
        self._change(network)

    def release(self, network: str, host: str) -> None:
        """Drop nothing of a host any more."""
        muted = self._muted.get(network, {})
        for source in [source for source in muted if source.host == host]:
            del muted[source]
            self._change(network)

    @property
    def muted(self) -> int:
        """How many sources are muted now."""
        return sum(len(muted) for muted in self._muted.values())

    def dropped(self) -> int | None:
        """How many datagrams the kernel dropped at these sockets; None where it does not tell.

        Those for which a socket had no room are among them: the kernel counts no two kinds.
        """
        counts = [datagrams_dropped(sock) for name in self._muted for sock in self._sockets(name)]
        return None if None in counts else sum(count or 0 for count in counts)

    async def run(self) -> None:
        """Put in force what is asked for, and let it end when its time is over."""
        while True:
            self._expire(trio.current_time())
            for network in self._changed:
                self._put_in_force(network)
            self._changed.clear()
            self._wake = trio.Event()
            ends = [until for muted in self._muted.values() for until in muted.values()]
            with trio.move_on_at(min(ends, default=float("inf"))):
                await self._wake.wait()
            await trio.sleep(CHANGE_S)

    def _change(self, network: str) -> None:
        self._changed.add(network)
        self._wake.set()

    def _expire(self, now: float) -> None:
        for network, muted in self._muted.items():
            over = [source for source, until in muted.items() if until <= now]
            for source in over:
                del muted[source]
            if over:
                self._changed.add(network)

    def _put_in_force(self, network: str) -> None:
        muted = self._muted[network]
        try:
            program = filter_program(muted) if muted else None
            for sock in self._sockets(network):
                attach_filter(sock, program)
        except OSError as error:
            self.trouble = f"the kernel takes no filter for the sockets: {error.strerror}"
        else:
            self.trouble = ""
