"""What sbc.yaml says of the whole process: timers of calls, limits for strangers, the engine."""

from typing import Annotated, Literal

from pydantic import Field

from sbc.document.schema import Section

Seconds = Annotated[float, Field(gt=0, le=31_536_000)]


class TimersSection(Section):
    """How long calls may ring, last and be silent. Seconds."""

    ring: Seconds = Field(
        default=60.0,
        description="Until the callee shows any sign of ringing, before the next peer is tried; "
        "while there is one, at most until the `budget` of its failover ends.",
        examples=[60],
    )
    no_answer: Seconds = Field(
        default=180.0,
        description="Until somebody answers, before the call is given up.",
        examples=[180],
    )
    max_duration: Seconds = Field(
        default=14400.0, description="Length of a call, before it is ended.", examples=[14400]
    )
    media_inactivity: Annotated[float, Field(ge=0, le=86_400)] = Field(
        default=60.0,
        description="Silence of a side that should be sending, before the call is ended; 0 for "
        "never.",
        examples=[60],
    )


class LimitsSection(Section):
    """What strangers may take of the process."""

    message_bytes: Annotated[int, Field(ge=1300, le=65535)] = Field(
        default=65535, description="Longest SIP message.", examples=[65535]
    )
    header_bytes: Annotated[int, Field(ge=1300, le=65535)] = Field(
        default=32768,
        description="Longest head of a SIP message: its first line and all headers. What is beyond "
        "this, `headers` or `message_bytes` gets 513, and is counted as `oversize`.",
        examples=[32768],
    )
    headers: Annotated[int, Field(ge=32, le=4096)] = Field(
        default=256, description="Most header lines of a SIP message.", examples=[256]
    )
    tcp_connections: Annotated[int, Field(ge=1)] = Field(
        default=4096,
        description="Accepted connections of one network, of tcp, tls, ws and wss together. Those "
        "on which nothing was accepted yet make room for new ones, the oldest first.",
        examples=[4096],
    )
    tcp_connections_per_source: Annotated[int, Field(ge=1)] = Field(
        default=200,
        description="Accepted connections per source address; an office behind a NAT is one.",
        examples=[200],
    )
    tcp_idle: Seconds = Field(
        default=900.0, description="Seconds before a silent connection is closed.", examples=[900]
    )
    tcp_first_message: Seconds = Field(
        default=10.0,
        description="Seconds within which a new connection must have sent a whole message, after "
        "its TLS handshake if there is one; for ws and wss the HTTP request is within them too.",
        examples=[10],
    )
    tcp_message: Seconds = Field(
        default=10.0,
        description="Seconds within which a message that began to arrive must be whole, however "
        "slowly its bytes drip in.",
        examples=[10],
    )
    tcp_unproven: Seconds = Field(
        default=30.0,
        description="Seconds beyond `tcp_first_message` for which a connection may stay on which "
        "nothing was accepted.",
        examples=[30],
    )
    tcp_unproven_per_source: Annotated[int, Field(ge=1)] = Field(
        default=100,
        description="How many of a source's connections may be such. Beyond that a new one takes "
        "the place of an older one, first of one that brought nothing yet.",
        examples=[100],
    )
    tcp_pings: Annotated[int, Field(ge=1)] = Field(
        default=5,
        description="Most keep-alives that a connection may bring in a second.",
        examples=[5],
    )
    tls_handshake: Seconds = Field(
        default=10.0,
        description="Seconds within which a TLS handshake must be done, whoever began it.",
        examples=[10],
    )
    tls_handshakes: Annotated[int, Field(ge=1)] = Field(
        default=1000,
        description="TLS handshakes that others began and that are not done. Those that wait for "
        "the other side make room for new ones, the oldest first; if all wait for this machine's "
        "cores, a new one is refused.",
        examples=[1000],
    )
    websocket_request_bytes: Annotated[int, Field(ge=512, le=16_384)] = Field(
        default=8192,
        description="Longest HTTP request that begins a WebSocket, cookies included.",
        examples=[8192],
    )
    websocket_fragments: Annotated[int, Field(ge=1)] = Field(
        default=128,
        description="Most fragments of one message on a WebSocket; its length is bounded by "
        "`message_bytes`.",
        examples=[128],
    )
    websocket_ping: Seconds = Field(
        default=30.0,
        description="Seconds between the pings that keep a WebSocket open in proxies; one that is "
        "not answered before the next is due ends it.",
        examples=[30],
    )


class MediaEngineSection(Section):
    """What relays the media."""

    engine: Literal["native", "python"] = Field(
        default="native",
        description="`native`: worker threads in Rust, or Python where they were not built or "
        "cannot start; `python`: Python all the same, in one thread. `sbc check` says which one "
        "relays here, and why.",
        examples=["native"],
    )
    workers: Annotated[int, Field(ge=1, le=256)] | None = Field(
        default=None,
        description="Threads of the native engine, which share the calls; without it one per core "
        "that the process may use. More of them carry no more.",
        examples=[2],
    )
