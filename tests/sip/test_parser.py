"""Bytes become a message, or a reason with its place and, where possible, something to answer."""

import pytest

from sbc.sip.errors import ParseError
from sbc.sip.message import Request, Response, make_response
from sbc.sip.parser import Limits, parse_message_untrusted, salvage_request

INVITE = (
    b"INVITE sip:bob@example.com SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\n"
    b"From: <sip:alice@example.com>;tag=x\r\n"
    b"To: <sip:bob@example.com>\r\n"
    b"Call-ID: one@a\r\n"
    b"CSeq: 7 INVITE\r\n"
    b"Content-Length: 4\r\n"
    b"\r\n"
    b"body"
)
OK = INVITE.replace(b"INVITE sip:bob@example.com SIP/2.0", b"SIP/2.0 200 OK")


def changed(old: bytes, new: bytes, message: bytes = INVITE) -> bytes:
    assert message.count(old) == 1
    return message.replace(old, new)


def refusal(data: bytes, limits: Limits | None = None) -> ParseError:
    with pytest.raises(ParseError) as caught:
        parse_message_untrusted(data, limits or Limits())
    return caught.value


def test_a_request_is_read() -> None:
    message = parse_message_untrusted(INVITE)
    assert isinstance(message, Request)
    assert (message.method, message.uri_text) == ("INVITE", "sip:bob@example.com")
    assert message.body == b"body"
    assert message.raw == INVITE
    assert [name for name, _ in message.headers.items()] == [
        "Via",
        "From",
        "To",
        "Call-ID",
        "CSeq",
    ]


def test_a_response_is_read() -> None:
    message = parse_message_untrusted(OK)
    assert isinstance(message, Response)
    assert (message.status, message.reason) == (200, "OK")


@pytest.mark.parametrize("line", [b"SIP/2.0 200", b"SIP/2.0 200 ", b"sip/2.0 200 "])
def test_a_reason_may_be_missing(line: bytes) -> None:
    message = parse_message_untrusted(changed(b"SIP/2.0 200 OK", line, OK))
    assert isinstance(message, Response)
    assert message.reason == ""


def test_the_version_of_a_request_is_read_in_any_case() -> None:
    assert parse_message_untrusted(changed(b" SIP/2.0\r\n", b" sip/2.0\r\n"))


def test_empty_lines_before_the_message_and_bytes_after_the_body_are_ignored() -> None:
    message = parse_message_untrusted(b"\r\n\r\n" + INVITE + b"\0trailing")
    assert message == parse_message_untrusted(INVITE)


def test_without_content_length_the_body_is_the_rest_of_the_datagram() -> None:
    message = parse_message_untrusted(changed(b"Content-Length: 4\r\n", b"") + b" and more")
    assert message.body == b"body and more"


def test_names_are_read_in_any_case_and_form_and_kept_as_received() -> None:
    data = changed(b"Call-ID: ", b"I\t : ").replace(b"CSeq:", b"cSEQ:").replace(b"Via", b"v")
    message = parse_message_untrusted(data)
    assert message.call_id == "one@a"
    assert [name for name, _ in message.headers.items()] == ["v", "From", "To", "I", "cSEQ"]


def test_folded_lines_are_joined_with_one_space() -> None:
    message = parse_message_untrusted(
        changed(b"To: ", b"Subject: one \r\n  two\r\n\tthree\r\nX-Y:\r\n \r\n y\r\nTo:\r\n ")
    )
    assert message.headers.first("subject") == "one two three"
    assert message.headers.first("x-y") == "y"
    assert message.to.uri.user == "bob"


def test_unknown_headers_are_kept_byte_for_byte() -> None:
    value = b'\xff\xc3\xa9 ;;,"<\x01\\\x00'
    message = parse_message_untrusted(changed(b"To: ", b"x-odd: " + value + b"\r\nTo: "))
    found = message.headers.first("x-odd")
    assert found is not None
    assert found.encode("utf-8", "surrogateescape") == value


