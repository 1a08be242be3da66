"""A relay that is stopped while its sockets fill, and then works the backlog off.

No load generator runs meanwhile and the relay never waits, so a backlog measures what a packet
costs with little noise, and how much several workers do together.
"""

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.media.modes import Mode, RelayedCall, sent_packets
from tests.bench.media.proc import thread_cpu_s, thread_states
from tests.bench.media.relays import Relay
from tests.bench.media.wires import Wires

_POLL_S = 0.001
_STANDSTILL_S = 2.0
_IDLE_S = 0.003
_STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class Drained:
    """How a backlog went."""

    packets: int
    """Filled in, and relayed all."""
    cpu_s: float
    """Of all relays, and of what their cores put off."""
    busiest_s: float
    """CPU time of the thread that used most: what all take when each has a core for itself."""

    @property
    def packets_per_cpu_s(self) -> float:
        """Packets relayed for each CPU-second."""
        return self.packets / max(1e-9, self.cpu_s)


class Backlog:
    """The packets for the calls of one relay, sent from where the last backlog ended."""

    def __init__(
        self, wires: Wires, relay: Relay, mode: Mode, calls: list[RelayedCall], most_rounds: int
    ) -> None:
        """Make the packets.

        Args:
            wires: where they are sent.
            relay: who takes them.
            mode: how they are protected.
            calls: where they go.
            most_rounds: packets that one phone sends at most, over all backlogs.
        """
        self.relay = relay
        self._sockets = [wires.raw_socket(side) for side in (0, 1)]
        self._packets = [sent_packets(mode, side, most_rounds) for side in (0, 1)]
        self._headers = [
            wires.headers(side, calls, len(packets[0]))
            for side, packets in enumerate(self._packets)
        ]
        self._round = 0

    def close(self) -> None:
        """Close the sockets."""
        for one in self._sockets:
            one.close()

    def fill(self, depth: int) -> int:
        """Put `depth` packets into each socket of the relay; how many that were in all."""
        for number in range(self._round, self._round + depth):
            for raw, packets, headers in zip(
                self._sockets, self._packets, self._headers, strict=True
            ):
                packet = packets[number]
                for header in headers:
                    raw.sendmsg((header, packet))
        self._round += depth
        return depth * sum(map(len, self._headers))


def drain(
    wires: Wires, backlogs: Sequence[Backlog], depth: int, softirq_threads: Sequence[int] = ()
) -> Drained:
    """Stop the relays, put `depth` packets into each of their sockets, and let them go on.

    Args:
        wires: the network of all of them.
        backlogs: one for each relay; they work at the same time.
        depth: packets for one socket.
        softirq_threads: kernel threads whose work is a relay's too.

    Raises:
        RuntimeError: some packets never came out.
    """
    pids = [backlog.relay.pid for backlog in backlogs]
    try:
        for pid in pids:
            _freeze(pid)
        arrived = wires.delivered()
        filled = sum(backlog.fill(depth) for backlog in backlogs)
        before_s = _threads_s([*pids, *softirq_threads])
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    _await(wires, arrived + filled)
    time.sleep(_IDLE_S)
    used_s = {
        thread: now_s - before_s.get(thread, 0.0)
        for thread, now_s in _threads_s([*pids, *softirq_threads]).items()
    }
    return Drained(
        packets=filled,
        cpu_s=sum(used_s.values()),
        busiest_s=max(used_s.values()),
    )


def _threads_s(pids: Sequence[int]) -> dict[int, float]:
    """CPU time of each thread of several processes."""
    return {thread: s for pid in pids for thread, s in thread_cpu_s(pid).items()}


def _await(wires: Wires, wanted: int) -> None:
    """Wait until so many packets have come."""
    last = time.monotonic()
    seen = wires.delivered()
    while seen < wanted:
        time.sleep(_POLL_S)
        now = wires.delivered()
        if now != seen:
            seen, last = now, time.monotonic()
        elif time.monotonic() - last > _STANDSTILL_S:
            raise RuntimeError(f"{wanted - seen} packets of a backlog do not come out")


def _freeze(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + _STOP_S
    while set(thread_states(pid)) != {"T"}:
        if time.monotonic() > deadline:
            raise RuntimeError(f"process {pid} does not stop")
        time.sleep(_POLL_S)
