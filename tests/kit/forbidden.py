"""A process to which the kernel refuses some system calls, as it does in many containers."""

import ctypes
import platform
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
IO_URING_SETUP = 425
CLONE = {"x86_64": 56, "aarch64": 220}.get(platform.machine(), 220)
CLONE3 = 435

_LOAD_NUMBER = (0x20, 0, 0, 0)
_SKIP_UNLESS, _RETURN = 0x15, 0x06
_ERROR, _ALLOW = 0x00050000, 0x7FFF0000
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _FILTER = 22, 38, 2


def run_without(calls: Mapping[int, int], program: str) -> list[str]:
    """Run Python in a process whose calls fail with these errors; the lines that it prints."""
    begin = f"from tests.kit.forbidden import forbid\nforbid({dict(calls)})\n"
    command = [sys.executable, "-c", begin + program]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def forbid(calls: Mapping[int, int]) -> None:
    """Have system calls of this process fail for the rest of its life: number -> errno."""
    steps = [_LOAD_NUMBER]
    for number, error in calls.items():
        steps += [(_SKIP_UNLESS, 0, 1, number), (_RETURN, 0, 0, _ERROR | error)]
    steps.append((_RETURN, 0, 0, _ALLOW))
    memory = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    filters = struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.create_string_buffer(filters), 0, 0) == 0
