"""Requests and responses: headers as text, with typed views that are made when asked for.

Spec: RFC 3261 §7.
"""

import re

from sbc.sip.errors import ParseError
from sbc.sip.fields.cseq import CSeq, parse_cseq_untrusted
from sbc.sip.fields.name_addr import (
    NameAddr,
    parse_name_addr_untrusted,
    parse_name_addrs_untrusted,
    split_name_addr_untrusted,
    tag_of,
)
from sbc.sip.fields.via import Via, parse_via_untrusted
from sbc.sip.grammar import read_decimal, split_commas
from sbc.sip.headers import Headers
from sbc.sip.reasons import REASONS, reason_of
from sbc.sip.uri import Uri, parse_uri_untrusted

__all__ = [
    "BAD_NUL",
    "REASONS",
    "Message",
    "Request",
    "Response",
    "make_response",
    "serialize",
    "top_value",
]

BAD_NUL = re.compile(r"(?<!\\)(?>(?:\\\\)*)\x00")
"""Finds a NUL that is not half of a quoted-pair; in one it is legal (RFC 3261 §25.1)."""


MOST_CONTACTS = 64
"""Contacts that are read from one message; a phone has one or two, a redirect a handful."""


class Message:
    """What requests and responses share.

    A typed view parses its header when it is first asked for, keeps the result as long as the
    header's text stays the same, and raises ParseError (400; 0 based offset into the value)
    when the header is missing or malformed.
    """

    __slots__ = (
        "_contact",
        "_contact_text",
        "_cseq",
        "_cseq_text",
        "_from",
        "_from_tag",
        "_from_tag_text",
        "_from_text",
        "_to",
        "_to_tag",
        "_to_tag_text",
        "_to_text",
        "_via",
        "_via_text",
        "body",
        "headers",
        "raw",
    )

    def __init__(self, headers: Headers | None = None, body: bytes = b"", raw: bytes = b"") -> None:
        self.headers = Headers() if headers is None else headers
        self.body = body
        self.raw = raw
        """The datagram as received; empty when the message was built here."""
        self._via: Via | None = None
        self._via_text: str | None = None
        self._cseq: CSeq | None = None
        self._cseq_text: str | None = None
        self._contact: NameAddr | None = None
        self._contact_text: str | None = None
        self._from: NameAddr | None = None
        self._from_text: str | None = None
        self._from_tag: str | None = None
        self._from_tag_text: str | None = None
        self._to: NameAddr | None = None
        self._to_text: str | None = None
        self._to_tag: str | None = None
        self._to_tag_text: str | None = None

    @property
    def via(self) -> Via:
        """The topmost Via value."""
        text = self.headers.first("via")
        via = self._via
        if via is None or text is not self._via_text:
            via = self._via = parse_via_untrusted(top_value(_there(text, "via")))
            self._via_text = text
        return via

    def replace_via(self, via: Via) -> None:
        """Put another value in the place of the topmost Via, and leave those below alone."""
        text = _there(self.headers.first("via"), "via")
        below = split_commas(text)[1:] if "," in text else []
        self.headers.replace_first("via", ", ".join([str(via), *below]))

    @property
    def cseq(self) -> CSeq:
        """The CSeq."""
        text = self.headers.first("cseq")
        cseq = self._cseq
        if cseq is None or text is not self._cseq_text:
            cseq = self._cseq = parse_cseq_untrusted(_there(text, "cseq"))
            self._cseq_text = text
        return cseq

    @property
    def call_id(self) -> str:
        """The Call-ID as it stands."""
        return _there(self.headers.first("call-id"), "call-id")

    @property
    def from_(self) -> NameAddr:
        """The From address."""
        text = self.headers.first("from")
        address = self._from
        if address is None or text is not self._from_text:
            address = self._from = parse_name_addr_untrusted(_there(text, "from"))
            self._from_text = text
        return address

    @property
    def to(self) -> NameAddr:
        """The To address."""
        text = self.headers.first("to")
        address = self._to
        if address is None or text is not self._to_text:
            address = self._to = parse_name_addr_untrusted(_there(text, "to"))
            self._to_text = text
        return address

    @property
    def from_tag(self) -> str | None:
        """The From tag, found without reading the URI."""
        text = self.headers.first("from")
        if text is None or text is not self._from_tag_text:
            self._from_tag = tag_of(split_name_addr_untrusted(_there(text, "from"))[2])
            self._from_tag_text = text
        return self._from_tag

    @property
    def to_tag(self) -> str | None:
        """The To tag, found without reading the URI."""
        text = self.headers.first("to")
        if text is None or text is not self._to_tag_text:
            self._to_tag = tag_of(split_name_addr_untrusted(_there(text, "to"))[2])
            self._to_tag_text = text
        return self._to_tag

    @property
    def contact_is_star(self) -> bool:
        """Whether Contact is ``*`` alone: all bindings (RFC 3261 §10.2.2)."""
        return self.headers.first("contact") == "*" and len(self.headers.all("contact")) == 1

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact; None when there is none, or only ``*``."""
        text = self.headers.first("contact")
        if not text or (text == "*" and self.contact_is_star):
            return None
        contact = self._contact
        if contact is None or text is not self._contact_text:
            contact = self._contact = parse_name_addr_untrusted(top_value(text))
            self._contact_text = text
        return contact

    @property
    def contacts(self) -> list[NameAddr]:
        """Every Contact; none when there is only ``*``. Commas inside a value count too."""
        if self.contact_is_star:
            return []
        texts = self.headers.all("contact")
        # Counted before they are read: a datagram holds thousands, and reading one costs time.
        if len(texts) + sum([text.count(",") for text in texts]) > MOST_CONTACTS:
            raise ParseError(f"more than {MOST_CONTACTS} contacts")
        found: list[NameAddr] = []
        for text in texts:
            found += parse_name_addrs_untrusted(text)
        return found

    @property
    def max_forwards(self) -> int | None:
        """Max-Forwards, 0 to 255; None when absent."""
        return self._number("max-forwards", 255)

    @property
    def expires(self) -> int | None:
        """Expires in seconds, below 2**32; None when absent."""
        return self._number("expires", 2**32 - 1)

    @property
    def content_type(self) -> str | None:
        """The media type in lower case and without parameters; None when absent."""
        text = self.headers.first("content-type")
        if text is None:
            return None
        kind = text.partition(";")[0].strip(" \t").lower()
        if " " in kind or "\t" in kind:  # LWS around the slash is legal
            kind = "/".join([part.strip(" \t") for part in kind.split("/")])
        return kind

    def _number(self, name: str, maximum: int) -> int | None:
        text = self.headers.first(name)
        if text is None:
            return None
        number = read_decimal(text, maximum)
        if number is None:
            raise ParseError(f"{name} is not a number from 0 to {maximum}")
        return number


class Request(Message):
    """A request."""

    __slots__ = ("_uri", "_uri_text", "method", "uri_text")

    def __init__(
        self,
        method: str,
        uri_text: str,
        headers: Headers | None = None,
        body: bytes = b"",
        raw: bytes = b"",
    ) -> None:
        super().__init__(headers, body, raw)
        self.method = method
        self.uri_text = uri_text
        self._uri: Uri | None = None
        self._uri_text = ""

    @property
    def uri(self) -> Uri:
        """The Request-URI; raises ParseError when malformed."""
        uri = self._uri
        if uri is None or self.uri_text is not self._uri_text:
            uri = self._uri = parse_uri_untrusted(self.uri_text)
            self._uri_text = self.uri_text
        return uri

    def __eq__(self, other: object) -> bool:
        """Equal in everything that is sent."""
        if not isinstance(other, Request):
            return NotImplemented
        return (
            self.method == other.method
            and self.uri_text == other.uri_text
            and self.headers == other.headers
            and self.body == other.body
        )

    __hash__ = None  # type: ignore[assignment]  # mutable, so unhashable

    def __repr__(self) -> str:
        return f"Request({self.method!r}, {self.uri_text!r}, {self.headers!r}, {self.body!r})"


class Response(Message):
    """A response."""

    __slots__ = ("reason", "status")

    def __init__(
        self,
        status: int,
        reason: str,
        headers: Headers | None = None,
        body: bytes = b"",
        raw: bytes = b"",
    ) -> None:
        super().__init__(headers, body, raw)
        self.status = status
        self.reason = reason

    def __eq__(self, other: object) -> bool:
        """Equal in everything that is sent."""
        if not isinstance(other, Response):
            return NotImplemented
        return (
            self.status == other.status
            and self.reason == other.reason
            and self.headers == other.headers
            and self.body == other.body
        )

    __hash__ = None  # type: ignore[assignment]  # mutable, so unhashable

    def __repr__(self) -> str:
        return f"Response({self.status}, {self.reason!r}, {self.headers!r}, {self.body!r})"


def top_value(text: str) -> str:
    """Give the first element of a header value that may be a list."""
    return split_commas(text)[0] if "," in text else text


def serialize(message: Message) -> bytes:
    """Write a message; Content-Length is always that of the body.

    Raises:
        ValueError: A CR, LF or NUL, or a space in method or Request-URI, would have made it
            another message. The parser lets none of these in, so this is a fault of ours.
    """
    if isinstance(message, Request):
        if " " in message.method or " " in message.uri_text:
            raise ValueError("space inside method or Request-URI")
        lines = [f"{message.method} {message.uri_text} SIP/2.0"]
    elif isinstance(message, Response):
        lines = [f"SIP/2.0 {message.status} {message.reason}"]
    else:
        raise TypeError("neither Request nor Response")
    headers = message.headers
    if headers.has("content-length"):
        headers = headers.copy()
        headers.remove("content-length")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines.append(f"Content-Length: {len(message.body)}\r\n\r\n")
    head = "\r\n".join(lines)
    breaks = len(lines) + 1
    if head.count("\r") != breaks or head.count("\n") != breaks:
        raise ValueError("CR or LF inside a start line or header")
    if "\0" in head and BAD_NUL.search(head) is not None:
        raise ValueError("NUL inside a start line or header")
    return head.encode("utf-8", "surrogateescape") + message.body


def make_response(
    request: Request,
    status: int,
    reason: str | None = None,
    to_tag: str | None = None,
    record_route: bool = False,
) -> Response:
    """Make a response with what every response copies from its request.

    Args:
        request: The request, or what a ParseError calls answerable.
        status: 100 to 699.
        reason: The reason phrase; the registered one when None.
        to_tag: The tag to add to To when it has none.
        record_route: Copy Record-Route too, for responses that establish a dialog (§12.1.1).

    Spec: RFC 3261 §8.2.6.
    """
    source = request.headers
    names: list[tuple[str, str]] = [("Via", value) for value in source.all("via")]
    if record_route:
        names += [("Record-Route", value) for value in source.all("record-route")]
    for name, key in (("From", "from"), ("To", "to"), ("Call-ID", "call-id"), ("CSeq", "cseq")):
        value = source.first(key)
        if value is None:
            continue
        if to_tag is not None and key == "to" and _lacks_tag(request):
            value = f"{value};tag={to_tag}"
        names.append((name, value))
    timestamp = source.first("timestamp") if status == 100 else None
    if timestamp is not None:
        names.append(("Timestamp", timestamp))
    if reason is None:
        reason = reason_of(status)
    return Response(status, reason, Headers(names))


def _there(text: str | None, name: str) -> str:
    if text is None:
        raise ParseError(f"no {name} header")
    return text


def _lacks_tag(request: Request) -> bool:
    try:
        return request.to_tag is None
    except ParseError:  # what is malformed is echoed as it came
        return False
