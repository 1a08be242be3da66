"""A real SBC for the demo: its configuration on this machine's free addresses, and its process."""

import os
import re
import socket
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import trio

import sbc
from sbc.config.machine import ThisMachine
from sbc.management.control import ask
from sbc.sip.flow import Address

LOOPBACK = "127.0.0.1"
INSIDE = "127.0.0.2"
"""Where the SBC faces the PBX."""
PBX = "127.0.0.3"
PHONE = "127.0.0.4"
"""Where the built-in phone really is."""
_SOURCE = Path(sbc.__file__).parents[1]
_POLICIES = (_SOURCE / "policies", Path(sysconfig.get_path("data")) / "share" / "sbc" / "policies")
"""In a tree, and as installed without one."""
_USUAL_PORT = 5060
_MEDIA_PORTS = 400
_START_S = 30.0
_STOP_S = 10.0
_POLL_S = 0.05
_ATTEMPTS = 3
_READY = re.compile(r" info ready ")
_TAIL_LINES = 15

CONFIGURATION = """\
# Written by `sbc demo`: phones outside, a PBX inside, and this border between them.
version: 1
networks:
{networks}
peers:
  pbx:
    kind: pbx
    network: inside
    address: {pbx[0]}:{pbx[1]}
    media: {{srtp: off}}
{peers}
routes:
  - {{name: phones to the PBX, from: [{fronts}], to: pbx}}
  - {{name: PBX to the phones, from: pbx, to: [{phones}]}}
policies: {policy}
media: {{engine: {engine}}}
firewall: {{nftables: off}}
state_dir: .
"""
_NETWORK = """\
  {name}:
    trust: {trust}
    bind: {where[0]}
    listen: [udp/{where[1]}, tcp/{where[1]}]
    media_ports: {first}-{last}
"""
_PHONES = """\
  {name}-phones:
    kind: endpoints
    network: {name}
    # On this machine and its network, where you can watch: elsewhere keys want TLS.
    media: {{srtp: allow, sdes_in_clear: true}}
"""


class BorderFailed(Exception):
    """The SBC did not start, or ended; the text has the end of its log."""


class _EndedEarly(Exception):
    """The SBC ended before it served."""


@dataclass(frozen=True, slots=True)
class Border:
    """A running SBC."""

    outside: Address
    """Where the built-in phone finds it: on loopback, which its private address never leaves."""
    lan: Address | None
    """Where other machines' phones find it; None on a machine without an address of its own."""
    directory: Path
    """Where its configuration, log and call records are."""
    process: trio.Process

    async def ask(self, command: str, **arguments: object) -> object:
        """Give it a command on its control socket.

        Raises:
            CommandRefused, ControlFailed, NotRunning: as `sbc.management.control.ask`.
        """
        return await trio.to_thread.run_sync(
            ask, self.directory / "control.sock", command, arguments
        )


def lan_address() -> str | None:
    """This machine's own address, where phones on other machines reach it; None without one."""
    machine = ThisMachine()
    # Nobody has a documentation address, so the answer is the address of the default route.
    towards = machine.address_towards("192.0.2.1")
    if towards is not None:
        return towards
    addresses = [text for found in machine.interfaces().values() for text in found]
    return next((a for a in addresses if ":" not in a and not a.startswith("127.")), None)


def configuration(fronts: dict[str, Address], pbx: Address, entropy: Random, *, engine: str) -> str:
    """The demo's sbc.yaml.

    Args:
        fronts: where phones find the SBC, by network.
        engine: the value of the key `media.engine`.
    """
    # The usual range may be in use by an SBC that does real work here.
    first = 10_000 + 4 * _MEDIA_PORTS * entropy.randrange(12)
    networks = ""
    for name, where in {**fronts, "inside": (INSIDE, free_port(INSIDE))}.items():
        networks += _NETWORK.format(
            name=name,
            trust="trusted" if name == "inside" else "untrusted",
            where=where,
            first=first,
            last=first + _MEDIA_PORTS - 1,
        )
        first += _MEDIA_PORTS
    return CONFIGURATION.format(
        networks=networks.rstrip(),
        pbx=pbx,
        peers="".join(_PHONES.format(name=name) for name in fronts).rstrip(),
        fronts=", ".join(fronts),
        phones=", ".join(f"{name}-phones" for name in fronts),
        policy=next((at for at in _POLICIES if at.is_dir()), _POLICIES[0]) / "edge-default.yaml",
        engine=engine,
    )


