import json
import os
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from sbc.management import control
from sbc.management.control import (
    AlreadyRunning,
    Arguments,
    CommandRefused,
    ControlFailed,
    ControlServer,
    ControlUnusable,
    NotRunning,
    ask,
    text_argument,
)
from tests.kit.patience import PATIENCE_S

Serve = Callable[[], Awaitable["Served"]]


class Served:
    """A control server with a few commands, and what it logged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.logged: list[tuple[str, str, dict[str, object]]] = []
        self.server = ControlServer(
            path,
            {
                "add": lambda arguments: {"sum": arguments["a"] + arguments["b"]},  # type: ignore[operator]
                "later": self.later,
                "hang": self.hang,
                "call": lambda arguments: {"call": text_argument(arguments, "call")},
                "break": self.broken,
                "object": lambda _: object(),
                "much": lambda _: "x" * 5_000_000,
                "odd": lambda _: "naïve \u2028\n",
            },
            log=lambda level, event, **fields: self.logged.append((level, event, fields)),
        )

    async def later(self, arguments: Arguments) -> object:
        await trio.lowlevel.checkpoint()
        return arguments

    async def hang(self, arguments: Arguments) -> object:
        return await trio.sleep_forever()

    def broken(self, arguments: Arguments) -> object:
        raise ZeroDivisionError("a bug")

    async def ask(self, command: str, arguments: Arguments | None = None) -> object:
        return await trio.to_thread.run_sync(
            partial(ask, self.path, command, arguments, timeout_s=5)
        )

    async def raw(self, data: bytes) -> bytes:
        stream = await trio.open_unix_socket(self.path)
        async with stream:
            await stream.send_all(data)
            await stream.send_eof()
            return await whole(stream)


async def whole(stream: trio.SocketStream) -> bytes:
    """Everything that comes before the end, or before a reset."""
    received = b""
    try:
        async for part in stream:
            received += part
    except trio.BrokenResourceError:
        return received
    return received


@pytest.fixture
async def served(nursery: trio.Nursery, tmp_path: Path) -> Served:
    one = Served(tmp_path / "run" / "control.sock")
    await nursery.start(one.server.run)
    return one


async def test_a_command_is_answered_with_its_result(served: Served) -> None:
    assert await served.ask("add", {"a": 1, "b": 2}) == {"sum": 3}
    assert await served.ask("later", {"x": [1, None]}) == {"x": [1, None]}
    assert await served.ask("odd") == "naïve \u2028\n"
    assert len(str(await served.ask("much"))) == 5_000_000


async def test_every_command_is_part_of_the_log(served: Served) -> None:
    await served.ask("add", {"a": 1, "b": 2})
    assert served.logged == [("info", "command", {"name": "add"})]


async def test_a_refusal_says_why(served: Served) -> None:
    with pytest.raises(CommandRefused, match="'call' is needed, as text"):
        await served.ask("call", {"call": 7})
    with pytest.raises(CommandRefused, match="there is no command 'fly'; there are: add, break"):
        await served.ask("fly")


async def test_a_fault_in_a_command_ends_neither_the_server_nor_the_process(
    served: Served,
) -> None:
    with pytest.raises(CommandRefused, match="internal error: ZeroDivisionError: a bug"):
        await served.ask("break")
    with pytest.raises(CommandRefused, match="internal error: TypeError"):
        await served.ask("object")
    assert "ZeroDivisionError" in str(served.logged[1][2]["traceback"])
    assert await served.ask("add", {"a": 1, "b": 2}) == {"sum": 3}


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b'"x"', b"\xff", b'{"command": 1}', b"[" * 60_000, b"{}"]
)
async def test_garbage_is_refused_in_words(served: Served, line: bytes) -> None:
    with trio.fail_after(PATIENCE_S):
        answer = json.loads(await served.raw(line + b"\n"))
    assert answer["ok"] is False


async def test_several_commands_may_come_on_one_connection(served: Served) -> None:
    request = b'{"command": "later", "arguments": {"n": 1}}\n'
    with trio.fail_after(PATIENCE_S):
        assert await served.raw(request * 3) == b'{"ok":true,"result":{"n":1}}\n' * 3


async def pour(stream: trio.SocketStream) -> None:
    try:
        while True:
            await stream.send_all(b"x" * 65_536)
    except trio.BrokenResourceError:
        return


async def test_a_request_without_end_is_cut_off(served: Served) -> None:
    with trio.fail_after(PATIENCE_S):
        stream = await trio.open_unix_socket(served.path)
        async with stream, trio.open_nursery() as nursery:
            nursery.start_soon(pour, stream)
            assert await whole(stream) == b""
            nursery.cancel_scope.cancel()


async def test_who_says_nothing_is_hung_up_on(served: Served, autojump_clock: MockClock) -> None:
    stream = await trio.open_unix_socket(served.path)
    async with stream:
        assert await stream.receive_some() == b""
    assert trio.current_time() == pytest.approx(control.REQUEST_S, abs=0.5)


async def test_a_command_that_hangs_is_given_up(served: Served, autojump_clock: MockClock) -> None:
    answer = json.loads(await served.raw(b'{"command": "hang"}\n'))
    assert answer == {"ok": False, "error": "not done within 60 s"}


async def test_only_so_many_connections_are_served_at_once(served: Served) -> None:
    streams = [await trio.open_unix_socket(served.path) for _ in range(control.MAX_CONNECTIONS)]
    with trio.fail_after(PATIENCE_S):
        for stream in streams:
            await stream.send_all(b'{"command": "hang"}\n')
        while len(served.logged) < control.MAX_CONNECTIONS:
            await trio.lowlevel.checkpoint()
        assert b"too many commands" in await served.raw(b'{"command": "odd"}\n')
    for stream in streams:
        await stream.aclose()


async def test_the_socket_is_for_its_owner_only(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert served.path.stat().st_mode & 0o777 == 0o600
    real = os.geteuid()
    monkeypatch.setattr(
        control, "_CREDENTIALS", FakeCredentials(control._CREDENTIALS.size, real + 1000)
    )
    with trio.fail_after(PATIENCE_S):
        assert b"only the owner" in await served.raw(b'{"command": "odd"}\n')


class FakeCredentials:
    """What the kernel would say of a process of somebody else."""

    def __init__(self, size: int, uid: int) -> None:
        self.size = size
        self._uid = uid

    def unpack(self, data: bytes) -> tuple[int, int, int]:
        return 1, self._uid, self._uid


async def test_a_second_process_is_told_that_one_runs(served: Served) -> None:
    second = Served(served.path)
    with pytest.raises(AlreadyRunning):
        await second.server.run()
    assert await served.ask("odd")


async def test_the_socket_of_a_dead_process_is_replaced_and_ours_goes_at_the_end(
    tmp_path: Path,
) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    one = Served(path)
    async with trio.open_nursery() as nursery:
        await nursery.start(one.server.run)
        assert await one.ask("odd")
        nursery.cancel_scope.cancel()
    assert not path.exists()


async def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.write_text("precious")
    with pytest.raises(ControlUnusable, match="no socket"):
        await Served(path).server.run()
    assert path.read_text() == "precious"


def test_nobody_there_is_said_as_such(tmp_path: Path) -> None:
    with pytest.raises(NotRunning):
        ask(tmp_path / "control.sock", "calls")


def test_an_answer_that_never_comes_is_waited_for_so_long(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        with pytest.raises(ControlFailed, match=r"no answer within 0\.05 s"):
            ask(path, "calls", timeout_s=0.05)
