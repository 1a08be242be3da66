"""Session descriptions from and to bytes.

Spec: RFC 8866 §5 and §9. Each place that takes more than the grammar says so with its reason.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from sbc.sdp.attributes.direction import DIRECTIONS
from sbc.sdp.connection import parse_connection_untrusted
from sbc.sdp.description import (
    Attribute,
    MediaDescription,
    Origin,
    SessionDescription,
    TimeDescription,
)
from sbc.sdp.errors import SdpError

MOST_BYTES = 32 * 1024
"""A browser's offer with all its candidates is about 10 kB."""
MOST_LINES = 1000
LONGEST_LINE = 4096
"""Characters; the longest honest lines are `a=identity` and `a=fmtp` with parameter sets."""
MOST_MEDIA = 32
MOST_FORMATS = 128
"""There are no more RTP payload types."""

_WORD = r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+"
_NAME = re.compile(_WORD)
_MEDIA = re.compile(
    rf"({_WORD}) +([0-9]{{1,5}})(?:/([0-9]{{1,5}}))? +({_WORD}(?:/{_WORD})*)((?: +{_WORD})*)"
)
_INTERVAL = re.compile(r"[0-9]{1,20} +[0-9]{1,20}")
_BANDWIDTH = re.compile(rf"{_WORD}:[0-9]{{1,10}}")
_NO_ORIGIN = Origin("-", "0", "0", "0.0.0.0")

# Everything below space except TAB, LF and CR, and DEL: RFC 8866 lets free text hold them, no
# phone sends them, and they are how terminals and logs are attacked.
_FORBIDDEN = bytes([*range(9), 11, 12, *range(14, 32), 127])
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

_FAMILIAR: dict[str, str] = {
    name: name
    for name in (
        *sorted(DIRECTIONS),
        *("candidate", "remote-candidates", "end-of-candidates"),
        *("ice-lite", "ice-options", "ice-pwd", "ice-ufrag"),
        *("rtpmap", "fmtp", "ptime", "maxptime", "rtcp", "rtcp-mux", "rtcp-fb", "rtcp-rsize"),
        *("crypto", "fingerprint", "setup", "connection", "mid", "group", "ssrc", "msid"),
        *("extmap", "label", "content", "silencesupp", "framerate", "tls-id", "identity"),
    )
}
"""Names of attributes that the product looks at, each pointing at the one string kept of it."""


def parse_sdp_untrusted(body: bytes) -> SessionDescription:
    """Read a message body.

    Lines may end in LF alone and the last one in nothing: phones and gateways send both
    (RFC 8866 §5 asks parsers to take LF). Blanks at the end of a line and blank lines at the end
    of the body carry nothing and are dropped: `a=sendonly ` is a common way to lose a hold.

    Raises:
        SdpError: 488, with the first line that cannot be used and why.
    """
    lines = _lines(body)
    reader = _Reader()
    try:
        reader.read_all(lines)
        return reader.finished()
    except SdpError as error:
        number = reader.line_number
        raise SdpError(error.reason, lines[number - 1] if number else "", number) from None


def serialize_sdp(description: SessionDescription) -> bytes:
    """Write a description, lines in the order of RFC 8866 §5, each ended by CRLF.

    Raises:
        ValueError: A value holds CR, LF or NUL, which would make it more than one line: a fault
            of ours, since nothing that was parsed can hold them.
    """
    lines = ["v=0", f"o={description.origin}", f"s={description.name or '-'}"]
    _write_session(lines, description)
    for media in description.media:
        _write_media(lines, media)
    lines.append("")
    text = "\r\n".join(lines)
    line_ends = len(lines) - 1
    if text.count("\n") != line_ends or text.count("\r") != line_ends or "\0" in text:
        raise ValueError("a value of the session description holds CR, LF or NUL")
    return text.encode("utf-8", "surrogateescape")


