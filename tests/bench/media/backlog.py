"""A relay that is stopped while its sockets fill, and then works the backlog off.

No load generator runs meanwhile and the relay never waits, so a backlog measures what a packet
costs with little noise, and how long several workers take on all cores.
"""

import os
import signal
import time
from dataclasses import dataclass

from tests.bench.media.modes import Mode, RelayedCall, sent_packets
from tests.bench.media.proc import cpu_s, thread_cpu_s, thread_states
from tests.bench.media.relays import Relay
from tests.bench.media.wires import Wires

_POLL_S = 0.001
_STANDSTILL_S = 0.5
_IDLE_S = 0.003
_STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class Drained:
    """How a backlog went."""

    packets: int
    """Relayed; what was filled in but for `lost`."""
    lost: int
    cpu_s: float
    """Of the relay, and of what its cores put off."""
    busiest_s: float
    """CPU time of the thread that used most: what the relay takes when each has a core."""
    wall_s: float
    """From the relay's going on to the last packet."""

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
        self._wires = wires
        self._relay = relay
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

    def drain(self, depth: int, softirq_threads: tuple[int, ...]) -> Drained:
        """Stop the relay, put `depth` packets into each of its sockets, and let it go on."""
        pid = self._relay.pid
        _freeze(pid)
        try:
            arrived = self._wires.delivered()
            filled = self._fill(depth)
            softirq_s = sum(map(cpu_s, softirq_threads))
            threads_s = thread_cpu_s(pid)
            began = time.perf_counter()
        finally:
            os.kill(pid, signal.SIGCONT)
        ended, seen = self._await(arrived + filled)
        time.sleep(_IDLE_S)
        softirq_s = sum(map(cpu_s, softirq_threads)) - softirq_s
        used_s = [now_s - threads_s.get(one, 0.0) for one, now_s in thread_cpu_s(pid).items()]
        relayed = seen - arrived
        return Drained(
            packets=relayed,
            lost=max(0, filled - relayed),
            cpu_s=sum(used_s) + softirq_s,
            busiest_s=max(used_s),
            wall_s=ended - began,
        )

    def _fill(self, depth: int) -> int:
        for number in range(self._round, self._round + depth):
            for raw, packets, headers in zip(
                self._sockets, self._packets, self._headers, strict=True
            ):
                packet = packets[number]
                for header in headers:
                    raw.sendmsg((header, packet))
        self._round += depth
        return depth * sum(map(len, self._headers))

    def _await(self, wanted: int) -> tuple[float, int]:
        """When the last packet came, and how many had come by then."""
        last = time.perf_counter()
        seen = self._wires.delivered()
        while seen < wanted and time.perf_counter() - last < _STANDSTILL_S:
            time.sleep(_POLL_S)
            now = self._wires.delivered()
            if now != seen:
                seen, last = now, time.perf_counter()
        return last, seen


def _freeze(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + _STOP_S
    while set(thread_states(pid)) != {"T"}:
        if time.monotonic() > deadline:
            raise RuntimeError(f"process {pid} does not stop")
        time.sleep(_POLL_S)
