"""What two legs need relayed, as plain data, and how to get there from what is relayed now.

A plan is a value: the call computes a whole new one at each answer, and `diff` says what the
engine must open, change and close. Nothing here touches a socket.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field

from media.types import Component, Endpoint, SideName, SrtpKeys, SrtpSuite, StreamId

__all__ = [
    "CloseStream",
    "MediaPlan",
    "MediaSide",
    "MediaStream",
    "OpenStream",
    "RelayCommand",
    "SendDatagram",
    "StreamCommand",
    "StreamId",
    "UpdateStream",
    "diff",
]


@dataclass(frozen=True, slots=True)
class MediaSide:
    """One port pair of ours and the leg it faces.

    Spec: RFC 3605 (rtcp), RFC 5761 (rtcp-mux), RFC 7362 (latching), RFC 4568 (keys).
    """

    network: str
    """Configuration name of the network, for DSCP and for reports."""
    local: Endpoint
    """The RTP address we bind (never the advertised one)."""
    local_rtcp: Endpoint
    """The RTCP address we bind, always opened; unused while `rtcp_mux`."""
    remote: Endpoint | None = None
    """Where the leg's SDP says RTP goes; None before it said."""
    remote_rtcp: Endpoint | None = None
    """Where the leg's SDP says RTCP goes; None before it said, and with `rtcp_mux`."""
    rtcp_mux: bool = False
    receive_keys: SrtpKeys | None = None
    """What the leg protects its packets with; None for plain RTP."""
    send_keys: SrtpKeys | None = None
    """What we protect packets to the leg with; None for plain RTP."""
    signalling_host: str | None = None
    """The numeric host the leg's SIP comes from; a source there ranks above a stranger."""
    learn_any: bool = False
    """Whether a source that nothing announced may be learned (rank OTHER): only for a leg whose
    SDP address is unroutable from here, that is behind a far-end NAT."""
    sending: bool = True
    """Whether the leg announced that it sends (RFC 3264 §5.1): silence is then a fault."""
    receiving: bool = True
    """Whether the leg wants media."""
    handshakes: bool = False
    """Whether STUN and DTLS from the leg are handed up (`HandshakeDatagram`), not dropped."""
    dscp: int = 46
    """DiffServ code point of packets to the leg."""
    max_kbps: int | None = None
    """Most kilobits per second accepted from the leg (X21); None for no limit."""


@dataclass(frozen=True, slots=True)
class MediaStream:
    """One m-line that both legs agreed on, or are agreeing on."""

    index: int
    """Position of the m-line; with the call's name the identity of the stream."""
    kind: str
    """The SDP media type: ``"audio"``, ``"video"`` …"""
    clock_hz: int
    """RTP clock of the first payload type, for jitter in milliseconds."""
    a: MediaSide
    b: MediaSide

    def side(self, name: SideName) -> MediaSide:
        """The side by its name."""
        return self.a if name is SideName.A else self.b

    @property
    def is_speech(self) -> bool:
        """Whether what it sounds like can be rated: audio, which is speech as far as SDP says."""
        return self.kind == "audio"


@dataclass(frozen=True, slots=True)
class MediaPlan:
    """Everything one call needs relayed."""

    call: str
    """The call's name; engines report events under it."""
    streams: tuple[MediaStream, ...] = ()
    inactivity_s: float | None = None
    """Seconds without a packet from a side that should be sending before `MediaTimeout`."""
    pinholes: bool = True
    """Whether to send an opener packet from the signalled port when a remote becomes known."""

    def to_data(self) -> dict[str, object]:
        """The plan as plain data that JSON can carry; keys are base64."""
        return {
            "call": self.call,
            "streams": [_stream_to_data(stream) for stream in self.streams],
            "inactivity_s": self.inactivity_s,
            "pinholes": self.pinholes,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, object]) -> "MediaPlan":
        """The plan that `to_data` exported.

        Raises:
            ValueError: The data is not such an export; the text names the key.
        """
        match data.get("streams"):
            case list(streams):
                pass
            case _:
                raise ValueError("streams must be a list")
        return cls(
            call=_text(data, "call"),
            streams=tuple(_stream_from_data(_mapping(stream, "stream")) for stream in streams),
            inactivity_s=_seconds(data, "inactivity_s"),
            pinholes=_flag(data, "pinholes"),
        )


@dataclass(frozen=True, slots=True)
class OpenStream:
    """Opens the four ports of a stream and relays what its plan allows."""

    stream_id: StreamId
    stream: MediaStream
    inactivity_s: float | None
    pinholes: bool


@dataclass(frozen=True, slots=True)
class UpdateStream:
    """New signalling for an open stream: the whole new plan of it, not a difference.

    What stays equal goes on without a gap: SRTP state while its keys are the same, a port while
    its address is, the latch while nothing it was learned by changed.
    """

    stream_id: StreamId
    stream: MediaStream
    inactivity_s: float | None
    pinholes: bool


@dataclass(frozen=True, slots=True)
class CloseStream:
    """Closes a stream at once; closing one that is not open is no fault."""

    stream_id: StreamId


@dataclass(frozen=True, slots=True)
class SendDatagram:
    """Sends one datagram from a port of an open stream, as it is: STUN or DTLS.

    No part of what is done as a whole: it leaves after everything else of its list was done, and
    when it cannot be sent it is lost, as any datagram may be. A stream may have many in one list.
    """

    stream_id: StreamId
    side: SideName
    component: Component
    destination: Endpoint
    data: bytes = field(repr=False)


StreamCommand = OpenStream | UpdateStream | CloseStream
RelayCommand = StreamCommand | SendDatagram