@pytest.mark.parametrize(
    ("old", "new", "reason", "at"),
    [
        (b"\r\n\r\n", b"\r\n", "no empty line", b""),
        (b"INVITE sip", b" INVITE sip", "malformed method", b" INVITE"),
        (b"INVITE sip", b"IN:VITE sip", "malformed method", b"IN:VITE"),
        (b" SIP/2.0\r\n", b"\r\n", "malformed request line", b"\r\nVia"),
        (b" SIP/2.0\r\n", b" SIP/2.x\r\n", "malformed request line", b" SIP/2.x"),
        (b" SIP/2.0\r\n", b" HTTP/1.1\r\n", "malformed request line", b" HTTP/1.1"),
        (b" SIP/2.0\r\nVia", b"\r\n SIP/2.0\r\nVia", "folded start line", b"\r\n SIP/2.0"),
        (b" SIP/2.0\r\n", b" SIP/2.0\r\n X: y\r\n", "folded start line", b"\r\n X: y"),
        (b"sip:bob@example.com SIP", b"sip:bob@[::1 SIP", "malformed SIP URI", b"bob@[::1"),
        (b"sip:bob@example.com SIP", b"sip:b@c;a;a SIP", "there twice", b";a;a SIP"),
        (b"To: ", b"X\r\nTo: ", "malformed header", b"X\r\n"),
        (b"To: ", b"Via\r\nTo: ", "malformed header", b"Via\r\nTo"),
        (b"To: ", b": x\r\nTo: ", "malformed header", b": x"),
        (b"To: ", b"X Y: x\r\nTo: ", "malformed header", b"X Y"),
        (b"To: ", b"X: a\nY: b\r\nTo: ", "CR or LF alone", b"\nY"),
        (b"To: ", b"X: a\rY: b\r\nTo: ", "CR or LF alone", b"\rY"),
        (b"To: ", b"X: a\0\r\nTo: ", "NUL", b"\0\r\n"),
        (b"To: ", b"X: a\\\\\0\r\nTo: ", "NUL", b"\0\r\n"),
        (b"SIP/2.0/UDP a", b"SIP/2.0/UDP a b", "malformed Via", b"b;branch"),
        (b"SIP/2.0/UDP a", b"\r\n SIP/2.0/UDP a b", "malformed Via", b"b;branch"),
        (b"branch=z9hG4bK1", b"branch=z9hG4bK", "magic cookie", b"SIP/2.0/UDP a"),
        (b"From: ", b"X: ", "no from header", b"INVITE"),
        (b"To: ", b"t : bob, ", "malformed address", b"bob, <"),
        (b";tag=x", b";tag=x;tag=y", "there twice", b"<sip:alice"),
        (b"one@a", b"one a", "malformed Call-ID", b"one a"),
        (b"one@a", b"one, two", "malformed Call-ID", b"one, two"),
        (b"one@a", b"", "malformed Call-ID", b"CSeq"),
        (b"7 INVITE", b"7 BYE", "CSeq method", b"7 BYE"),
        (b"7 INVITE", b"7 invite", "CSeq method", b"7 invite"),
        (b"7 INVITE", b"x INVITE", "CSeq is not", b"x INVITE"),
        (b"Length: 4", b"Length: 5", "body shorter", b""),
        (b"Length: 4", b"Length: +4", "malformed Content-Length", b"+4"),
        (b"Length: 4", b"Length: 4 4", "malformed Content-Length", b"4 4"),
        (b"Length: 4", b"Length:", "malformed Content-Length", b"body"),
        (b"Length: 4", b"Length: 4, 4", "malformed Content-Length", b"4, 4"),
        (b"Length: 4", b"Length: 99999999999999", "malformed Content-Length", b"9999"),
        (b"Length: 4", b"Length: 4\r\nl: 4", "content-length is there twice", b"l: 4"),
        (b"To: ", b"i: two\r\nTo: ", "call-id is there twice", b"Call-ID"),
        (b"To: ", b"f: <sip:x@y>\r\nTo: ", "from is there twice", b"f: "),
        (b"To: ", b"c: a/b\r\nContent-Type: c/d\r\nTo: ", "content-type is", b"Content-Type"),
    ],
)
def test_what_is_malformed_is_refused_with_its_place(
    old: bytes, new: bytes, reason: str, at: bytes
) -> None:
    data = changed(old, new)
    error = refusal(data)
    assert error.status == 400
    assert reason in error.reason
    assert data[error.offset :].startswith(at)
    assert at or error.offset == len(data)


def test_a_message_with_bare_line_feeds_is_refused() -> None:
    assert refusal(INVITE.replace(b"\r\n", b"\n")).answerable is None


@pytest.mark.parametrize("data", [b"", b"\r\n", b"\r\n\r\n", b"\0" * 28, b"\x16\x03\x01\x02\0"])
def test_garbage_is_refused_and_not_answered(data: bytes) -> None:
    assert refusal(data).answerable is None


