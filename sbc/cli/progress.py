"""Shows what is being done while it is being done."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TextIO

_BAR_COLUMNS = 30


class Progress:
    """One line per step; on a terminal the present one moves."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = sys.stdout if out is None else out
        self._moving = self._out.isatty()
        self._result = ""
        self._what = ""

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Say that something begins, and then how it went."""
        self._what, self._result = what, ""
        began = monotonic()
        if self._moving:
            self._write(f"\r\x1b[K  ..  {what}")
        try:
            yield
        except BaseException:
            self._finish("FAIL", monotonic() - began)
            raise
        self._finish(" ok ", monotonic() - began)

    def share(self, done: float) -> None:
        """Say how much of the present step is done, 0 to 1."""
        if self._moving:
            filled = round(_BAR_COLUMNS * min(1.0, max(0.0, done)))
            bar = "#" * filled + "." * (_BAR_COLUMNS - filled)
            self._write(f"\r\x1b[K  ..  {self._what}  [{bar}]")

    def result(self, text: str) -> None:
        """Say what came of the present step."""
        self._result = text

    def _finish(self, word: str, seconds: float) -> None:
        start = "\r\x1b[K" if self._moving else ""
        result = f": {self._result}" if self._result else ""
        self._write(f"{start} {word} {self._what}{result}  ({seconds:.1f} s)\n")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
