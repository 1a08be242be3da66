"""``sbc demo``: the SBC between a test PBX and a phone behind a NAT, and a call that is heard.

The SBC is a process of its own, started from a configuration like any other; PBX and phone speak
to it over sockets only, and what is shown of the call is what `sbc calls --ladder` shows.
"""

import shutil
import signal
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import trio

from sbc.cli.demo_border import (
    PBX,
    PHONE,
    Border,
    BorderFailed,
    log_tail,
    running_border,
)
from sbc.cli.operate import OK, PROBLEM
from sbc.cli.progress import Progress
from sbc.cli.story import draw_story
from sbc.demo.account import Account
from sbc.demo.call import AudioCall
from sbc.demo.pbx import ECHO, TONE, Pbx
from sbc.demo.phone import Phone, Verdict, converse
from sbc.demo.sound import Heard, compare, melody, play_melody
from sbc.management.control import CommandRefused, ControlFailed, NotRunning
from sbc.sdp.errors import SdpError
from sbc.sip.errors import SipError

OUR_USER = "1000"
USERS = [OUR_USER, *(str(number) for number in range(1001, 1010))]
PASSWORD = "sbc-demo"  # noqa: S105 - printed for whoever wants to try; it opens nothing but this
CLAIMED = "10.99.7.23"
"""The private address that the phone writes into its messages."""
TALK_S = 4.0
_CALL_S = 60.0
_COLUMNS = 120
_FAILURES = (
    BorderFailed,
    CommandRefused,
    ControlFailed,
    NotRunning,
    SipError,
    SdpError,
    OSError,
    trio.TooSlowError,
)

Story = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one pass brought."""

    at_the_phone: Verdict
    at_the_pbx: Heard
    story: dict[str, object]
    """The call as the SBC tells it."""

    @property
    def good(self) -> bool:
        """Whether each end heard the other."""
        return self.at_the_phone.good and self.at_the_pbx.notes > 0 and self.at_the_pbx.share >= 0.9


def run(*, once: bool, engine: str) -> int:
    """Run the demo; with `once` one pass, else until stopped. Returns the exit status.

    Args:
        engine: what relays the media, as the key `media.engine` has it.
    """
    return trio.run(_demo, once, engine)


async def _demo(once: bool, engine: str) -> int:
    status = PROBLEM
    with TemporaryDirectory(prefix="sbc-demo-") as directory:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stop_on_signal, nursery.cancel_scope)
            demo = Demo(Path(directory), nursery, engine)
            async with AsyncExitStack() as stack:
                with demo.as_long_as_the_border_runs:
                    if await demo.show(stack, once):
                        status = OK
                        if not once:
                            demo.invite()
                            await trio.sleep_forever()
                if demo.as_long_as_the_border_runs.cancelled_caught:
                    status = PROBLEM
                    demo.fail("The SBC ended.")
            nursery.cancel_scope.cancel()
    return status


async def _stop_on_signal(scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            print("\nstopping", flush=True)
            scope.cancel()


class Demo:
    """The three parties and what they do."""

    def __init__(self, directory: Path, nursery: trio.Nursery, engine: str) -> None:
        self._directory, self._nursery, self._engine = directory, nursery, engine
        self._progress = Progress()
        self._entropy = Random()
        self._narrates = False
        self._pbx = Pbx(
            (PBX, 0),
            dict.fromkeys(USERS, PASSWORD),
            log=self._narrate,
            entropy=self._entropy,
        )
        self._border: Border | None = None
        self.as_long_as_the_border_runs = trio.CancelScope()

    async def show(self, stack: AsyncExitStack, once: bool) -> bool:
        """Start everybody, make the call, print what came of it; whether it was good.

        Args:
            stack: stops the SBC when it is closed.
        """
        print("A phone behind a NAT calls a PBX through the SBC.\n", flush=True)
        try:
            border, phone = await self._start(stack, once)
            with trio.fail_after(_CALL_S):
                outcome = await self._call(border, phone)
        except _FAILURES as error:
            self.fail(str(error) or "It took too long.")
            return False
        width = shutil.get_terminal_size((_COLUMNS, 24)).columns
        print(f"\n{draw_story(outcome.story, width)}", flush=True)
        print("\n".join(verdict_lines(outcome)), flush=True)
        return outcome.good

    def fail(self, why: str) -> None:
        """Say that it did not work, and what the SBC has to say of it."""
        print(f"\nVERDICT: FAILED. {why}", flush=True)
        if self._border is not None:
            print(f"The SBC's log:\n{log_tail(self._directory)}", flush=True)

    def invite(self) -> None:
        """Tell how to come in with a softphone, and say from now on who does."""
        if self._border is None:
            return
        host, port = self._border.lan or self._border.outside
        print(
            f"""