def test_offsets_count_the_empty_lines_before_the_message() -> None:
    data = b"\r\n\r\n" + changed(b"7 INVITE", b"x INVITE")
    assert data[refusal(data).offset :].startswith(b"x INVITE")


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b" SIP/2.0\r\n", b" SIP/3.0\r\n", 505),
        (b" SIP/2.0\r\n", b" SIP/12.345\r\n", 505),
        (b"INVITE sip", b"NEWMETHOD sip", 501),
        (b"7 INVITE", b"7 BYE", 400),
    ],
)
def test_the_status_says_what_is_wrong(old: bytes, new: bytes, status: int) -> None:
    error = refusal(changed(old, new))
    assert error.status == status
    assert error.answerable is not None


@pytest.mark.parametrize(
    ("limits", "status", "reason", "at"),
    [
        (Limits(message_bytes=len(INVITE) - 1), 513, "message too large", b"y"),
        (Limits(head_bytes=150), 513, "header section too large", INVITE[150:]),
        (Limits(line_bytes=34), 513, "header too long", b"From"),
        (Limits(uri_bytes=18), 414, "Request-URI too long", b"sip:bob"),
        (Limits(header_count=5), 513, "too many headers", b"Content-Length"),
    ],
)
def test_limits_are_kept(limits: Limits, status: int, reason: str, at: bytes) -> None:
    error = refusal(INVITE, limits)
    assert (error.status, error.reason) == (status, reason)
    assert INVITE[error.offset :].startswith(at)


def test_what_just_fits_the_limits_is_taken() -> None:
    head = INVITE.index(b"\r\n\r\n")
    assert parse_message_untrusted(INVITE, Limits(len(INVITE), head, 35, 19, 6))


@pytest.mark.parametrize("line", [b"M" * 9000 + b" sip:a SIP/2.0", b"SIP/2.0 200 " + b"x" * 9000])
def test_a_start_line_has_its_limit_too(line: bytes) -> None:
    data = changed(b"INVITE sip:bob@example.com SIP/2.0", line).replace(b"7 INVITE", b"7 " + b"M")
    assert refusal(data).status == 513


def test_limits_count_bytes_and_not_characters() -> None:
    data = changed(b"To: ", b"X: " + "é".encode() * 20 + b"\r\nTo: ")
    assert refusal(data, Limits(line_bytes=42)).reason == "header too long"


def test_a_malformed_request_is_answerable_when_it_can_be_identified() -> None:
    request = refusal(changed(b"To: <sip:bob@example.com>", b'To: "Bob <sip:b@c>')).answerable
    assert request is not None
    answer = make_response(request, 400, to_tag="ours")
    assert answer.headers.first("to") == '"Bob <sip:b@c>'
    assert answer.headers.first("call-id") == "one@a"
    assert answer.via.branch == "z9hG4bK1"


def test_the_answer_to_a_malformed_request_adds_a_tag_where_it_can() -> None:
    request = refusal(changed(b"7 INVITE", b"7 BYE")).answerable
    assert request is not None
    assert make_response(request, 400, to_tag="ours").to_tag == "ours"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Via: SIP/2.0/UDP a", b"Via: nonsense"),
        (b"Via: ", b"X: "),
        (b"From: ", b"X: "),
        (b"Call-ID: one@a\r\n", b"Call-ID: \r\n"),
        (b"INVITE sip", b"ACK sip"),
        (b"Via: ", b"Via: \0"),
        (b"INVITE sip:bob@example.com SIP/2.0", b"SIP/2.0 200 OK"),
        (b"INVITE sip:bob@example.com SIP/2.0", b"GET / HTTP/1.1"),
    ],
)
def test_what_cannot_be_identified_is_not_answered(old: bytes, new: bytes) -> None:
    assert refusal(changed(old, new).replace(b"7 INVITE", b"x")).answerable is None


def test_a_request_that_is_too_large_is_answerable() -> None:
    error = refusal(INVITE + b"x" * 100, Limits(message_bytes=len(INVITE)))
    assert error.answerable is not None
    assert error.answerable.call_id == "one@a"


def test_a_truncated_line_is_not_used_for_an_answer() -> None:
    assert salvage_request(INVITE[: INVITE.index(b"one@a")]) is None
    cut = INVITE[: INVITE.index(b" INVITE\r\n") + 3]
    assert salvage_request(cut) is None


def test_a_via_is_salvaged_up_to_what_is_wrong() -> None:
    request = refusal(changed(b";branch=z9hG4bK1", b";branch=z9hG4bK1;;;")).answerable
    assert request is not None
    assert str(request.via) == "SIP/2.0/UDP a;branch=z9hG4bK1"


def test_a_salvaged_request_carries_nothing_but_what_an_answer_needs() -> None:
    request = salvage_request(changed(b"To: ", b"Authorization: secret\r\nTo: "))
    assert request is not None
    assert len(request.headers) == 5
    assert request.body == b""
