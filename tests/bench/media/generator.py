"""The load generator: compiled where it runs, given its packets, and what it counted."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.media.modes import Mode, RelayedCall, sent_packets
from tests.bench.media.wires import PHONE_INTERFACES, Wires
from tests.bench.process import prefer

_SOURCE = Path(__file__).parent / "rtpload.c"
_SLACK_S = 10.0


@dataclass(frozen=True, slots=True)
class Counts:
    """What the generator saw in its window."""

    window_s: float
    sent: int
    """Packets that left in the window."""
    arrived: int
    """Packets that came back in the window, whenever they had left."""
    unseen: int
    """Frames that the generator itself was too slow to look at, warm-up included."""
    p50_us: int
    p99_us: int
    cpu_s: tuple[float, ...]
    """CPU time of each process asked for."""
    samples: list[tuple[int, int, bytes]]
    """Receiving side, number of the call and packet, of some that arrived first."""


class Generator:
    """The compiled program and the directory of its files."""

    def __init__(self, wires: Wires, core: int, directory: Path) -> None:
        """Compile it.

        Raises:
            subprocess.CalledProcessError: there is no compiler, or it refuses.
        """
        self._wires = wires
        self._core = core
        self._directory = directory
        self._program = directory / "rtpload"
        subprocess.run(
            ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", self._program, _SOURCE], check=True
        )
        self._packets: dict[tuple[Mode, int], list[bytes]] = {}

    def load(
        self,
        mode: Mode,
        calls: list[RelayedCall],
        *,
        packets_per_s: float,
        warm_s: float,
        window_s: float,
        pids: Sequence[int],
    ) -> Counts:
        """Send at the rate through all calls both ways, from their first packets on."""
        rounds = int(packets_per_s * (warm_s + window_s) / (2 * len(calls))) + 2
        sides = [self._first_packets(mode, side, rounds) for side in (0, 1)]
        headers = [
            self._wires.headers(side, calls, len(packets[0])) for side, packets in enumerate(sides)
        ]
        flows = self._file("flows", [part for pair in zip(*headers, strict=True) for part in pair])
        command = [str(self._program), self._wires.phones.namespace, *PHONE_INTERFACES, flows]
        for side, packets in enumerate(sides):
            command += [self._file(f"packets{side}", packets), str(len(packets[0]))]
        command += [f"{len(calls)}", f"{packets_per_s:.0f}", f"{warm_s:g}", f"{window_s:g}"]
        process = subprocess.Popen(
            [*command, str(self._core), *map(str, pids)],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            prefer(process.pid)
            output, _ = process.communicate(timeout=warm_s + window_s + _SLACK_S)
        finally:
            process.kill()
            process.wait()
        if process.returncode != 0:
            raise RuntimeError(f"the load generator ended with status {process.returncode}")
        return _counts(window_s, json.loads(output))

    def _first_packets(self, mode: Mode, side: int, count: int) -> list[bytes]:
        made = self._packets.get((mode, side), [])
        if len(made) < count:
            made = self._packets[mode, side] = sent_packets(mode, side, count)
        return made[:count]

    def _file(self, name: str, parts: list[bytes]) -> str:
        path = self._directory / name
        path.write_bytes(b"".join(parts))
        return str(path)


def _counts(window_s: float, said: dict[str, Any]) -> Counts:
    return Counts(
        window_s=window_s,
        sent=said["sent"],
        arrived=said["arrived"],
        unseen=said["unseen"],
        p50_us=said["p50_us"],
        p99_us=said["p99_us"],
        cpu_s=tuple(said["cpu_s"]),
        samples=[(side, number, bytes.fromhex(data)) for side, number, data in said["samples"]],
    )
