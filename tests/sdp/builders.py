"""Session descriptions for tests, in few words."""

from sbc.sdp.attributes.direction import Direction, common_direction, reverse
from sbc.sdp.connection import Connection
from sbc.sdp.description import MediaDescription, Origin, SessionDescription
from sbc.sdp.offer_answer import Negotiation

CODECS = {"0": "PCMU/8000", "8": "PCMA/8000", "101": "telephone-event/8000"}


def an_audio(
    port: int = 4000,
    formats: str = "8 0 101",
    *,
    direction: Direction | None = None,
    kind: str = "audio",
    protocol: str = "RTP/AVP",
    host: str | None = None,
) -> MediaDescription:
    """An m-line for audio."""
    media = MediaDescription(kind, port, protocol, formats.split())
    for payload_type in media.formats:
        if payload_type in CODECS:
            media.attributes.append(("rtpmap", f"{payload_type} {CODECS[payload_type]}"))
    if direction is not None:
        media.attributes.append((direction.value, None))
    if host is not None:
        media.connection = a_connection(host)
    return media


def a_connection(host: str) -> Connection:
    """A c= line."""
    return Connection(host, "IP6" if ":" in host else "IP4")


def a_description(
    *media: MediaDescription,
    version: int = 1,
    host: str = "192.0.2.1",
    direction: Direction | None = None,
    session_id: str = "4711",
) -> SessionDescription:
    """A description of m-lines; one audio stream if none is given."""
    description = SessionDescription(
        Origin("-", session_id, str(version), "192.0.2.1"),
        connection=a_connection(host),
        media=list(media) if media else [an_audio()],
    )
    if direction is not None:
        description.attributes.append((direction.value, None))
    return description


def a_body(*lines: str, end: str = "\r\n") -> bytes:
    """A body of one audio stream, with more lines after its m-line."""
    return (
        end.join(
            [
                "v=0",
                "o=- 1 1 IN IP4 192.0.2.1",
                "s=-",
                "c=IN IP4 192.0.2.1",
                "t=0 0",
                "m=audio 4000 RTP/AVP 0",
                *lines,
            ]
        )
        + end
    ).encode("latin-1")


def flows(leg: Negotiation, index: int) -> Direction:
    """Which way media of an m-line may flow now, seen from us: both halves must want it."""
    if leg.local is None or leg.remote is None or index >= len(leg.local.media):
        return Direction.INACTIVE
    ours = leg.local.effective_direction(leg.local.media[index])
    theirs = leg.remote.effective_direction(leg.remote.media[index])
    return common_direction(ours, reverse(theirs))


def holds(description: SessionDescription | None) -> bool:
    """Whether who describes wants no media on any live stream; False if none is live."""
    live = [media for media in description.media if not media.rejected] if description else []
    return bool(live) and not any(description.effective_direction(m).receives for m in live)
