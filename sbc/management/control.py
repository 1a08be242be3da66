"""The control socket: how the commands of the CLI reach the running process.

A Unix socket that only its owner and root may use. One request per line, one answer per line,
both JSON: ``{"command": "calls", "arguments": {}}`` gives ``{"ok": true, "result": …}`` or
``{"ok": false, "error": "one line"}``.

This is the operator's boundary: an error that nobody foresaw in a command is logged with its
traceback and told to who gave the command, and ends nothing else. The driver's boundary
(`sbc.driver.boundary`) does the same for calls; there is no third.
"""

import errno
import json
import os
import pwd
import socket
import stat
import struct
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from pathlib import Path

import trio

MAX_REQUEST_BYTES = 65_536
MAX_ANSWER_BYTES = 33_554_432
MAX_CONNECTIONS = 16
REQUEST_S = 10.0
"""How long a connection may take to say what it wants."""

COMMAND_S = 60.0
"""How long a command may take, and its answer to be read."""

Arguments = dict[str, object]
"""Of a command, as JSON had them."""

Command = Callable[[Arguments], object]
"""Gives what JSON can carry, or an awaitable of that; raises CommandRefused."""

_CREDENTIALS = struct.Struct("3i")

_CALLER: ContextVar[int] = ContextVar("caller")
"""The user id of whoever gave the command that a task carries out."""


class CommandRefused(Exception):
    """A command that cannot be done; the text says why, for the person who gave it."""


class AlreadyRunning(Exception):
    """Another process answers on the control socket."""


class ControlUnusable(Exception):
    """The control socket cannot be opened; the text says why."""


class NotRunning(Exception):
    """Nobody answers on the control socket."""


class ControlFailed(Exception):
    """The process was reached but did not answer as it should."""


def text_argument(arguments: Arguments, name: str) -> str:
    """A text that a command needs.

    Raises:
        CommandRefused: it is missing or something else.
    """
    value = arguments.get(name)
    if not isinstance(value, str) or not value:
        raise CommandRefused(f"{name!r} is needed, as text")
    return value


def who_commands() -> str:
    """Who gave the command that this task carries out, by the kernel's word; else we ourselves."""
    return user_name(_CALLER.get(os.geteuid()))


def user_name(uid: int) -> str:
    """The name of a user, or the number of one without a name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


class ControlServer:
    """Answers commands while `run` runs."""

    def __init__(
        self,
        path: Path,
        commands: Mapping[str, Command],
        *,
        log: Callable[..., None],
    ) -> None:
        """Nothing is opened yet.

        Args:
            commands: By name. Each is called in the server's task; a plain function must not
                block.
            log: As `sbc.driver.edges.Log`; told of every command, since an operator's hand is
                part of the story.
        """
        self.path = path
        self._commands = dict(commands)
        self._log = log

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled; the socket's file goes with it.

        Raises:
            AlreadyRunning: another process answers there.
            ControlUnusable: the socket cannot be made.
        """
        sock = _bound(self.path)
        inode = self.path.stat().st_ino
        slots = trio.CapacityLimiter(MAX_CONNECTIONS)
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
        try:
            async with listener, trio.open_nursery() as nursery:
                task_status.started()
                while True:
                    stream = await listener.accept()
                    nursery.start_soon(self._serve, stream, slots)
        finally:
            _unlink(self.path, inode)

    async def _serve(self, stream: trio.SocketStream, slots: trio.CapacityLimiter) -> None:
        async with stream:
            try:
                caller = _uid_of(stream)
                _CALLER.set(caller)
                if caller not in (0, os.geteuid()):
                    await stream.send_all(_refusal("only the owner of the process may do that"))
                elif slots.available_tokens < 1:
                    await stream.send_all(_refusal("too many commands at once; try again"))
                else:
                    async with slots:
                        await self._converse(stream)
            except (trio.BrokenResourceError, trio.TooSlowError):
                return

    async def _converse(self, stream: trio.SocketStream) -> None:
        lines = _Lines(stream)
        while (line := await lines.next()) is not None:
            answer = await self._answer(line)
            with trio.fail_after(COMMAND_S):
                await stream.send_all(answer)

    async def _answer(self, line: bytes) -> bytes:
        try:
            name, arguments = _request(line)
            with trio.fail_after(COMMAND_S):
                return await self._do(name, arguments)
        except CommandRefused as refusal:
            return _refusal(str(refusal))
        except trio.TooSlowError:
            return _refusal(f"not done within {COMMAND_S:g} s")

    async def _do(self, name: str, arguments: Arguments) -> bytes:
        """Do a command; its answer, or CommandRefused whatever went wrong in it."""
        command = self._commands.get(name)
        if command is None:
            known = ", ".join(sorted(self._commands))
            raise CommandRefused(f"there is no command {name!r}; there are: {known}")
        self._log("info", "command", name=name)
        try:
            result = command(arguments)
            if isinstance(result, Awaitable):
                result = await result
            return _encoded({"ok": True, "result": result})
        except CommandRefused:
            raise
        except Exception as error:  # the boundary: a fault in a listing ends no call that it lists
            self._log("error", "command failed", name=name, traceback=traceback.format_exc())
            raise CommandRefused(f"internal error: {type(error).__name__}: {error}") from error


