"""The browser's side of a WebSocket, without a browser and without a socket."""

from collections.abc import Iterable

from wsproto import ConnectionType, WSConnection
from wsproto.connection import Connection
from wsproto.events import Event
from wsproto.frame_protocol import FrameProtocol

ORIGIN = "https://phones.example.com"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def upgrade_request(
    *,
    path: str = "/ws",
    origin: str | None = ORIGIN,
    protocol: str | None = "sip",
    extra: Iterable[str] = (),
    leave_out: str = "",
) -> bytes:
    """What a browser asks with; `leave_out` names a header that it forgets."""
    lines = [
        "Host: sbc.example.com",
        "Upgrade: websocket",
        "Connection: keep-alive, Upgrade",
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13",
        *([f"Origin: {origin}"] if origin is not None else []),
        *([f"Sec-WebSocket-Protocol: {protocol}"] if protocol is not None else []),
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
        *extra,
    ]
    kept = [line for line in lines if line.partition(":")[0] != leave_out]
    return "\r\n".join([f"GET {path} HTTP/1.1", *kept, "", ""]).encode()


class Browser:
    """Frames for the server, and events of what the server says."""

    def __init__(self) -> None:
        self._frames = FrameProtocol(client=True, extensions=[])
        self._answer = b""
        self._websocket: WSConnection | None = None

    def text(self, data: bytes | str, *, final: bool = True) -> bytes:
        return bytes(self._frames.send_data(_text(data), final))

    def binary(self, data: bytes) -> bytes:
        return bytes(self._frames.send_data(data, True))

    def ping(self, payload: bytes = b"") -> bytes:
        return bytes(self._frames.ping(payload))

    def pong(self) -> bytes:
        return bytes(self._frames.pong())

    def close(self, code: int = 1000) -> bytes:
        return bytes(self._frames.close(code))

    def frame(self, opcode: int, payload: bytes = b"", *, final: bool = True) -> bytes:
        """Any frame at all, allowed or not, masked with zeros."""
        head = bytes([(0x80 if final else 0) | opcode])
        length = len(payload)
        if length < 126:
            head += bytes([0x80 | length])
        elif length < 65_536:
            head += bytes([0x80 | 126]) + length.to_bytes(2, "big")
        else:
            head += bytes([0x80 | 127]) + length.to_bytes(8, "big")
        return head + bytes(4) + payload

    @property
    def is_open(self) -> bool:
        """Whether the server has answered with 101."""
        return self._websocket is not None

    def hears(self, data: bytes) -> list[Event]:
        """What the server says after its 101, as events; before that nothing."""
        if self._websocket is None:
            self._answer += data
            head, blank, data = self._answer.partition(b"\r\n\r\n")
            if not blank:
                return []
            assert head.startswith(b"HTTP/1.1 101 "), head
            self._websocket = _client()
        self._websocket.receive_data(data)
        return list(self._websocket.events())


def _client() -> WSConnection:
    websocket = WSConnection(ConnectionType.CLIENT)
    websocket.connection = Connection(ConnectionType.CLIENT)
    return websocket


def _text(data: bytes | str) -> str:
    return data if isinstance(data, str) else data.decode()