The SBC, the PBX and the phone go on running. Point any softphone at them:

    SIP server / domain   {host}:{port}   (UDP or TCP)
    user                  {USERS[1]} to {USERS[-1]}
    password              {PASSWORD}

    dial {ECHO} to hear yourself, {TONE} for a tone, {OUR_USER} for the phone behind the NAT,
    which plays a melody, or the number of another softphone.
"""
        )
        if self._border.lan is None:
            print("This machine has no other address, so the softphone must run on it too.\n")
        print(f"The SBC's configuration and log are in {self._directory}. To look inside:\n")
        command = Path(sys.executable).with_name("sbc")
        print(f"    {command} calls --config {self._directory}/sbc.yaml\n")
        print("Ctrl-C stops everything.\n", flush=True)
        self._narrates = True

    async def _start(self, stack: AsyncExitStack, once: bool) -> tuple[Border, Phone]:
        progress = self._progress
        with progress.step("test PBX"):
            pbx = await self._nursery.start(self._pbx.run)
            progress.result(f"{pbx[0]}:{pbx[1]}")
        with progress.step("SBC"):
            border = await stack.enter_async_context(
                running_border(
                    self._directory,
                    pbx,
                    self._entropy,
                    engine=self._engine,
                    only_this_machine=once,
                )
            )
            self._border = border
            self._nursery.start_soon(self._watch, border)
            where = (border.outside, border.lan) if border.lan else (border.outside,)
            addresses = " and ".join(f"{host}:{port}" for host, port in where)
            progress.result(f"{addresses}, media engine: {await _engine_of(border)}")
        with progress.step(f"phone {OUR_USER} registers"):
            host, port = border.outside
            phone = Phone(
                Account(OUR_USER, f"{host}:{port}", PASSWORD, "Demo Phone"),
                border.outside,
                (PHONE, 0),
                claims=CLAIMED,
                entropy=self._entropy,
            )
            address = await self._nursery.start(phone.run)
            await self._nursery.start(phone.stay_registered)
            self._nursery.start_soon(_play_to_callers, phone)
            progress.result(f"says {CLAIMED}:5060, is {address[0]}:{address[1]}")
        return border, phone

    async def _call(self, border: Border, phone: Phone) -> Outcome:
        progress = self._progress
        self._pbx.records = True
        async with AsyncExitStack() as hung_up:
            with progress.step(f"calls {ECHO}"):
                call = await hung_up.enter_async_context(phone.call(ECHO))
                echo = await self._pbx.echoes.receive()
                name = await _name_of(border)
                progress.result(f"answered, the SBC calls it {name}")
            with progress.step("sends a melody and listens"):
                at_the_phone = await self._talk(call)
                progress.result(f"{at_the_phone.heard.right} of {at_the_phone.heard.notes} notes")
            with progress.step("asks what the PBX heard"):
                recording = echo.stream.recording
                at_the_pbx = compare(call.stream.playback, recording.samples if recording else [])
                progress.result(f"{at_the_pbx.right} of {at_the_pbx.notes} notes")
            during = await _story(border, name)
        self._pbx.records = False
        with progress.step("hangs up, asks the SBC for the call's story"):
            story = await _story(border, name)
        # What is latched is known only while the call lasts.
        return Outcome(at_the_phone, at_the_pbx, {**story, "media": during.get("media")})

    async def _talk(self, call: AudioCall) -> Verdict:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._show_share_of, call)
            verdict = await converse(call, TALK_S)
            nursery.cancel_scope.cancel()
        return verdict

    async def _show_share_of(self, call: AudioCall) -> None:
        while True:
            self._progress.share(call.stream.sent_packets / (50 * TALK_S))
            await trio.sleep(0.2)

    async def _watch(self, border: Border) -> None:
        await border.process.wait()
        self.as_long_as_the_border_runs.cancel()

    def _narrate(self, line: str) -> None:
        if self._narrates:
            print(f"PBX: {line}", flush=True)


async def _play_to_callers(phone: Phone) -> None:
    # No echo here: behind a NAT nothing comes in before something went out.
    tune = play_melody(melody())
    async for call in phone.calls:
        call.stream.play(tune, loop=True)


async def _engine_of(border: Border) -> str:
    """The engine that relays media, whatever was wished."""
    status = await border.ask("status")
    media = status.get("media") if isinstance(status, dict) else None
    if not isinstance(media, dict):
        raise ControlFailed("the SBC does not tell what relays media")
    return str(media["engine"])


async def _name_of(border: Border) -> str:
    """The SBC's name for the one call that is answered."""
    rows = await border.ask("calls")
    talking = (
        [row for row in rows if row["talking_s"] is not None] if isinstance(rows, list) else []
    )
    if not talking:
        raise ControlFailed("the SBC knows of no answered call")
    return str(talking[0]["call"])