def _write_session(lines: list[str], description: SessionDescription) -> None:
    add = lines.append
    if description.information is not None:
        add(f"i={description.information}")
    if description.uri is not None:
        add(f"u={description.uri}")
    for email in description.emails:
        add(f"e={email}")
    for phone in description.phones:
        add(f"p={phone}")
    if description.connection is not None:
        add(f"c={description.connection}")
    for bandwidth in description.bandwidth:
        add(f"b={bandwidth}")
    for time in description.times:
        add(f"t={time.interval}")
        lines.extend([f"r={repeat}" for repeat in time.repeats])
        if time.zones is not None:
            add(f"z={time.zones}")
    for name, value in description.attributes:
        add(f"a={name}" if value is None else f"a={name}:{value}")


def _write_media(lines: list[str], media: MediaDescription) -> None:
    add = lines.append
    port = str(media.port) if media.port_count == 1 else f"{media.port}/{media.port_count}"
    add(f"m={media.kind} {port} {media.protocol} {' '.join(media.formats)}")
    if media.title is not None:
        add(f"i={media.title}")
    if media.connection is not None:
        add(f"c={media.connection}")
    for bandwidth in media.bandwidth:
        add(f"b={bandwidth}")
    for name, value in media.attributes:
        add(f"a={name}" if value is None else f"a={name}:{value}")


def _lines(body: bytes) -> list[str]:
    """The body's lines without their ends; checked for size and for control characters."""
    if len(body) > MOST_BYTES:
        raise SdpError(f"more than {MOST_BYTES} bytes")
    suspicious = body.translate(None, _FORBIDDEN) != body
    if suspicious or body.count(b"\r") != body.count(b"\r\n"):
        raise _control_character(body)
    # Free text in ISO 8859-1 must survive (a=charset): bytes that are not UTF-8 are kept.
    text = body.decode("utf-8", "surrogateescape").rstrip(" \t\r\n")
    if not text:
        raise SdpError("the body is empty")
    lines = [line.rstrip(" \t\r") for line in text.split("\n")]
    if len(lines) > MOST_LINES:
        raise SdpError(f"more than {MOST_LINES} lines", lines[MOST_LINES], MOST_LINES + 1)
    if len(text) > LONGEST_LINE:
        for number, line in enumerate(lines, 1):
            if len(line) > LONGEST_LINE:
                raise SdpError(f"longer than {LONGEST_LINE} characters", line, number)
    return lines


def _control_character(body: bytes) -> SdpError:
    """The error for a body that holds a control character; shows the first such line."""
    text = body.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    for number, line in enumerate(text.split("\n"), 1):
        if _CONTROL.search(line.replace("\t", " ")):
            return SdpError("a control character in the line", line, number)
    return SdpError("a control character in the body")


_USUAL_LENGTH = 48
_PAYLOAD_TYPES = {str(number): str(number) for number in range(128)}
"""One text for each, instead of one for each call."""


def _attribute(value: str) -> Attribute:
    """Read an `a=` line; the usual ones are kept, since all calls of a phone say the same.

    What is kept is bounded in number and length, so strangers can only make it useless.
    """
    return _usual_attribute(value) if len(value) <= _USUAL_LENGTH else _read_attribute(value)


@lru_cache(maxsize=1024)
def _usual_attribute(value: str) -> Attribute:
    return _read_attribute(value)


def _read_attribute(value: str) -> Attribute:
    """Read an `a=` line.

    Names the product looks at are taken in any case, since some phones write `a=SENDRECV`;
    all others stay as written, because peers compare names like `T38FaxVersion` exactly.
    """
    name, colon, rest = value.partition(":")
    familiar = _FAMILIAR.get(name)
    if familiar is None:
        if not _NAME.fullmatch(name):
            raise SdpError("the attribute has no usable name")
        familiar = _FAMILIAR.get(name.lower(), name)
    return familiar, rest if colon else None


