"""The program ``nft``, kept running: what it makes is its own, and goes with it.

A table with the flag ``owner`` belongs to the socket by which it was made. So one ``nft`` reads
commands from us as long as we live. When our end of its pipe is closed, by whatever end of our
process, it ends too, and the kernel removes its table.

A program of its own, and not its library in our process: what ends it must not end calls.
"""

import os
import shutil
from contextlib import suppress
from subprocess import PIPE, STDOUT
from typing import Final

import trio

NFT_S: Final = 20.0
"""How long it may take to answer."""

END_S: Final = 2.0
"""How long it may take to end when it is told to."""

WORN: Final = 50_000
"""Answers after which another one is better: it keeps what it read, some 400 bytes for each."""

MOST_SAID: Final = 33_554_432
"""Bytes of one answer: of what it refuses it repeats all, and marks where."""

_PATH: Final = "/usr/sbin:/sbin:/usr/local/sbin"


class NftFailed(Exception):
    """``nft`` refused, or is not there; the text says why in one line."""


class Nft:
    """One program at a time, begun when it is first told something.

    Args:
        before: words that come before it in the command line, for example to enter a namespace.
    """

    def __init__(self, *before: str) -> None:
        self._command = [*before]
        self._process: trio.Process | None = None
        self._file = -1
        self._answers = 0

    @property
    def worn(self) -> bool:
        """Whether it is time to end it and begin another one."""
        return self._answers >= WORN

    @property
    def pid(self) -> int | None:
        """Of the program that runs, if one does."""
        return None if self._process is None else self._process.pid

    async def tell(self, commands: str) -> str:
        """Have it do what lines say, all of it or nothing; what it printed, if that is JSON.

        Raises:
            NftFailed: it is not there, may not do it, or refused.
        """
        with trio.move_on_after(NFT_S):
            return await self._answer(commands)
        await self.end()
        raise NftFailed(f"nft was not done within {NFT_S:g} s")

    async def ended(self) -> str:
        """Wait until it ended by itself; in words how."""
        process = self._process
        if process is None:
            await trio.sleep_forever()
        await process.wait()
        return await self._gone()

    async def end(self) -> None:
        """It ends, and with it what it made."""
        process, self._process = self._process, None
        if process is None or process.stdin is None or process.stdout is None:
            return
        with trio.CancelScope(shield=True):
            os.close(self._file)
            await process.stdin.aclose()
            with trio.move_on_after(END_S):
                await process.wait()
            if process.returncode is None:
                process.kill()
                await process.wait()
            await process.stdout.aclose()

    async def _answer(self, commands: str) -> str:
        process = self._process if self._process is not None else await self._begin()
        assert process.stdin is not None
        assert process.stdout is not None
        _fill(self._file, commands)
        before, self._answers = _word(self._answers), self._answers + 1
        # It says nothing of what it did, but it does of a word that it does not know.
        after = _word(self._answers)
        said = b""
        with suppress(trio.BrokenResourceError):  # It reads no more; what does it say of that?
            await process.stdin.send_all(b'include "/proc/self/fd/%d"\n%b\n' % (self._file, after))
        while after not in said:
            piece = await process.stdout.receive_some()
            if not piece:
                raise NftFailed(await self._gone(said))
            said += piece
            if len(said) > MOST_SAID:
                await self.end()
                raise NftFailed(f"nft said more than {MOST_SAID} bytes")
        said = said.partition(after)[0].rpartition(before)[2]
        # The last line is about that word.
        return _understood(said.decode(errors="replace").splitlines()[:-1])

    async def _begin(self) -> trio.Process:
        program = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:{_PATH}")
        if program is None:
            raise NftFailed("nft is not installed; install the package nftables")
        self._answers = 0
        try:
            self._file = os.memfd_create("nft")
        except OSError as error:
            raise NftFailed(f"{program}: {error.strerror or error}") from None
        try:
            self._process = await trio.lowlevel.open_process(
                [*self._command, program, "--interactive", "--json"],
                stdin=PIPE,
                stdout=PIPE,
                stderr=STDOUT,
                pass_fds=[self._file],
                # Ctrl-C at our terminal is for us: there may be calls to end yet.
                start_new_session=True,
                # It would keep a history of commands in the home directory.
                env={**os.environ, "HOME": os.devnull, "LC_ALL": "C"},
            )
        except BaseException as error:
            os.close(self._file)
            if isinstance(error, OSError):
                raise NftFailed(f"{program}: {error.strerror or error}") from None
            raise
        return self._process

    async def _gone(self, said: bytes = b"") -> str:
        process = self._process
        await self.end()
        status = None if process is None else process.returncode
        # Not the mark below the word of before, though it comes late.
        last = said.decode(errors="replace").strip("^ \n").splitlines()[-1:]
        return ": ".join([f"nft ended by itself with status {status}", *last])


def _fill(file: int, commands: str) -> None:
    """Let a file hold this; of a file all is done at once, and it need not be read byte by byte."""
    with open(file, "wb", closefd=False) as stream:
        stream.truncate(0)
        stream.seek(0)
        stream.write(commands.encode() + b"\n")


def _word(number: int) -> bytes:
    return b"answered_%d" % number


def _understood(lines: list[str]) -> str:
    """What it answered.

    Raises:
        NftFailed: it refused.
    """
    text = "\n".join(lines)
    if "you must be root" in text or "cache initialization failed" in text:
        raise NftFailed(
            "the process may not change it; give it CAP_NET_ADMIN, or leave it as it is"
        )
    if "not permitted" in text:
        raise NftFailed("the table belongs to another process, which still runs")
    refused = next((line.strip() for line in lines if "Error:" in line), "")
    if refused:
        raise NftFailed(refused[:200])
    return next((line for line in lines if line.startswith("{")), "")
