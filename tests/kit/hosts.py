"""Hosts that are network namespaces, wired by virtual Ethernet switches.

A namespace here has no name: it lives as long as the process that holds it, and that process
dies with ours. So two runs never collide and a killed run leaves nothing behind.
"""

import ctypes
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from ipaddress import ip_interface
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from tests.kit.patience import PATIENCE_S

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_POLL_S = 0.02
_STOP_S = 5.0
_LIBC = ctypes.CDLL(None, use_errno=True)


class NeverHappened(AssertionError):
    """A condition that a test waited for did not come true before its deadline."""


def wait_until(condition: Callable[[], T], *, within_s: float, what: str) -> T:
    """Poll `condition` until it is true and return what it returned.

    Raises:
        NeverHappened: it was still false after `within_s` seconds; `what` names it.
    """
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise NeverHappened(f"not within {within_s:g} s: {what}")
        time.sleep(_POLL_S)


def missing_for_namespaces(*tools: str) -> str | None:
    """Why hosts cannot be made here, or a tool that is not installed; None when all is there."""
    if os.geteuid() != 0:
        return "needs root for network namespaces"
    absent = [tool for tool in ("ip", "unshare", "nsenter", "setpriv", *tools) if not _path(tool)]
    if absent:
        return "not installed: " + ", ".join(absent)
    tried = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    return None if tried.returncode == 0 else "the kernel refuses a network namespace"


def _path(tool: str) -> str | None:
    return shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