class _Reader:
    """A description while its lines arrive.

    Within a section the order of lines is not checked: phones put `b=` after `a=` and `c=`
    after `b=`, and no order can be mistaken. A line that may stand once and stands twice is
    refused, because two readers could each believe another one.
    """

    __slots__ = ("handlers", "line_number", "media", "named", "session", "timed")

    def __init__(self) -> None:
        self.session = SessionDescription(_NO_ORIGIN)
        self.media = _NO_MEDIA
        self.named = False
        self.timed = False
        self.handlers = _SESSION_LINES
        self.line_number = 1

    def read_all(self, lines: list[str]) -> None:
        """Every line in turn; `line_number` is the one being read."""
        if lines[0] != "v=0":
            raise SdpError("the first line is not v=0")
        attributes = self.session.attributes
        for self.line_number, line in enumerate(lines[1:], 2):
            if line[1:2] != "=":
                raise SdpError("not a line of the form letter=value")
            letter = line[0]
            value = line[2:]
            if letter == "a":
                attributes.append(_attribute(value))
            elif letter == "m":
                self.start_media(value)
                attributes = self.media.attributes
            else:
                handler = self.handlers.get(letter)
                if handler is None:
                    # RFC 8866 §5: an unknown letter makes the whole description unusable.
                    raise SdpError("a line of this type cannot stand here")
                handler(self, value)
        self.line_number = 0

    def start_media(self, value: str) -> None:
        """An m-line: what follows belongs to it."""
        session = self.session
        if len(session.media) == MOST_MEDIA:
            raise SdpError(f"more than {MOST_MEDIA} media descriptions")
        self.media = _media(value)
        session.media.append(self.media)
        self.handlers = _MEDIA_LINES

    def finished(self) -> SessionDescription:
        """The description, once it is known to be whole."""
        session = self.session
        if session.origin is _NO_ORIGIN:
            raise SdpError("no o= line")
        # s= and t= may be missing: both are mandatory, say nothing in SIP, and are left out by
        # some phones. They come back as "-" and "0 0", as RFC 3264 §5 writes them.
        if session.connection is None:
            for index, media in enumerate(session.media, 1):
                # A rejected stream needs no address, and phones leave it out.
                if media.connection is None and media.port:
                    raise SdpError(f"no c= line holds for media description {index}")
        return session


def _media(value: str) -> MediaDescription:
    match = _MEDIA.fullmatch(value)
    if match is None:
        raise SdpError("an m-line needs a kind, a port, a protocol and formats")
    kind, port_text, count_text, protocol, format_text = match.groups()
    port = int(port_text)
    port_count = 1 if count_text is None else int(count_text)
    if port > 65535 or not 0 < port_count <= 65535:
        raise SdpError("a port or the number of ports is above 65535, or there is none")
    formats = format_text.split()
    if not formats:
        if port:
            raise SdpError("the m-line has no format")
        # Phones that reject a stream with a bare `m=video 0 RTP/AVP` mean well; the format that
        # the grammar wants there is ignored by everyone (RFC 3264 §6).
        formats = ["0"]
    formats = [_PAYLOAD_TYPES.get(text, text) for text in formats]
    if len(formats) > MOST_FORMATS:
        raise SdpError(f"more than {MOST_FORMATS} formats")
    media = MediaDescription(kind.lower(), port, protocol, formats, port_count)
    if media.is_rtp and not all(map(_is_payload_type, formats)):
        raise SdpError("an RTP payload type is not between 0 and 127")
    return media


def _is_payload_type(text: str) -> bool:
    """Whether a format is 0 to 127, and written so that equal numbers are equal texts."""
    if len(text) > 3 or not text.isdigit():
        return False
    return int(text) <= 127 and (text[0] != "0" or text == "0")


