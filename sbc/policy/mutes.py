"""Which sources are so far over their budget that the system may drop what they send, for a while.

A mute is no ban: it lasts seconds, and what it drops the budget would have dropped, but for the few
messages of those seconds' rate. So it gives a forger no more than the flood itself gives him. It is
never about a peer, a registered phone, a trusted network or a source that a rule exempts: those are
not proposed here (`Admission`), and where a registered phone is behind an address only other ports
of that address are muted.

When it ends the source is counted again as before, and muted again if it goes on.
"""

from typing import NamedTuple, Protocol

AFTER_DROPS = 50
"""So many messages of a source, dropped within `WITHIN_S`, are far over any budget."""

WITHIN_S = 1.0

MUTE_S = 5.0

AGAIN_AFTER_DROPS = 10
"""So many are enough to mute a source again that goes on when its mute is over."""

WATCHED = 4096
"""Sources whose drops are counted. One that is forgotten for others begins anew."""


class Muted(NamedTuple):
    """Datagrams that are dropped for a while."""

    network: str
    host: str
    """IPv4 address; of IPv6 the /64 that the address is in."""
    port: int = 0
    """0 for all of the host's."""


class Kernel(Protocol):
    """Drops datagrams before they reach the process."""

    def mute(self, network: str, host: str, port: int, seconds: float) -> None:
        """Drop what a source sends, from soon on, for some seconds; see `Muted`."""

    def release(self, network: str, host: str) -> None:
        """Drop nothing of this host any more; whether anything of it was is not known."""


class Mutes:
    """Counts what was dropped of each source, and has the worst muted."""

    __slots__ = ("_drops", "kernel", "muted")

    def __init__(self) -> None:
        self.kernel: Kernel | None = None
        """Without one nobody is muted."""
        self._drops: dict[Muted, list[float]] = {}
        """Since when, and how many."""
        self.muted = 0
        """How often one was muted."""

    def dropped(self, network: str, host: str, port: int, now: float) -> None:
        """Count a datagram of a stranger that its own budget had no room for."""
        if self.kernel is None:
            return
        key = Muted(network, host, port)
        drops = self._drops.get(key)
        if drops is None or now - drops[0] > WITHIN_S:
            self._watch(key, now)
            return
        drops[1] += 1
        if drops[1] >= AFTER_DROPS:
            # Whoever is silent for a while, be it by the mute, begins anew.
            drops[:] = now + MUTE_S, AFTER_DROPS - AGAIN_AFTER_DROPS
            self.muted += 1
            self.kernel.mute(*key, MUTE_S)

    def release(self, network: str, host: str) -> None:
        """Let a host be heard: it is not a stranger's any more."""
        if self.kernel is not None:
            self.kernel.release(network, host)

    def _watch(self, key: Muted, now: float) -> None:
        self._drops.pop(key, None)
        if len(self._drops) >= WATCHED:
            del self._drops[next(iter(self._drops))]
        self._drops[key] = [now, 1]