def diff(old: MediaPlan | None, new: MediaPlan | None) -> list[RelayCommand]:
    """The commands that lead from what is relayed to what shall be; none when that is equal.

    Opens come first and closes last, so that a refusal leaves everything as it was.

    Raises:
        ValueError: The plans are of two calls; a bug of the caller.
    """
    if old is not None and new is not None and old.call != new.call:
        raise ValueError(f"a plan of {new.call!r} cannot follow one of {old.call!r}")
    before = {} if old is None else {stream.index: stream for stream in old.streams}
    opens: list[RelayCommand] = []
    updates: list[RelayCommand] = []
    if new is not None:
        same_terms = (
            old is not None
            and old.inactivity_s == new.inactivity_s
            and old.pinholes == new.pinholes
        )
        for stream in new.streams:
            stream_id = (new.call, stream.index)
            known = before.pop(stream.index, None)
            if known is None:
                opens.append(OpenStream(stream_id, stream, new.inactivity_s, new.pinholes))
            elif known != stream or not same_terms:
                updates.append(UpdateStream(stream_id, stream, new.inactivity_s, new.pinholes))
    closes = [] if old is None else [CloseStream((old.call, index)) for index in before]
    return [*opens, *updates, *closes]


def _stream_to_data(stream: MediaStream) -> dict[str, object]:
    return {
        "index": stream.index,
        "kind": stream.kind,
        "clock_hz": stream.clock_hz,
        "a": _side_to_data(stream.a),
        "b": _side_to_data(stream.b),
    }


def _stream_from_data(data: Mapping[str, object]) -> MediaStream:
    return MediaStream(
        index=_number(data, "index"),
        kind=_text(data, "kind"),
        clock_hz=_number(data, "clock_hz"),
        a=_side_from_data(_mapping(data.get("a"), "a")),
        b=_side_from_data(_mapping(data.get("b"), "b")),
    )


def _side_to_data(side: MediaSide) -> dict[str, object]:
    return {
        "network": side.network,
        "local": list(side.local),
        "local_rtcp": list(side.local_rtcp),
        "remote": None if side.remote is None else list(side.remote),
        "remote_rtcp": None if side.remote_rtcp is None else list(side.remote_rtcp),
        "rtcp_mux": side.rtcp_mux,
        "receive_keys": _keys_to_data(side.receive_keys),
        "send_keys": _keys_to_data(side.send_keys),
        "signalling_host": side.signalling_host,
        "learn_any": side.learn_any,
        "sending": side.sending,
        "receiving": side.receiving,
        "handshakes": side.handshakes,
        "dscp": side.dscp,
        "max_kbps": side.max_kbps,
    }


def _side_from_data(data: Mapping[str, object]) -> MediaSide:
    return MediaSide(
        network=_text(data, "network"),
        local=_endpoint(data, "local"),
        local_rtcp=_endpoint(data, "local_rtcp"),
        remote=None if data.get("remote") is None else _endpoint(data, "remote"),
        remote_rtcp=None if data.get("remote_rtcp") is None else _endpoint(data, "remote_rtcp"),
        rtcp_mux=_flag(data, "rtcp_mux"),
        receive_keys=_keys_from_data(data.get("receive_keys")),
        send_keys=_keys_from_data(data.get("send_keys")),
        signalling_host=(
            None if data.get("signalling_host") is None else _text(data, "signalling_host")
        ),
        learn_any=_flag(data, "learn_any"),
        sending=_flag(data, "sending"),
        receiving=_flag(data, "receiving"),
        handshakes=_flag(data, "handshakes"),
        dscp=_number(data, "dscp"),
        max_kbps=_number_or_none(data, "max_kbps"),
    )


def _keys_to_data(keys: SrtpKeys | None) -> dict[str, object] | None:
    if keys is None:
        return None
    return {
        "suite": keys.suite.value,
        "key": b64encode(keys.key_and_salt).decode("ascii"),
        "mki": b64encode(keys.mki).decode("ascii"),
        "lifetime_packets": keys.lifetime_packets,
    }


def _keys_from_data(value: object) -> SrtpKeys | None:
    if value is None:
        return None
    data = _mapping(value, "keys")
    return SrtpKeys(
        SrtpSuite(_text(data, "suite")),
        b64decode(_text(data, "key"), validate=True),
        b64decode(_text(data, "mki"), validate=True),
        _number_or_none(data, "lifetime_packets"),
    )


def _mapping(value: object, name: str) -> Mapping[str, object]:
    match value:
        case Mapping():
            return value
        case _:
            raise ValueError(f"{name} must be a mapping")


def _text(data: Mapping[str, object], key: str) -> str:
    match data.get(key):
        case str(text):
            return text
        case _:
            raise ValueError(f"{key} must be text")


def _flag(data: Mapping[str, object], key: str) -> bool:
    match data.get(key):
        case bool(flag):
            return flag
        case _:
            raise ValueError(f"{key} must be true or false")


def _number(data: Mapping[str, object], key: str) -> int:
    match data.get(key):
        case int(number) if not isinstance(number, bool):
            return number
        case _:
            raise ValueError(f"{key} must be a whole number")


def _number_or_none(data: Mapping[str, object], key: str) -> int | None:
    return None if data.get(key) is None else _number(data, key)


def _seconds(data: Mapping[str, object], key: str) -> float | None:
    match data.get(key):
        case None:
            return None
        case int(number) | float(number) if not isinstance(number, bool):
            return float(number)
        case _:
            raise ValueError(f"{key} must be seconds or null")


def _endpoint(data: Mapping[str, object], key: str) -> Endpoint:
    match data.get(key):
        case [str(host), int(port)]:
            return Endpoint(host, port)
        case _:
            raise ValueError(f"{key} must be a host and a port")
