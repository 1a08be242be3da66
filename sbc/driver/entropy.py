"""Where the cores' entropy comes from."""

import os

_CHUNK = 4096


class SystemEntropy:
    """The operating system's random bytes, fetched a chunk at a time."""

    __slots__ = ("_at", "_hex")

    def __init__(self) -> None:
        self._hex = ""
        self._at = 0

    def token(self) -> str:
        """16 lower-case hexadecimal digits that nobody can guess."""
        at = self._at
        if at >= len(self._hex):
            self._hex = os.urandom(_CHUNK).hex()
            at = 0
        self._at = at + 16
        return self._hex[at : at + 16]

    def key(self, length: int) -> bytes:
        """That many unguessable bytes."""
        return os.urandom(length)
