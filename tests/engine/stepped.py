"""The engine in Python, turn by turn, on a clock that the test moves."""

import socket

from media.engines.reference import ReferenceEngine
from media.events import MediaEvent
from media.plan import MediaSide, MediaStream, OpenStream, UpdateStream
from media.types import Endpoint
from tests.engine.kit import PHONE_A, PHONE_B, RELAY_A, RELAY_B, STREAM, free_pair
from tests.kit.patience import PATIENCE_S


class Bench:
    """An engine whose clock and turns the test makes, and two phones that never block."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.engine = ReferenceEngine(lambda: self.now)
        self.a, self.b = (self._phone(host) for host in (PHONE_A, PHONE_B))
        self.stream: MediaStream

    def open(
        self, inactivity_s: float | None, *, pinholes: bool = False, **a: object
    ) -> MediaStream:
        sides = []
        for host, phone, changes in ((RELAY_A, self.a, a), (RELAY_B, self.b, {})):
            local, local_rtcp = free_pair(host)
            remote = Endpoint(*phone.getsockname())
            facts: dict[str, object] = {"remote": remote, "rtcp_mux": True, **changes}
            sides.append(MediaSide("net", local, local_rtcp, **facts))  # type: ignore[arg-type]
        self.stream = MediaStream(0, "audio", 8000, *sides)
        self.engine.apply([OpenStream(STREAM, self.stream, inactivity_s, pinholes)])
        return self.stream

    def update(self, inactivity_s: float | None) -> None:
        self.engine.apply([UpdateStream(STREAM, self.stream, inactivity_s, pinholes=False)])

    def say(self, packet: bytes) -> None:
        """A sends and the engine relays."""
        self.send(self.a, packet, self.stream.a.local)

    def send(self, phone: socket.socket, packet: bytes, to: Endpoint) -> None:
        """Anybody sends anywhere and the engine takes it."""
        phone.sendto(packet, to)
        self.engine.relay_ready()

    def after(self, seconds: float) -> list[MediaEvent]:
        """What is reported when so much time has passed."""
        self.now += seconds
        events: list[MediaEvent] = []
        self.engine.look(events.extend)
        return events

    def close(self) -> None:
        self.engine.close()
        self.a.close()
        self.b.close()

    @staticmethod
    def _phone(host: str) -> socket.socket:
        phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        phone.bind((host, 0))
        phone.settimeout(PATIENCE_S)
        return phone