async def _story(border: Border, name: str) -> dict[str, object]:
    story = await border.ask("call", call=name)
    if not isinstance(story, dict):
        raise ControlFailed(f"the SBC tells nothing of call {name}")
    return story


def verdict_lines(outcome: Outcome) -> list[str]:
    """The verdict, and why."""
    phone, pbx, back = outcome.at_the_phone, outcome.at_the_pbx, outcome.at_the_phone.heard
    word = "OK. Audio came back both ways" if outcome.good else "FAILED. Not all sound was heard"
    latches = latch_history(outcome.story) or ["none"]
    loss = f"{phone.sent_packets} packets sent, {phone.packets} back, {phone.lost} lost"
    return [
        f"VERDICT: {word}.",
        f"  phone -> SBC -> PBX  {pbx.right} of {pbx.notes} notes right; "
        + _seen(outcome.story, "a"),
        f"  PBX -> SBC -> phone  {back.right} of {back.notes} notes right; "
        + _seen(outcome.story, "b"),
        f"  at the phone         {loss}, jitter {phone.jitter_ms:.1f} ms",
        f"                       {phone.latency_ms:.0f} ms from mouth to ear, all the way round",
        "  latch history",
        *(f"    {latch}" for latch in latches),
    ]


def latch_history(story: Story) -> list[str]:
    """What the journal says of media sources that were learned."""
    journal = story.get("journal")
    entries = journal if isinstance(journal, list) else []
    return [
        f"{float(entry['at']):8.3f} s  ({entry['side'] or '-'}) {entry['summary']}"
        for entry in entries
        if entry["kind"] == "media"
    ]


def _seen(story: Story, side: str) -> str:
    """What the SBC counted of one direction."""
    media = story.get("media")
    if not isinstance(media, list) or not media:
        return "nothing counted by the SBC"
    counted, clock_hz = media[0][side], media[0]["clock_hz"]
    jitter_ms = counted["jitter_ticks"] * 1000 / clock_hz
    return f"{counted['packets']} packets, {counted['lost']} lost, jitter {jitter_ms:.1f} ms"
