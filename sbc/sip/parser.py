"""Bytes to a message, or to the reason why they are none.

What every message needs to be matched and answered (start line, top Via, From, To, Call-ID,
CSeq, Content-Length) is read and checked here. All other headers stay text until asked for.

Spec: RFC 3261 §7, §8.1.1, §18.3, §25.1.
"""

import re
from dataclasses import dataclass

from sbc.sip.errors import ParseError
from sbc.sip.fields.via import salvage_via
from sbc.sip.grammar import is_token, read_decimal
from sbc.sip.headers import COMPACT, KEYS, Headers, headers_of
from sbc.sip.message import BAD_NUL, Request, Response


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a message is read before it is refused. All in bytes, but for the count."""

    message_bytes: int = 65535
    head_bytes: int = 32768
    line_bytes: int = 8192
    uri_bytes: int = 2048
    header_count: int = 256


DEFAULT = Limits()

METHODS = frozenset(
    {
        "ACK",
        "BYE",
        "CANCEL",
        "INFO",
        "INVITE",
        "MESSAGE",
        "NOTIFY",
        "OPTIONS",
        "PRACK",
        "PUBLISH",
        "REFER",
        "REGISTER",
        "SUBSCRIBE",
        "UPDATE",
    }
)
"""The registered methods."""

SINGLE = frozenset(
    {
        "call-id",
        "content-disposition",
        "content-length",
        "content-type",
        "cseq",
        "event",
        "expires",
        "from",
        "max-forwards",
        "min-expires",
        "min-se",
        "rack",
        "refer-to",
        "referred-by",
        "replaces",
        "rseq",
        "session-expires",
        "sip-etag",
        "sip-if-match",
        "target-dialog",
        "to",
    }
)
"""Headers that decide something and may be there only once (RFC 3261 §7.3.1)."""

_ECHOED = ("via", "from", "to", "call-id", "cseq")
_FOLD = re.compile(r"\r\n[ \t]+")
_CALL_ID = re.compile(r"[!-+\--~]++")
_VERSION = re.compile(r"SIP/[0-9]++\.[0-9]++", re.IGNORECASE | re.ASCII)
_STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6][0-9]{2})(?: (.*))?", re.IGNORECASE | re.ASCII)
_MAGIC_COOKIE = "z9hG4bK"


def parse_message_untrusted(data: bytes, limits: Limits = DEFAULT) -> Request | Response:
    """Read the message that a datagram, or an item from a `StreamFramer`, holds.

    Bytes after the body that Content-Length announces are ignored; empty lines before the start
    line are skipped. Content-Length itself is dropped from the headers: the body knows.

    Raises:
        ParseError: 400 for most; 414, 501, 505, 513 where these say it better. Its `answerable`
            is the request to answer, if that can be done.

    Spec: RFC 3261 §7.5, §18.3.
    """
    try:
        return _read(data, limits)
    except ParseError as error:
        error.answerable = salvage_request(data, limits)
        raise


def salvage_request(data: bytes, limits: Limits = DEFAULT) -> Request | None:
    """Read as much of a refused request as an error response needs; total.

    Returns:
        A request without body, good for `make_response` only: its top Via is readable
        (cut before the first thing wrong), and
        From, To, Call-ID and CSeq are there, though perhaps malformed. None when less is left,
        or when it is an ACK.
    """
    head, end, _ = data[: limits.head_bytes].lstrip(b"\r\n").partition(b"\r\n\r\n")
    lines = _unfold(head.decode("utf-8", "surrogateescape"))
    if not end and len(lines) > 1:
        lines.pop()  # it was cut off
    words = lines[0].split(" ")
    method = words[0]
    if not is_token(method) or method == "ACK" or _VERSION.search(lines[0]) is None:
        return None
    headers = Headers()
    for line in lines[1 : limits.header_count]:
        name, colon, value = line.partition(":")
        name = name.rstrip(" \t")
        key = KEYS.get(name) or COMPACT.get(name.lower(), name.lower())
        clean = _bytes(line) <= limits.line_bytes and "\r" not in line and "\n" not in line
        if key in _ECHOED and colon and clean and BAD_NUL.search(line) is None:
            headers.append(name, value.strip(" \t"))
    request = Request(method, words[1] if len(words) > 1 else "", headers)
    if not all(headers.first(key) for key in _ECHOED):
        return None
    try:
        _ = request.via
    except ParseError:
        via = salvage_via(headers.first("via") or "")
        if via is None:
            return None
        headers.replace_first("via", str(via))
    return request


def _read(data: bytes, limits: Limits) -> Request | Response:
    if len(data) > limits.message_bytes:
        raise ParseError("message too large", limits.message_bytes, 513)
    start = 0
    while data.startswith(b"\r\n", start):
        start += 2
    end = data.find(b"\r\n\r\n", start)
    if end < 0:
        raise ParseError("no empty line after the headers", len(data))
    if end - start > limits.head_bytes:
        raise ParseError("header section too large", start + limits.head_bytes, 513)
    lines = _split_lines(data, start, end, limits)
    message = _read_start_line(lines[0], start, limits)
    message.raw = data
    headers = message.headers = _read_headers(lines, data, start)
    length = _take_content_length(headers, data, start)
    end += 4
    if length is None:
        message.body = data[end:]
    elif end + length > len(data):
        raise ParseError("body shorter than Content-Length", len(data))
    else:
        message.body = data[end : end + length]
    _check(message, data, start)
    return message


def _split_lines(data: bytes, start: int, end: int, limits: Limits) -> list[str]:
    """Cut the head into lines with folding undone; refuse loose CR, LF and NUL."""
    head = data[start:end].decode("utf-8", "surrogateescape")
    lines = head.split("\r\n")
    breaks = len(lines) - 1
    if head.count("\n") != breaks or head.count("\r") != breaks:
        raise ParseError("CR or LF alone", start + _loose_break(data[start:end]))
    if "\0" in head:
        bad = BAD_NUL.search(head)
        if bad is not None:
            raise ParseError("NUL in the headers", data.find(b"\0", start))
    if breaks > limits.header_count:
        kept = "\r\n".join(lines[: limits.header_count + 1])
        raise ParseError("too many headers", start + _bytes(kept) + 2, 513)
    if "\r\n " in head or "\r\n\t" in head:
        if lines[1][:1] in {" ", "\t"}:
            raise ParseError("folded start line", start + len(lines[0]))
        lines = _unfold(head)
    if end - start > limits.line_bytes:
        for index in range(1, len(lines)):
            if _bytes(lines[index]) > limits.line_bytes:
                raise ParseError("header too long", _line_offset(data, start, index), 513)
    return lines


def _unfold(head: str) -> list[str]:
    pieces = _FOLD.split(head)
    if len(pieces) > 1:
        head = " ".join([piece.rstrip(" \t") for piece in pieces])
    return head.split("\r\n")


def _read_start_line(line: str, start: int, limits: Limits) -> Request | Response:
    if line[:4].lower() == "sip/":
        return _read_status_line(line, start, limits)
    method, _, rest = line.partition(" ")
    uri_text, _, version = rest.partition(" ")
    if method not in METHODS and not is_token(method):
        raise ParseError("malformed method", start)
    if version != "SIP/2.0" and version.lower() != "sip/2.0":
        if uri_text and _VERSION.fullmatch(version) is not None:
            raise ParseError("SIP version not supported", start + len(line) - len(version), 505)
        raise ParseError("malformed request line", start + len(method) + 1 + len(uri_text))
    if _bytes(uri_text) > limits.uri_bytes:
        raise ParseError("Request-URI too long", start + len(method) + 1, 414)
    if len(method) > limits.line_bytes:
        raise ParseError("method too long", start, 513)
    return Request(method, uri_text)


def _read_status_line(line: str, start: int, limits: Limits) -> Response:
    status = _STATUS_LINE.fullmatch(line)
    if status is None:
        raise ParseError("malformed status line", start)
    if _bytes(line) > limits.line_bytes:
        raise ParseError("status line too long", start + limits.line_bytes, 513)
    return Response(int(status[1]), status[2] or "")


def _read_headers(lines: list[str], data: bytes, start: int) -> Headers:
    names: list[str] = []
    keys: list[str] = []
    values: list[str] = []
    known = KEYS
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        key = known.get(name)
        if key is None or not colon:
            name = name.rstrip(" \t")
            if not colon or not is_token(name):
                raise ParseError("malformed header", _line_offset(data, start, len(names) + 1))
            key = name.lower()
            key = COMPACT.get(key, key)
        names.append(name)
        keys.append(key)
        values.append(value.strip(" \t"))
    if len(set(keys)) != len(keys):
        _refuse_repeated(keys, data, start)
    return headers_of(names, keys, values)


def _refuse_repeated(keys: list[str], data: bytes, start: int) -> None:
    seen: set[str] = set()
    for index, key in enumerate(keys):
        if key in seen and key in SINGLE:
            raise ParseError(f"{key} is there twice", _line_offset(data, start, index + 1))
        seen.add(key)


def _take_content_length(headers: Headers, data: bytes, start: int) -> int | None:
    text = headers.first("content-length")
    if text is None:
        return None
    length = read_decimal(text, 2**32 - 1)
    if length is None:
        raise ParseError("malformed Content-Length", _value_offset(data, start, "content-length"))
    headers.remove("content-length")
    return length


def _check(message: Request | Response, data: bytes, start: int) -> None:
    """Read what every message is matched by; the views keep it for whoever asks next."""
    key = "via"
    try:
        _check_branch(message.via.branch)
        key = "from"
        _ = message.from_tag
        key = "to"
        _ = message.to_tag
        key = "call-id"
        _check_call_id(message.call_id)
        key = "cseq"
        method = message.cseq.method
    except ParseError as error:
        error.offset += _value_offset(data, start, key)
        raise
    if isinstance(message, Request):
        if method != message.method:
            # RFC 4475 §3.1.2.18: to an unknown method 501 says more than 400.
            raise ParseError(
                "CSeq method is not the request's",
                _value_offset(data, start, "cseq"),
                400 if message.method in METHODS else 501,
            )
        _check_uri(message, start)


def _check_branch(branch: str | None) -> None:
    if branch == _MAGIC_COOKIE:
        # RFC 4475 §3.2.1: all such requests would be one transaction.
        raise ParseError("branch is the magic cookie and nothing else")


def _check_call_id(text: str) -> None:
    if _CALL_ID.fullmatch(text) is None:
        raise ParseError("malformed Call-ID")


def _check_uri(request: Request, start: int) -> None:
    try:
        uri = request.uri
    except ParseError as error:
        error.offset += start + len(request.method) + 1
        raise
    if uri.headers:
        # RFC 3261 §19.1.1, table 1: a Request-URI has no headers.
        raise ParseError("headers in Request-URI", start + len(request.method) + 1)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))


def _loose_break(head: bytes) -> int:
    match = re.search(rb"\r(?!\n)|(?<!\r)\n", head)
    return 0 if match is None else match.start()


def _line_offset(data: bytes, start: int, index: int) -> int:
    """Find where a line begins, the start line being 0 and continuations not counted."""
    at = start
    while index > 0:
        at = data.find(b"\r\n", at) + 2
        if data[at : at + 1] not in {b" ", b"\t"}:
            index -= 1
    return at


def _value_offset(data: bytes, start: int, key: str) -> int:
    """Find where the value of the first header with that key begins; 0 when there is none."""
    at = _line_offset(data, start, 1)
    while not data.startswith(b"\r\n", at):
        colon = data.find(b":", at)
        name = data[at:colon].rstrip(b" \t\r\n").decode("latin-1").lower()
        if COMPACT.get(name, name) == key:
            value = colon + 1
            while data[value : value + 1] in {b" ", b"\t", b"\r", b"\n"}:
                value += 1
            return value
        at = _line_offset(data, at, 1)
    return 0