def ask(
    path: Path,
    command: str,
    arguments: Mapping[str, object] | None = None,
    *,
    timeout_s: float = COMMAND_S,
) -> object:
    """Give the running process a command and return its result. Blocks.

    Raises:
        NotRunning: nobody answers there.
        CommandRefused: the process says why not.
        ControlFailed: it does not answer in time, or says what is no answer.
    """
    request = _encoded({"command": command, "arguments": dict(arguments or {})})
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(timeout_s)
            sock.connect(str(path))
            sock.sendall(request)
            return _result(_read_line(sock, time.monotonic() + timeout_s))
    except TimeoutError:
        raise ControlFailed(f"{path}: no answer within {timeout_s:g} s") from None
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR}:
            raise NotRunning(f"nobody answers at {path}; `sbc run` starts it") from None
        raise ControlFailed(f"{path}: {error.strerror or error}") from error


class _Lines:
    """Lines of a stream, bounded in size and time."""

    __slots__ = ("_buffer", "_stream")

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._buffer = bytearray()

    async def next(self) -> bytes | None:
        """The next line; None at the end, or when it is too long.

        Raises:
            trio.TooSlowError: it did not come in time.
        """
        with trio.fail_after(REQUEST_S):
            while (end := self._buffer.find(b"\n")) < 0:
                if len(self._buffer) > MAX_REQUEST_BYTES:
                    return None
                more = await self._stream.receive_some(MAX_REQUEST_BYTES)
                if not more:
                    return None
                self._buffer += more
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line


def _request(line: bytes) -> tuple[str, Arguments]:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        raise CommandRefused("a request is one JSON object per line") from None
    if not isinstance(request, dict):
        raise CommandRefused("a request is one JSON object per line")
    arguments = request.get("arguments", {})
    if not isinstance(arguments, dict):
        raise CommandRefused("'arguments' is an object")
    return text_argument(request, "command"), arguments


def _encoded(answer: Mapping[str, object]) -> bytes:
    encoded = json.dumps(answer, separators=(",", ":")).encode() + b"\n"
    if len(encoded) > MAX_ANSWER_BYTES:
        return _refusal("the answer is too large; ask for less")
    return encoded


def _refusal(why: str) -> bytes:
    return _encoded({"ok": False, "error": why})


def _result(line: bytes) -> object:
    try:
        answer = json.loads(line)
        done = answer["ok"]
        value: object = answer["result"] if done else answer["error"]
    except (ValueError, KeyError, TypeError):
        raise ControlFailed("what came back is no answer") from None
    if not done:
        raise CommandRefused(str(value))
    return value


def _read_line(sock: socket.socket, deadline: float) -> bytes:
    received = bytearray()
    while not received.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        sock.settimeout(left)
        more = sock.recv(65_536)
        if not more or len(received) > MAX_ANSWER_BYTES:
            raise ControlFailed("the process hung up in the middle of its answer")
        received += more
    return bytes(received)


def _uid_of(stream: trio.SocketStream) -> int:
    """Who is at the other end: the file mode lets only the owner in, but may be changed."""
    data = stream.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    assert isinstance(data, bytes)
    uid: int = _CREDENTIALS.unpack(data)[1]
    return uid


def _bound(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _remove_stale(path)
        before = os.umask(0o177)
        try:
            sock.bind(str(path))
        finally:
            os.umask(before)
        sock.listen(MAX_CONNECTIONS)
    except OSError as error:
        sock.close()
        raise ControlUnusable(f"{path}: {error.strerror or error}") from error
    except AlreadyRunning:
        sock.close()
        raise
    return sock


def _remove_stale(path: Path) -> None:
    """Remove the socket of a process that died; never a file that is no socket.

    Raises:
        AlreadyRunning: somebody answers on it.
        OSError: it is something else.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "there is a file that is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise AlreadyRunning(f"{path}: another process answers there")


def _unlink(path: Path, inode: int) -> None:
    """Remove our socket, unless somebody has put another one there."""
    try:
        if path.stat().st_ino == inode:
            path.unlink()
    except OSError:
        return
