"""What may be dead around the system under test, so that a bench shows that nobody waits for it.

`dns`: a name server that hears every question and answers none. Twenty peers have names that only
it could tell, and one of them is the first that each call would go to.

`target`: the first target of the PBX hears every INVITE and OPTIONS and answers none. Probes are
on, so that once it is down no call is spent on finding out whether it came back.
"""

import contextlib
import socket
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

DEAD = ("dns", "target")
CONFIGURATION = Path(__file__).parent / "bench.yaml"
_ROOT = Path(__file__).parents[2]
_NAMES = 20


@contextlib.contextmanager
def configuration(dead: Sequence[str]) -> Iterator[Path]:
    """The bench's configuration, changed so that it needs what is dead."""
    if not dead:
        yield CONFIGURATION
        return
    text = CONFIGURATION.read_text()
    text = text.replace("../../policies", str(_ROOT / "policies"))
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        if "dns" in dead:
            text = _with_dead_names(text, stack.enter_context(_silent()).getsockname()[1])
        if "target" in dead:
            text = _with_dead_target(text, stack.enter_context(_silent()).getsockname()[1])
        file = directory / "bench.yaml"
        file.write_text(text)
        yield file


def _with_dead_names(text: str, port: int) -> str:
    peers = "".join(
        f"  dead{n}: {{kind: trunk, network: callees, address: dead{n}.example}}\n"
        for n in range(_NAMES)
    )
    text = text.replace("peers:\n", f"peers:\n{peers}", 1)
    text = text.replace("    to: pbx\n", "    to: [dead0, pbx]\n", 1)
    return f'{text}\ndns: {{servers: "127.0.0.1:{port}"}}\n'


def _with_dead_target(text: str, port: int) -> str:
    live = "    address: 127.0.0.1:5080\n"
    assert live in text
    both = f"    address: ['127.0.0.1:{port}', '127.0.0.1:5080']\n"
    return text.replace(live, f"{both}    health: {{probe: options}}\n", 1)


def _silent() -> socket.socket:
    """A socket that nobody reads."""
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))
    return silent
