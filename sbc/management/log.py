"""Structured logs: one line per decision, rationed per kind of event.

A line is ``time level event key=value …``, or one JSON object. Whatever came from a stranger is
quoted so that it can neither begin a line of its own nor move a terminal's cursor.
"""

import json
import os
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import IntEnum

import trio

from sbc.management.alarms import Alarms

LINES_PER_SECOND = 100
"""Lines of one kind of event per second; what is beyond is counted and told as a number."""

MAX_WAITING = 20_000
"""Lines that wait for a reader that does not read; more are lost, and counted."""

GATHER_S = 0.05
"""How long a line may wait for others: a visit to the thread that writes costs more than a line."""

_VALUE_CHARACTERS = 512
_TRACEBACK_LINES = 60
_REMEMBERED_FAULTS = 256
_PLAIN = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/@+*[]<>;,%~|"
)


class Level(IntEnum):
    """How much a line matters."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


def to_stderr(data: bytes) -> None:
    """Write all of `data` to standard error, without a buffer that could hold a line back.

    Raises:
        OSError: it is closed or full.
    """
    waiting = memoryview(data)
    while waiting:
        waiting = waiting[os.write(sys.stderr.fileno(), waiting) :]


class Log:
    """Where every decision is told.

    While `run` runs, lines are written beside the loop, which therefore never waits for a pipe
    or a disk; before and after it they are written at once.
    """

    def __init__(
        self,
        write: Callable[[bytes], object] = to_stderr,
        *,
        json_lines: bool = False,
        level: Level = Level.INFO,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Write what is at least `level`.

        Args:
            write: Takes whole lines; an OSError or ValueError of it costs these lines.
            wall: Seconds since the epoch.
        """
        self.level = level
        self.alarms = Alarms()
        self.lost = 0
        """Lines that could not be written or had to wait too long."""
        self._writer = write
        self._json = json_lines
        self._wall = wall
        self._rations: dict[str, _Ration] = {}
        self._faults: set[str] = set()
        self._waiting: deque[str] = deque()
        self._beside_loop = False
        self._something = trio.Event()
        self._thread = trio.CapacityLimiter(1)

    def __call__(self, level: str, event: str, **fields: object) -> None:
        """Write one line of a level given by its name, as `sbc.driver.edges.Log` has it."""
        self.note(Level[level.upper()], event, fields)

    def debug(self, event: str, **fields: object) -> None:
        """What only somebody who looks for a fault wants to know."""
        self.note(Level.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """What happened, as it should."""
        self.note(Level.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """What an operator should look at some time."""
        self.note(Level.WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """What an operator should look at now."""
        self.note(Level.ERROR, event, fields)

    def note(self, level: Level, event: str, fields: Mapping[str, object]) -> None:
        """Write one line, if its level and its event's ration allow.

        Args:
            event: Words of our own; never text from a stranger, for each event has a ration.
            fields: None stands for nothing to say and is left out. ``traceback`` takes the text
                of one, which is told once and then left out.
        """
        now = self._wall()
        if level >= Level.WARNING:
            told = {k: _plain(v) for k, v in fields.items() if v is not None and k != "traceback"}
            self.alarms.note(now, level.name.lower(), event, told)
        if level < self.level:
            return
        ration = self._rations.get(event)
        if ration is None:
            ration = self._rations[event] = _Ration(level)
        before = ration.suppressed_before(int(now))
        if before:
            self._put(self._line(now, level, event, {"suppressed": before}))
        if not ration.allows():
            return
        trace = fields.get("traceback")
        if trace is None:
            self._put(self._line(now, level, event, fields))
        else:
            self._put_fault(now, level, event, dict(fields), str(trace))

    def fault(self, event: str, error: BaseException, **fields: object) -> None:
        """An error of ours; its traceback is told the first time it happens in that place."""
        text = "".join(traceback.format_exception(error))
        what = f"{type(error).__name__}: {error}"
        self.note(Level.ERROR, event, {**fields, "error": what, "traceback": text})

    async def run(self) -> None:
        """Write beside the loop until cancelled, then write what waits."""
        self._beside_loop = True
        try:
            while True:
                with trio.move_on_after(1.0):
                    await self._something.wait()
                await trio.sleep(GATHER_S)
                self._something = trio.Event()
                self._tell_suppressed()
                while self._waiting:
                    await self._write_beside()
        finally:
            self._beside_loop = False
            if self._waiting:
                self._write(self._taken())

    async def _write_beside(self) -> None:
        text = self._taken()
        with trio.CancelScope(shield=True):  # what was taken would be lost
            await trio.to_thread.run_sync(self._write, text, limiter=self._thread)

    def _tell_suppressed(self) -> None:
        now = self._wall()
        for event, ration in self._rations.items():
            count = ration.suppressed_before(int(now))
            if count:
                self._put(self._line(now, ration.level, event, {"suppressed": count}))

    def _line(self, now: float, level: Level, event: str, fields: Mapping[str, object]) -> str:
        moment = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
        when = moment.replace("+00:00", "Z")
        if self._json:
            told: dict[str, object] = {"time": when, "level": level.name.lower(), "event": event}
            told |= {key: _plain(value) for key, value in fields.items() if value is not None}
            return json.dumps(told) + "\n"
        words = [when, level.name.lower(), event.replace(" ", "-")]
        words += [f"{key}={_text(value)}" for key, value in fields.items() if value is not None]
        return " ".join(words) + "\n"

    def _put_fault(
        self, now: float, level: Level, event: str, fields: dict[str, object], trace: str
    ) -> None:
        """One line, and the traceback below it if its places are new."""
        lines = trace.splitlines()
        places = "\n".join(line for line in lines if line.lstrip().startswith("File "))
        new = places not in self._faults and len(self._faults) < _REMEMBERED_FAULTS
        if new:
            self._faults.add(places)
        shown = lines[-_TRACEBACK_LINES:] if new else []
        fields["traceback"] = shown if self._json and new else None
        self._put(self._line(now, level, event, fields))
        if not self._json:
            for line in shown:
                self._put(f"    | {_printable(line)}\n")

    def _put(self, line: str) -> None:
        if not self._beside_loop:
            self._write(line)
        elif len(self._waiting) >= MAX_WAITING:
            self.lost += 1
        else:
            self._waiting.append(line)
            self._something.set()

    def _taken(self) -> str:
        lines, self._waiting = self._waiting, deque()
        return "".join(lines)

    def _write(self, text: str) -> None:
        try:
            self._writer(text.encode("utf-8", "backslashreplace"))
        except (OSError, ValueError):  # a full disk, a reader that went, a closed stream
            self.lost += text.count("\n")


class _Ration:
    """How many lines of one event this second has seen."""

    __slots__ = ("_count", "_second", "level")

    def __init__(self, level: Level) -> None:
        self.level = level
        self._second = 0
        self._count = 0

    def suppressed_before(self, second: int) -> int:
        """Begin a new second if it is one; how many lines the last one did not get."""
        if second == self._second:
            return 0
        suppressed = max(0, self._count - LINES_PER_SECOND)
        self._second = second
        self._count = 0
        return suppressed

    def allows(self) -> bool:
        self._count += 1
        return self._count <= LINES_PER_SECOND


def _plain(value: object) -> object:
    """A value as JSON has it."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, bool | int):
        return value
    if isinstance(value, list):
        return [str(item) for item in value]
    return _shortened(_words(value))


def _text(value: object) -> str:
    """A value as the right side of ``key=``, quoted where it needs to be."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = _shortened(_words(value))
    return text if text and _PLAIN.issuperset(text) else json.dumps(text)


def _words(value: object) -> str:
    """A value as text: a list with commas, an `Address` as ``host:port``."""
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    if isinstance(value, tuple) and len(value) == 2:
        host = f"[{value[0]}]" if ":" in str(value[0]) else value[0]
        return f"{host}:{value[1]}"
    return str(value)


def _shortened(text: str) -> str:
    if len(text) <= _VALUE_CHARACTERS:
        return text
    return f"{text[:_VALUE_CHARACTERS]}…"


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