def _origin(reader: _Reader, value: str) -> None:
    if reader.session.origin is not _NO_ORIGIN:
        raise SdpError("a second o= line")
    fields = value.split()
    if len(fields) < 6:
        raise SdpError("the origin needs six fields")
    # Phones that put the display name here put its blanks here too.
    username = fields[0] if len(fields) == 6 else "_".join(fields[:-5])
    session_id, version, network_type, address_type, address = fields[-5:]
    reader.session.origin = Origin(
        username, session_id, version, address, address_type, network_type
    )


def _name(reader: _Reader, value: str) -> None:
    if reader.named:
        raise SdpError("a second s= line")
    reader.named = True
    # "s=" and "s= " are both meant as no name, which RFC 8866 §5.3 writes as "-".
    reader.session.name = value.strip(" \t") or "-"


def _information(reader: _Reader, value: str) -> None:
    if reader.session.information is not None:
        raise SdpError("a second i= line")
    reader.session.information = value


def _uri(reader: _Reader, value: str) -> None:
    if reader.session.uri is not None:
        raise SdpError("a second u= line")
    reader.session.uri = value


def _email(reader: _Reader, value: str) -> None:
    reader.session.emails = (*reader.session.emails, value)


def _phone(reader: _Reader, value: str) -> None:
    reader.session.phones = (*reader.session.phones, value)


def _session_connection(reader: _Reader, value: str) -> None:
    if reader.session.connection is not None:
        raise SdpError("a second c= line for the session")
    reader.session.connection = parse_connection_untrusted(value)


def _session_bandwidth(reader: _Reader, value: str) -> None:
    # A hint that cannot be read is not worth a call: it is dropped, not passed on.
    if _BANDWIDTH.fullmatch(value):
        reader.session.bandwidth.append(value)


def _time(reader: _Reader, value: str) -> None:
    if not _INTERVAL.fullmatch(value):
        raise SdpError("the time needs a start and a stop")
    if value == "0 0" and not reader.timed:
        reader.timed = True
        return
    before = reader.session.times if reader.timed else ()
    reader.timed = True
    reader.session.times = (*before, TimeDescription(value))


def _repeat(reader: _Reader, value: str) -> None:
    times = _times_so_far(reader)
    last = times[-1]._replace(repeats=(*times[-1].repeats, value))
    reader.session.times = (*times[:-1], last)


def _zone(reader: _Reader, value: str) -> None:
    times = _times_so_far(reader)
    if times[-1].zones is not None:
        raise SdpError("a second z= line for one time")
    reader.session.times = (*times[:-1], times[-1]._replace(zones=value))


def _times_so_far(reader: _Reader) -> tuple[TimeDescription, ...]:
    if not reader.timed:
        raise SdpError("a repeat or zone before any time")
    return reader.session.times


def _discarded(_reader: _Reader, _value: str) -> None:
    """Drop a line; `k=` MUST be discarded (RFC 8866 §5.12)."""


def _media_title(reader: _Reader, value: str) -> None:
    if reader.media.title is not None:
        raise SdpError("a second i= line for one stream")
    reader.media.title = value


def _media_connection(reader: _Reader, value: str) -> None:
    # Several are for layered multicast, which no border relays.
    if reader.media.connection is not None:
        raise SdpError("a second c= line for one stream")
    reader.media.connection = parse_connection_untrusted(value)


def _media_bandwidth(reader: _Reader, value: str) -> None:
    if _BANDWIDTH.fullmatch(value):
        reader.media.bandwidth.append(value)


_NO_MEDIA = MediaDescription("", 0, "", [])

_SESSION_LINES: dict[str, Callable[[_Reader, str], None]] = {
    "o": _origin,
    "s": _name,
    "i": _information,
    "u": _uri,
    "e": _email,
    "p": _phone,
    "c": _session_connection,
    "b": _session_bandwidth,
    "t": _time,
    "r": _repeat,
    "z": _zone,
    "k": _discarded,
}

_MEDIA_LINES: dict[str, Callable[[_Reader, str], None]] = {
    "i": _media_title,
    "c": _media_connection,
    "b": _media_bandwidth,
    "k": _discarded,
}
