"""rtpengine's control protocol, as much of it as sets up and tears down calls.

A datagram each way: a cookie, a space, a dictionary in bencode (BEP 3).
"""

import re
import socket
from collections.abc import Mapping, Sequence

Value = int | bytes | str | list["Value"] | dict[str, "Value"]

_MOST_BYTES = 65535
_TIMEOUT_S = 5.0
_AUDIO = re.compile(r"m=audio (\d+)")
_CRYPTO = re.compile(r"a=crypto:(\d+) (\S+) inline:([^\s|]+)")


class NgError(Exception):
    """The other end refused a command; the text is its answer."""


class NgClient:
    """One socket to the control port, with several commands under way at once."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._socket.settimeout(_TIMEOUT_S)
        self._cookies = 0

    def ask(self, command: Mapping[str, Value]) -> dict[str, Value]:
        """Give one command and return the answer; see `ask_all`."""
        return self.ask_all([command])[0]

    def ask_all(
        self, commands: Sequence[Mapping[str, Value]], under_way: int = 16
    ) -> list[dict[str, Value]]:
        """Give all commands, so many at a time, and return their answers in order.

        Raises:
            NgError: one was refused.
            TimeoutError: an answer did not come.
        """
        answers: list[dict[str, Value]] = [{} for _ in commands]
        waiting: dict[bytes, int] = {}
        given = 0
        while given < len(commands) or waiting:
            while given < len(commands) and len(waiting) < under_way:
                self._cookies += 1
                cookie = b"%d" % self._cookies
                self._socket.send(cookie + b" " + encoded(dict(commands[given])))
                waiting[cookie] = given
                given += 1
            cookie, _, body = self._socket.recv(_MOST_BYTES).partition(b" ")
            if cookie in waiting:
                answers[waiting.pop(cookie)] = _accepted(body)
        return answers


def encoded(value: Value) -> bytes:
    """The value in bencode."""
    match value:
        case int():
            return b"i%de" % value
        case str():
            return encoded(value.encode())
        case bytes():
            return b"%d:%s" % (len(value), value)
        case list():
            return b"l" + b"".join(map(encoded, value)) + b"e"
    return b"d" + b"".join(encoded(key) + encoded(value[key]) for key in sorted(value)) + b"e"


def decoded(data: bytes) -> Value:
    """The value that `data` begins with."""
    return _decode(data, 0)[0]


def description(address: str, port: int, cryptos: Sequence[tuple[str, str, str]] = ()) -> str:
    """An SDP with one audio stream; cryptos are tag, suite and key as SDES writes it."""
    profile = "RTP/SAVP" if cryptos else "RTP/AVP"
    lines = [
        "v=0",
        f"o=- 1 1 IN IP4 {address}",
        "s=-",
        f"c=IN IP4 {address}",
        "t=0 0",
        f"m=audio {port} {profile} 0",
        "a=rtpmap:0 PCMU/8000",
        "a=ptime:20",
        *(f"a=crypto:{tag} {suite} inline:{key}" for tag, suite, key in cryptos),
    ]
    return "\r\n".join([*lines, ""])


def described(answer: Mapping[str, Value]) -> tuple[int, list[tuple[str, str, str]]]:
    """The port and the cryptos of the SDP in an answer."""
    text = answer["sdp"]
    assert isinstance(text, bytes)
    audio = _AUDIO.search(text.decode())
    assert audio is not None
    return int(audio[1]), _CRYPTO.findall(text.decode())


def _accepted(body: bytes) -> dict[str, Value]:
    answer = decoded(body)
    if not isinstance(answer, dict) or answer.get("result") not in {b"ok", b"pong"}:
        raise NgError(repr(answer))
    return answer


def _decode(data: bytes, at: int) -> tuple[Value, int]:
    kind = data[at : at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1 : end]), end + 1
    if kind in {b"l", b"d"}:
        at += 1
        items: list[Value] = []
        while data[at : at + 1] != b"e":
            item, at = _decode(data, at)
            items.append(item)
        if kind == b"l":
            return items, at + 1
        keys = [key.decode() for key in items[::2] if isinstance(key, bytes)]
        return dict(zip(keys, items[1::2], strict=True)), at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1 : end], end
