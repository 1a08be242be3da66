"""Kamailio on a host, whatever it is configured to be there."""

from tests.kit.hosts import Host, Program, wait_until
from tests.kit.patience import PATIENCE_S

_PORT_5060 = ":13C4 "


def start_kamailio(host: Host, name: str, configuration: str) -> Program:
    """Start it with little memory and wait until it listens on UDP port 5060.

    Args:
        name: of the program, its file and its directory in the host's logs.
    """
    file = host.logs / f"{name}.cfg"
    file.write_text(configuration)
    run = host.logs / name
    run.mkdir(exist_ok=True)
    program = host.start(
        name,
        *("kamailio", "-DD", "-f", str(file), "-m", "64", "-M", "8", "-x", "fm", "-X", "fm"),
        *("-Y", str(run), "-w", str(run), "-P", str(run / "pid")),
    )
    wait_until(
        lambda: _PORT_5060 in host.run("cat", "/proc/net/udp") or not program.running,
        within_s=PATIENCE_S,
        what=f"{name} listens\n{program.tail()}",
    )
    assert program.running, program.tail()
    return program
