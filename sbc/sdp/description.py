"""The session description as a typed model.

Spec: RFC 8866 §5, read the way RFC 3264 uses it. The classes are plain mutable data; a
description that was handed to a `Negotiation` must not be changed any more.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from sbc.sdp.attributes.direction import DIRECTIONS, Direction, direction_of
from sbc.sdp.attributes.rtcp import RTCP, parse_rtcp_untrusted
from sbc.sdp.attributes.rtpmap import STATIC_CODECS, Codec, parse_rtpmap_untrusted
from sbc.sdp.connection import Connection
from sbc.sdp.errors import SdpError

__all__ = [
    "Attribute",
    "Connection",
    "MediaDescription",
    "Origin",
    "SessionDescription",
    "TimeDescription",
]

Attribute = tuple[str, str | None]
"""A name and what follows its colon; None without a colon."""

HostAndPort = tuple[str, int]


class Origin(NamedTuple):
    """Who made the description and which version of it this is (`o=`).

    Of a peer's origin nothing is computed, only compared: real phones write versions with signs,
    letters and more than 64 bits. Ours are decimal.
    """

    username: str
    session_id: str
    version: str
    address: str
    address_type: str = "IP4"
    network_type: str = "IN"

    def __str__(self) -> str:
        return (
            f"{self.username} {self.session_id} {self.version} "
            f"{self.network_type} {self.address_type} {self.address}"
        )


class TimeDescription(NamedTuple):
    """When the session is active (`t=` with its `r=` and `z=`); in SIP always ``"0 0"``."""

    interval: str = "0 0"
    repeats: tuple[str, ...] = ()
    zones: str | None = None


ALWAYS = (TimeDescription(),)
"""The only times SIP has a use for."""


@dataclass(slots=True)
class MediaDescription:
    """One m-line and what belongs to it."""

    kind: str
    """``"audio"``, ``"video"``, ``"image"`` …; lower case."""
    port: int
    """0: the stream is rejected or no longer wanted."""
    protocol: str
    """As written, for example ``"RTP/AVP"``."""
    formats: list[str]
    """Payload types of an RTP stream, decimal, most preferred first."""
    port_count: int = 1
    title: str | None = None
    connection: Connection | None = None
    bandwidth: list[str] = field(default_factory=list)
    """``"AS:64"``"""
    attributes: list[Attribute] = field(default_factory=list)

    @property
    def rejected(self) -> bool:
        """Whether the stream is not wanted (RFC 3264 §5.1, §6)."""
        return self.port == 0

    @property
    def is_rtp(self) -> bool:
        """Whether the formats are RTP payload types."""
        return "RTP/" in self.protocol.upper()

    def has(self, name: str) -> bool:
        """Whether an attribute stands in this media description."""
        return any(known == name for known, _ in self.attributes)

    def attribute(self, name: str) -> str | None:
        """The value of the first attribute of a name; None if absent or without a value."""
        return _value(self.attributes, name)

    def attributes_named(self, name: str) -> list[str]:
        """The values of all attributes of a name, in order."""
        return _values(self.attributes, name)

    def direction(self, session: "SessionDescription") -> Direction:
        """What the attributes say: here, else in the session, else sendrecv (RFC 8866 §6.7)."""
        return _direction(self.attributes) or _direction(session.attributes) or Direction.SENDRECV

    def codec(self, payload_type: str) -> Codec | None:
        """The codec of a payload type, from its rtpmap or the static table; None if unsaid."""
        for name, value in self.attributes:
            if name == "rtpmap" and value is not None and value.lstrip().startswith(payload_type):
                try:
                    mapped, codec = parse_rtpmap_untrusted(value)
                except SdpError:
                    continue
                if mapped == payload_type:
                    return codec
        return STATIC_CODECS.get(payload_type)


@dataclass(slots=True)
class SessionDescription:
    """A whole description: the session's part and its m-lines."""

    origin: Origin
    name: str = "-"
    information: str | None = None
    uri: str | None = None
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    connection: Connection | None = None
    bandwidth: list[str] = field(default_factory=list)
    times: tuple[TimeDescription, ...] = ALWAYS
    attributes: list[Attribute] = field(default_factory=list)
    media: list[MediaDescription] = field(default_factory=list)

    def has(self, name: str) -> bool:
        """Whether an attribute stands in the session's part."""
        return any(known == name for known, _ in self.attributes)

    def attribute(self, name: str) -> str | None:
        """The value of the session's first attribute of a name; None if absent or valueless."""
        return _value(self.attributes, name)

    def attributes_named(self, name: str) -> list[str]:
        """The values of all attributes of a name in the session's part, in order."""
        return _values(self.attributes, name)

    def connection_of(self, media: MediaDescription) -> Connection | None:
        """The `c=` line that holds for a stream; None only for a rejected one."""
        return self.connection if media.connection is None else media.connection

    def address_of(self, media: MediaDescription) -> str:
        """The host a stream is wanted at; empty only for a rejected stream that named none."""
        connection = self.connection_of(media)
        return "" if connection is None else connection.host

    def rtp_endpoint(self, media: MediaDescription) -> HostAndPort | None:
        """Where a stream's RTP is wanted: a host (address or name) and a port.

        None when nothing may be sent: a rejected stream or a null address (RFC 3264 §8.4).
        """
        connection = self.connection_of(media)
        if media.port == 0 or connection is None or connection.is_null:
            return None
        return connection.host, media.port

    def rtcp_endpoint(self, media: MediaDescription) -> HostAndPort | None:
        """Where a stream's RTCP is wanted unless both sides agreed on rtcp-mux.

        That is `a=rtcp`, else the port after RTP's (RFC 3550 §11). None as for `rtp_endpoint`,
        and when there is no such port. A malformed `a=rtcp` counts as absent: reports are not
        worth failing a call.
        """
        rtp = self.rtp_endpoint(media)
        if rtp is None:
            return None
        host, port = rtp[0], rtp[1] + 1
        value = media.attribute(RTCP)
        if value is not None:
            try:
                rtcp = parse_rtcp_untrusted(value)
            except SdpError:
                pass
            else:
                port = rtcp.port
                if rtcp.connection is not None:
                    if rtcp.connection.is_null:
                        return None
                    host = rtcp.connection.host
        return (host, port) if 0 < port <= 65535 else None

    def effective_direction(self, media: MediaDescription) -> Direction:
        """What the describing party really does with a stream.

        A null address takes "receives" out of whatever the attribute says, and a rejected stream
        does nothing.
        """
        if media.port == 0:
            return Direction.INACTIVE
        said = media.direction(self)
        connection = self.connection_of(media)
        if connection is None or connection.is_null:
            return direction_of(sends=said.sends, receives=False)
        return said

    def equals_apart_from_origin(self, other: "SessionDescription") -> bool:
        """Whether two descriptions say the same about the session, whatever their `o=` says."""
        return (
            self.media == other.media
            and self.attributes == other.attributes
            and self.connection == other.connection
            and self.name == other.name
            and self.times == other.times
            and self.bandwidth == other.bandwidth
            and self.information == other.information
            and self.uri == other.uri
            and self.emails == other.emails
            and self.phones == other.phones
        )


def _value(attributes: list[Attribute], name: str) -> str | None:
    for known, value in attributes:
        if known == name:
            return value
    return None


def _values(attributes: list[Attribute], name: str) -> list[str]:
    return [value for known, value in attributes if known == name and value is not None]


def _direction(attributes: list[Attribute]) -> Direction | None:
    """The first direction among attributes; a second one is against RFC 8866 §6.7 and unheard."""
    for name, _ in attributes:
        direction = DIRECTIONS.get(name)
        if direction is not None:
            return direction
    return None