class Program:
    """A process on a host, its output in a log file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        self.name = name
        self.log = log
        self._file = log.open("wb")
        self.process = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=self._file,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=None if env is None else {**os.environ, **env},
        )

    @property
    def output(self) -> str:
        """Everything the program has printed so far."""
        return self.log.read_text(errors="replace")

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self.process.poll() is None

    def expect(self, text: str, *, within_s: float, times: int = 1) -> None:
        """Wait until the program has printed `text` at least `times` times.

        Raises:
            NeverHappened: it did not, or it ended first; the end of its log is in the message.
        """

        def seen() -> bool:
            if self.output.count(text) >= times:
                return True
            if not self.running and self.output.count(text) < times:
                raise NeverHappened(f"{self.name} ended before {text!r}:\n{self.tail()}")
            return False

        try:
            wait_until(seen, within_s=within_s, what=f"{self.name} prints {text!r}")
        except NeverHappened as error:
            raise NeverHappened(f"{error}\n{self.tail()}") from None

    def wait(self, *, within_s: float) -> int:
        """Wait for the end of the process and return its exit status.

        Raises:
            NeverHappened: it still runs; it is left to run.
        """
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise NeverHappened(
                f"{self.name} did not end within {within_s:g} s:\n{self.tail()}"
            ) from None

    def tail(self, lines: int = 40) -> str:
        """The last lines of the log, for the message of a failed test."""
        return "\n".join(self.output.splitlines()[-lines:])

    def stop(self) -> None:
        """End the process, kindly first."""
        if self.running:
            self.process.terminate()
            try:
                self.process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._file.close()


class Host:
    """One network namespace: addresses, routes, programs and sockets in it."""

    def __init__(self, name: str, logs: Path, settle: Callable[[], None]) -> None:
        """Make the namespace.

        Args:
            name: what logs call the host.
            logs: directory for the logs of its programs.
            settle: waits until the cables of the whole laboratory carry frames.
        """
        self.name = name
        self.logs = logs
        self._settle = settle
        self.addresses: list[str] = []
        """Numeric addresses without prefix length, in the order given."""
        self._interfaces = 0
        self._programs: list[Program] = []
        self._holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sleep", "infinity"]
        )
        self.namespace = f"/proc/{self._holder.pid}/ns/net"
        wait_until(self._is_apart, within_s=PATIENCE_S, what=f"namespace of {name}")
        self.run("ip", "link", "set", "lo", "up")

    @property
    def pid(self) -> int:
        """The process that holds the namespace."""
        return self._holder.pid

    @property
    def ip(self) -> str:
        """The first IPv4 address."""
        return next(address for address in self.addresses if ":" not in address)

    @property
    def ip6(self) -> str:
        """The first IPv6 address."""
        return next(address for address in self.addresses if ":" in address)

    def command(self, *command: str) -> list[str]:
        """The command line that runs `command` in the namespace and dies with this process."""
        enter = ["setpriv", "--pdeathsig", "KILL", "nsenter", f"--net={self.namespace}", "--"]
        return [*enter, *command]

    def run(self, *command: str, text: str | None = None, within_s: float = 20) -> str:
        """Run a short command to its end and return what it printed.

        Raises:
            RuntimeError: it failed; what it said is in the message.
        """
        done = subprocess.run(
            self.command(*command),
            input=text,
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{self.name}: {' '.join(command)}: {done.stderr or done.stdout}")
        return done.stdout

    def start(
        self,
        name: str,
        *command: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> Program:
        """Start a program that is stopped with the host."""
        self._settle()
        log = self.logs / f"{self.name}-{len(self._programs)}-{name}.log"
        program = Program(
            name,
            self.command(*command),
            log,
            cwd=cwd,
            env=env,
            stdin=stdin,
        )
        self._programs.append(program)
        return program

    def join(self, switch: "Switch", *addresses: str, interface: str | None = None) -> str:
        """Plug the host into a switch under `addresses` (with prefix length).

        Returns:
            The name of the new interface.
        """
        name = interface or f"eth{self._interfaces}"
        self._interfaces += 1
        port = switch.plug(self, name)
        lines = [f"address add {address} dev {name}{_no_dad(address)}" for address in addresses]
        self.run("ip", "-batch", "-", text="\n".join([*lines, f"link set {name} up", ""]))
        switch.run("ip", "link", "set", port, "up")
        self.addresses += [str(ip_interface(address).ip) for address in addresses]
        return name

    def route(self, via: str, to: str = "default") -> None:
        """Add a route, by default the default one of the family of `via`."""
        self.run("ip", "-6" if ":" in via else "-4", "route", "add", to, "via", via)

    def set_kernel(self, key: str, value: int | str) -> None:
        """Set one `sysctl` of the namespace, for example ``net/ipv4/ip_forward``."""
        self.run("sh", "-c", f"echo {value} > /proc/sys/{key}")

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Put this thread into the namespace; a socket made inside belongs to it for ever."""
        with Path("/proc/thread-self/ns/net").open("rb") as home:
            with Path(self.namespace).open("rb") as there:
                _enter(there.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def udp_socket(self, address: str, port: int = 0) -> socket.socket:
        """A bound, non-blocking UDP socket in the namespace."""
        self._settle()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.entered():
            made = socket.socket(family, socket.SOCK_DGRAM)
        made.bind((address, port))
        made.setblocking(False)
        return made

    def close(self) -> None:
        """Stop every program, the last first, and let the namespace go."""
        for program in reversed(self._programs):
            program.stop()
        self._holder.kill()
        self._holder.wait()

    def _is_apart(self) -> bool:
        if self._holder.poll() is not None:
            raise RuntimeError(f"no namespace for {self.name}")
        # The process is ours before it has left our namespace and become `sleep`.
        ours = Path("/proc/self/ns/net").readlink()
        return Path(self.namespace).readlink() != ours


class Switch(Host):
    """An Ethernet switch: a namespace with one bridge."""

    def __init__(self, name: str, logs: Path, settle: Callable[[], None]) -> None:
        super().__init__(name, logs, settle)
        self._ports = 0
        self._carrying = 0
        self.run("ip", "link", "add", "bridge", "type", "bridge")
        self.run("ip", "link", "set", "bridge", "up")

    def plug(self, host: Host, interface: str) -> str:
        """Make the cable to `host` and return the switch's end of it."""
        port = f"port{self._ports}"
        self._ports += 1
        ends = ("name", port, "type", "veth", "peer", "name", interface, "netns", str(host.pid))
        self.run("ip", "link", "add", *ends)
        self.run("ip", "link", "set", port, "master", "bridge")
        return port

    def carries(self) -> bool:
        """Whether every port forwards; the kernel takes up to a second to notice a new cable."""
        if self._carrying < self._ports:
            details = self.run("ip", "-details", "link", "show", "master", "bridge")
            self._carrying = details.count("state forwarding")
        return self._carrying == self._ports


class Lab(AbstractContextManager["Lab"]):
    """All hosts and switches of one test; leaving it ends them all."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._stack = ExitStack()
        self._switches: list[Switch] = []

    def host(self, name: str) -> Host:
        """A new host without a network."""
        host = Host(name, self._logs, self.settle)
        self._stack.callback(host.close)
        return host

    def switch(self, name: str) -> Switch:
        """A new switch."""
        switch = Switch(name, self._logs, self.settle)
        self._switches.append(switch)
        self._stack.callback(switch.close)
        return switch

    def settle(self) -> None:
        """Wait until all cables carry frames, so that no first packet waits for a second ARP."""
        for switch in self._switches:
            wait_until(
                switch.carries, within_s=PATIENCE_S, what=f"all ports of {switch.name} forward"
            )

    def keep(self, resource: AbstractContextManager[T]) -> T:
        """Enter `resource` now and leave it before the hosts go."""
        return self._stack.enter_context(resource)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()


def _no_dad(address: str) -> str:
    # Duplicate address detection would hold an IPv6 address back for a second or two.
    return " nodad" if ":" in address else ""


def _enter(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
