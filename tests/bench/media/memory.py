"""What a call holds in each relay, and in the kernel for it, once media flows both ways."""

from collections.abc import Sequence
from contextlib import closing

from tests.bench.media.backlog import Backlog, drain
from tests.bench.media.modes import Mode
from tests.bench.media.proc import resident_kb, socket_kb
from tests.bench.media.relays import Place, running
from tests.bench.media.telling import say
from tests.bench.media.wires import Wires

_CALLS = 2000
_PACKETS = 4
"""Of each phone: state that the first packet makes belongs to the call."""


def memory(
    wires: Wires, place: Place, mode: Mode, names: Sequence[str]
) -> dict[str, dict[str, object]]:
    """Growth of the process and of the kernel for one of 2000 calls, by relay."""
    found: dict[str, dict[str, object]] = {}
    for name in names:
        with running(name, place) as relay:
            relay.prepare(mode, _CALLS)
            process_kb, kernel_kb = resident_kb(relay.pid), socket_kb()
            with closing(Backlog(wires, relay, mode, relay.open(), _PACKETS)) as backlog:
                for _ in range(_PACKETS):
                    drain(wires, [backlog], 1)
            found[name] = {
                "kb_per_call": round((resident_kb(relay.pid) - process_kb) / _CALLS, 1),
                "socket_kb_per_call": round((socket_kb() - kernel_kb) / _CALLS, 1),
            }
        say(f"  {name:9} {mode.name:9} {found[name]}")
    return found