def free_port(host: str) -> int:
    """A port that is free for UDP and TCP: 5060 if it can be, else one above, else any.

    Raises:
        OSError: the host is none of this machine's addresses.
    """
    for port in [_USUAL_PORT, *range(_USUAL_PORT + 10, _USUAL_PORT + 100, 10)]:
        try:
            return _bindable(host, port)
        except OSError:
            continue
    return _bindable(host, 0)


def _bindable(host: str, port: int) -> int:
    """The port, or a free one for 0, if UDP and TCP can both have it; else OSError."""
    with (
        socket.socket(type=socket.SOCK_DGRAM) as udp,
        socket.socket(type=socket.SOCK_STREAM) as tcp,
    ):
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        udp.bind((host, port))
        tcp.bind(udp.getsockname())
        return int(udp.getsockname()[1])


@asynccontextmanager
async def running_border(
    directory: Path, pbx: Address, entropy: Random, *, engine: str, only_this_machine: bool
) -> AsyncIterator[Border]:
    """Start ``sbc run`` as a process of its own, wait until it serves, and stop it at the end.

    Args:
        engine: the value of the key `media.engine`.
        only_this_machine: whether to stay on loopback, out of other machines' reach.

    Raises:
        BorderFailed: it did not start in time.
    """
    attempts = 0
    while True:
        attempts += 1
        fronts = _fronts(only_this_machine=only_this_machine)
        text = configuration(fronts, pbx, entropy, engine=engine)
        (directory / "sbc.yaml").write_text(text)
        process = await _started(directory)
        border = Border(fronts["outside"], fronts.get("lan"), directory, process)
        try:
            await _until_it_serves(directory, process)
        except _EndedEarly as ended:
            # Between looking and binding another program may have taken a port.
            if attempts == _ATTEMPTS:
                raise BorderFailed(str(ended)) from ended
            continue
        except BaseException:
            await _stop(process)
            raise
        try:
            yield border
            return
        finally:
            await _stop(process)


def _fronts(*, only_this_machine: bool) -> dict[str, Address]:
    """Where phones will find the SBC, by network."""
    fronts = {"outside": (LOOPBACK, free_port(LOOPBACK))}
    lan = None if only_this_machine else lan_address()
    if lan is not None:
        fronts["lan"] = (lan, free_port(lan))
    return fronts


async def _started(directory: Path) -> trio.Process:
    search = os.pathsep.join([str(_SOURCE), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    with (directory / "sbc.log").open("wb") as log:
        return await trio.lowlevel.open_process(
            [sys.executable, "-m", "sbc", "run", str(directory / "sbc.yaml")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": search},
            # Ctrl-C is ours to handle: the SBC is stopped in its turn.
            start_new_session=True,
        )


async def _until_it_serves(directory: Path, process: trio.Process) -> None:
    """Wait for the log line that says all listeners are open; the control socket is up before."""
    log = directory / "sbc.log"
    with trio.move_on_after(_START_S):
        while process.poll() is None:
            if _READY.search(log.read_text(errors="replace")):
                return
            await trio.sleep(_POLL_S)
        raise _EndedEarly(f"the SBC ended; its log:\n{log_tail(directory)}")
    raise BorderFailed(f"the SBC did not start in {_START_S:g} s; its log:\n{log_tail(directory)}")


async def _stop(process: trio.Process) -> None:
    with trio.CancelScope(shield=True):
        if process.poll() is None:
            process.terminate()
            with trio.move_on_after(_STOP_S):
                await process.wait()
                return
            process.kill()
            await process.wait()


def log_tail(directory: Path) -> str:
    """The last lines of the SBC's log."""
    lines = (directory / "sbc.log").read_text(errors="replace").splitlines()
    return "\n".join(f"    {line}" for line in lines[-_TAIL_LINES:])
