"""What the kernel says of processes and cores, read from /proc."""

import os
from collections.abc import Collection
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_SOCKET_CACHES = frozenset({"UDP", "sock_inode_cache", "filp", "eventpoll_epi", "io_kiocb"})
_STEAL_FIELD = 8
"""Of a `cpuN` line: name, user, nice, system, idle, iowait, irq, softirq, steal."""


def cpu_s(pid: int) -> float:
    """CPU time of all threads of a process."""
    return sum(thread_cpu_s(pid).values())


def thread_cpu_s(pid: int) -> dict[int, float]:
    """CPU time of each thread, to the nanosecond; exact for those that do not run."""
    return {
        int(path.parent.name): int(path.read_text().split()[0]) / 1e9
        for path in Path(f"/proc/{pid}/task").glob("*/schedstat")
    }


def steal_s(core: int) -> float:
    """Seconds since the start in which the core wanted to run and the hypervisor ran another."""
    return stolen(Path("/proc/stat").read_text(), core)


def stolen(stat: str, core: int) -> float:
    """The same out of the text of `/proc/stat`."""
    fields = next(line.split() for line in stat.splitlines() if line.startswith(f"cpu{core} "))
    return int(fields[_STEAL_FIELD]) / _TICKS_PER_S


def softirq_thread(core: int) -> int:
    """The kernel thread that works off what packets leave to do on a core."""
    for path in Path("/proc").glob("[0-9]*/comm"):
        if path.read_text().strip() == f"ksoftirqd/{core}":
            return int(path.parent.name)
    raise LookupError(f"no ksoftirqd/{core}")


def thread_states(pid: int) -> list[str]:
    """The state of each thread, `T` for stopped."""
    return [
        path.read_text().rpartition(")")[2].split()[0]
        for path in Path(f"/proc/{pid}/task").glob("*/stat")
    ]


def ports_of_udp(pid: int) -> set[int]:
    """The UDP ports that are bound in the network namespace of a process (IPv4)."""
    lines = Path(f"/proc/{pid}/net/udp").read_text().splitlines()
    return {int(line.split()[1].partition(":")[2], 16) for line in lines[1:]}


def resident_kb(pid: int) -> int:
    """Memory of the process that is in RAM (VmRSS)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def socket_kb() -> float:
    """Memory of all kernel objects of the machine that UDP sockets and waiting for them need."""
    return slab_kb(Path("/proc/slabinfo").read_text(), _SOCKET_CACHES)


def slab_kb(slabinfo: str, caches: Collection[str]) -> float:
    """Memory of the objects in use of some caches, out of the text of `/proc/slabinfo`."""
    rows = (line.split() for line in slabinfo.splitlines())
    return sum(int(row[1]) * int(row[3]) for row in rows if row[0] in caches) / 1024
