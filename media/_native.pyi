"""The native part of the media relay: worker threads in Rust that no Python runs in.

It converts and decides nothing that `media/engines/base.py` does not promise. Streams go by
numbers that are never used again.
"""

from typing import Literal, TypeAlias, final

from media.plan import MediaStream

_Endpoint: TypeAlias = tuple[str, int]
_Side: TypeAlias = Literal["a", "b"]
_Component: TypeAlias = Literal["rtp", "rtcp"]

_Command: TypeAlias = tuple[int, MediaStream | None, bool, float | None, bool]
"""Number; the stream, None to close it; whether it is new; seconds of silence to report; whether
to open pinholes."""

_Counters: TypeAlias = tuple[
    int,
    int,
    int,
    int,
    int,
    float,
    dict[int, int],
    tuple[int, int, int],
    tuple[int, int, float],
    tuple[float, float, float, int, int | None] | None,
    tuple[int, int, int, int] | None,
    float | None,
]
"""packets, octets, rtcp_packets, sent_packets, lost, jitter_ticks, drops by reason; interval;
bursts; speech, its codec as a payload type; peer; round_trip_ms."""

_Latch: TypeAlias = tuple[_Endpoint | None, int, _Endpoint | None]
"""Source, rank, destination."""

Event: TypeAlias = (
    tuple[Literal["latched"], int, _Side, _Component, _Endpoint, int, _Endpoint | None]
    | tuple[Literal["refused"], int, _Side, _Component, _Endpoint, str]
    | tuple[Literal["timeout"], int, _Side, float]
    | tuple[Literal["resumed"], int, _Side]
    | tuple[Literal["key errors"], int, _Side, int]
    | tuple[Literal["handshake"], int, _Side, _Component, _Endpoint, bytes]
)
"""Kind, number, side, then what the kind has."""

INTERFACE: int
"""The Adler-32 checksum of the stub that the module was built with: of this file."""

@final
class Engine:
    """Worker threads that relay the streams they are told of.

    Raises:
        OSError: The tier that is demanded does not work here, or the system refuses threads.
    """

    def __new__(
        cls,
        workers: int,
        max_streams: int,
        seed: int,
        tier: Literal["io_uring", "epoll"] | None = None,
    ) -> Engine: ...
    @property
    def tier(self) -> str: ...
    @property
    def reason(self) -> str:
        """What runs and why, as one line."""

    @property
    def event_descriptor(self) -> int:
        """Readable while events wait."""

    def apply(self, commands: list[_Command]) -> None:
        """Does all or nothing.

        Raises:
            MediaRefused: As `Engine.apply` of `media/engines/base.py`.
        """

    def send(self, number: int, port: tuple[str, str], destination: _Endpoint, data: bytes) -> None:
        """Sends one datagram from a port, named by the values of its side and its component.

        What cannot be sent is lost, as any datagram may be.
        """

    def restore(
        self,
        number: int,
        stream: MediaStream,
        inactivity_s: float | None,
        pinholes: bool,
        state: str,
    ) -> None:
        """Opens a stream and continues it from what `export_state` returned.

        Raises:
            MediaRefused: As `apply`; also that the state was exported under another plan.
            ValueError: The state is none.
        """

    def export_state(self, number: int) -> str:
        """The running state of a stream as JSON: latches, SRTP indices, counters.

        Raises:
            KeyError: It is not open; as of all that asks about a stream.
        """

    def counters(self, number: int) -> tuple[_Counters, _Counters]:
        """Of sides A and B."""

    def latches(self, number: int) -> tuple[_Latch, _Latch, _Latch, _Latch]:
        """RTP and RTCP of A, then of B."""

    def take_events(self) -> tuple[list[Event], int, str | None]:
        """The events that wait, how many were lost, and why the engine failed if it did."""

    def close(self) -> None:
        """Closes every stream and stops the threads; afterwards `apply` refuses all."""

@final
class Stepped:
    """The same brain without sockets or threads, on a clock (nanoseconds) that the caller moves."""

    def __new__(cls, seed: int) -> Stepped: ...
    def open(
        self,
        number: int,
        stream: MediaStream,
        inactivity_s: float | None,
        pinholes: bool,
        now: int,
    ) -> None: ...
    def update(
        self,
        number: int,
        stream: MediaStream,
        inactivity_s: float | None,
        pinholes: bool,
        now: int,
    ) -> None: ...
    def restore(
        self,
        number: int,
        stream: MediaStream,
        inactivity_s: float | None,
        pinholes: bool,
        state: str,
        now: int,
    ) -> None: ...
    def export_state(self, number: int, now: int) -> str: ...
    def close(self, number: int) -> None: ...
    def receive(
        self, number: int, side: int, component: int, source: _Endpoint, data: bytes, now: int
    ) -> tuple[_Side, _Component, _Endpoint, bytes] | int | None:
        """What is to be sent from which port and where to, or the number of the drop reason; None
        for a handshake that is handed up."""

    def tick(self, now: int) -> None: ...
    def take_events(self) -> list[Event]: ...
    def take_openers(self) -> list[tuple[int, _Side, _Component, _Endpoint]]: ...
    def counters(self, number: int) -> tuple[_Counters, _Counters]: ...
    def latches(self, number: int) -> tuple[_Latch, _Latch, _Latch, _Latch]: ...
