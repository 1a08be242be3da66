"""Bytes to session descriptions: what is read, what is let pass and what is refused."""

import pytest

from sbc.sdp.connection import Connection
from sbc.sdp.description import Origin, TimeDescription
from sbc.sdp.errors import SdpError
from sbc.sdp.parser import (
    LONGEST_LINE,
    MOST_BYTES,
    MOST_LINES,
    MOST_MEDIA,
    parse_sdp_untrusted,
    serialize_sdp,
)
from tests.sdp.builders import a_body


def refusal(body: bytes) -> SdpError:
    with pytest.raises(SdpError) as caught:
        parse_sdp_untrusted(body)
    assert caught.value.status == 488
    return caught.value


def session(*lines: str) -> bytes:
    """A body without media whose session part has these lines after o=."""
    return "\r\n".join(["v=0", "o=- 1 1 IN IP4 192.0.2.1", *lines, ""]).encode()


def media_line(line: str) -> bytes:
    return session("s=-", "c=IN IP4 192.0.2.1", "t=0 0", line)


def test_every_field_is_found_in_its_place() -> None:
    description = parse_sdp_untrusted(
        session(
            "s=A call",
            "i=about it",
            "u=http://example.com/",
            "e=a@example.com",
            "e=b@example.com",
            "p=+49 30 1234",
            "c=IN IP6 2001:db8::1",
            "b=AS:64",
            "t=2873397496 2873404696",
            "r=604800 3600 0 90000",
            "z=2882844526 -1h",
            "a=tool:x",
            "m=audio 49170/2 RTP/AVP 0 96",
            "i=voice",
            "c=IN IP4 198.51.100.7/127/3",
            "b=TIAS:64000",
            "a=rtpmap:96 opus/48000/2",
            "a=recvonly",
        )
    )
    assert description.origin == Origin("-", "1", "1", "192.0.2.1")
    assert description.name == "A call"
    assert description.information == "about it"
    assert description.uri == "http://example.com/"
    assert description.emails == ("a@example.com", "b@example.com")
    assert description.phones == ("+49 30 1234",)
    assert description.connection == Connection("2001:db8::1", "IP6")
    assert description.bandwidth == ["AS:64"]
    assert description.times == (
        TimeDescription("2873397496 2873404696", ("604800 3600 0 90000",), "2882844526 -1h"),
    )
    assert description.attributes == [("tool", "x")]
    (media,) = description.media
    assert (media.kind, media.port, media.port_count) == ("audio", 49170, 2)
    assert (media.protocol, media.formats) == ("RTP/AVP", ["0", "96"])
    assert media.title == "voice"
    assert media.connection == Connection("198.51.100.7", "IP4", "IN", "127/3")
    assert media.bandwidth == ["TIAS:64000"]
    assert media.attributes == [("rtpmap", "96 opus/48000/2"), ("recvonly", None)]


def test_several_times_are_kept_apart() -> None:
    body = session("s=-", "t=0 0", "t=0 0", "r=1 2 3", "t=1 2")
    assert parse_sdp_untrusted(body).times == (
        TimeDescription(),
        TimeDescription("0 0", ("1 2 3",)),
        TimeDescription("1 2"),
    )
    assert serialize_sdp(parse_sdp_untrusted(body)) == body


# What real phones send.


def test_lines_may_end_in_line_feed_alone() -> None:
    assert parse_sdp_untrusted(a_body("a=sendonly", end="\n")) == parse_sdp_untrusted(
        a_body("a=sendonly")
    )


def test_the_last_line_may_lack_its_end() -> None:
    assert parse_sdp_untrusted(a_body("a=sendonly")[:-2]) == parse_sdp_untrusted(
        a_body("a=sendonly")
    )


def test_blanks_after_a_line_and_blank_lines_at_the_end_are_dropped() -> None:
    assert parse_sdp_untrusted(a_body("a=sendonly \t", "", " ", "")) == parse_sdp_untrusted(
        a_body("a=sendonly")
    )


@pytest.mark.parametrize("line", ["s=", "s= ", "s=-"])
def test_a_blank_session_name_is_no_name(line: str) -> None:
    assert parse_sdp_untrusted(session(line, "t=0 0")).name == "-"


def test_a_missing_name_and_time_are_made_up() -> None:
    description = parse_sdp_untrusted(b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n")
    assert serialize_sdp(description) == (b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n")


@pytest.mark.parametrize("version", ["-1", "99999999999999999999999999", "1.5", "abc"])
def test_the_version_of_a_peer_may_be_odd(version: str) -> None:
    body = f"v=0\r\no=- x {version} IN IP4 gw_1.local\r\ns=-\r\nt=0 0\r\n".encode()
    assert parse_sdp_untrusted(body).origin == Origin("-", "x", version, "gw_1.local")
    assert serialize_sdp(parse_sdp_untrusted(body)) == body


def test_blanks_in_the_user_name_of_the_origin_are_replaced() -> None:
    body = b"v=0\r\no=Jane Q Doe 1 2 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n"
    assert parse_sdp_untrusted(body).origin.username == "Jane_Q_Doe"


@pytest.mark.parametrize("name", ["SENDONLY", "SendOnly"])
def test_attributes_that_matter_are_taken_in_any_case(name: str) -> None:
    assert parse_sdp_untrusted(a_body(f"a={name}")).media[0].attributes == [("sendonly", None)]


def test_other_attributes_stay_as_written() -> None:
    body = a_body("a=T38FaxVersion:0", "a=X-Odd", "a=empty:", "a=colons:a:b")
    assert parse_sdp_untrusted(body).media[0].attributes == [
        ("T38FaxVersion", "0"),
        ("X-Odd", None),
        ("empty", ""),
        ("colons", "a:b"),
    ]
    assert serialize_sdp(parse_sdp_untrusted(body)) == body


def test_the_order_within_a_section_is_free() -> None:
    body = a_body("a=sendonly", "b=AS:64", "c=IN IP4 192.0.2.2")
    media = parse_sdp_untrusted(body).media[0]
    assert media.connection == Connection("192.0.2.2")
    assert media.bandwidth == ["AS:64"]


def test_a_rejected_stream_needs_neither_address_nor_format() -> None:
    description = parse_sdp_untrusted(session("s=-", "t=0 0", "m=video 0 RTP/AVP"))
    assert description.media[0].rejected
    assert description.media[0].formats == ["0"]
    assert description.address_of(description.media[0]) == ""


def test_a_bandwidth_that_cannot_be_read_is_dropped() -> None:
    assert parse_sdp_untrusted(a_body("b=AS:fast", "b=AS", "b=CT:1")).media[0].bandwidth == ["CT:1"]
    assert parse_sdp_untrusted(session("s=-", "b=?", "t=0 0")).bandwidth == []


def test_an_encryption_key_is_discarded() -> None:
    description = parse_sdp_untrusted(a_body("k=clear:secret"))
    assert b"secret" not in serialize_sdp(description)
    assert parse_sdp_untrusted(session("s=-", "k=prompt")).attributes == []


def test_text_that_is_not_utf_8_survives() -> None:
    body = session("s=M\xfcller", "t=0 0").decode().encode("latin-1")
    assert serialize_sdp(parse_sdp_untrusted(body)) == body


def test_unicode_line_separators_end_no_line() -> None:
    body = session("s=a\u2028b\u0085c", "t=0 0")
    assert parse_sdp_untrusted(body).name == "a\u2028b\u0085c"


@pytest.mark.parametrize(
    "line",
    [
        "m=audio 4000 RTP/SAVPF 0",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "m=image 4000 udptl t38",
        "m=message 2855 TCP/MSRP *",
        "m=audio  4000   RTP/AVP  0  8",
        "m=AUDIO 4000 rtp/avp 0",
    ],
)
def test_media_lines_of_all_kinds_are_read(line: str) -> None:
    media = parse_sdp_untrusted(media_line(line)).media[0]
    assert media.kind == media.kind.lower()
    assert media.formats == line.split()[3:]


# What is refused, with its line.


@pytest.mark.parametrize(
    ("body", "number", "line", "reason"),
    [
        (b"", 0, "", "empty"),
        (b"\r\n\r\n", 0, "", "empty"),
        (b"<xml/>", 1, "<xml/>", "v=0"),
        (b"v=1\r\n", 1, "v=1", "v=0"),
        (b"v=0\r\ns=-\r\n", 0, "", "o="),
        (session("s=-", "s=-"), 4, "s=-", "second s="),
        (session("v=0"), 3, "v=0", "cannot stand here"),
        (session("o=- 1 1 IN IP4 192.0.2.1"), 3, "o=- 1 1 IN IP4 192.0.2.1", "second o="),
        (session("i=a", "i=b"), 4, "i=b", "second i="),
        (session("u=a", "u=b"), 4, "u=b", "second u="),
        (session("c=IN IP4 192.0.2.1", "c=IN IP4 192.0.2.2"), 4, "c=IN IP4 192.0.2.2", "second c="),
        (session("x=1"), 3, "x=1", "cannot stand here"),
        (session("hello"), 3, "hello", "letter=value"),
        (session("", "s=-"), 3, "", "letter=value"),
        (session("t=0"), 3, "t=0", "start and a stop"),
        (session("t=now later"), 3, "t=now later", "start and a stop"),
        (session("r=1 2 3"), 3, "r=1 2 3", "before any time"),
        (session("t=0 0", "z=1 2", "z=1 2"), 5, "z=1 2", "second z="),
        (session("a="), 3, "a=", "no usable name"),
        (session("a=:x"), 3, "a=:x", "no usable name"),
        (session("a=b ad:x"), 3, "a=b ad:x", "no usable name"),
        (b"v=0\r\no=- 1 IN IP4 192.0.2.1\r\n", 2, "o=- 1 IN IP4 192.0.2.1", "six fields"),
        (a_body("i=a", "i=b"), 8, "i=b", "second i="),
        (a_body("c=IN IP4 192.0.2.2", "c=IN IP4 192.0.2.3"), 8, "c=IN IP4 192.0.2.3", "second c="),
        (a_body("s=-"), 7, "s=-", "cannot stand here"),
        (session("m=audio 4000 RTP/AVP 0"), 0, "", "no c= line"),
    ],
)
def test_a_faulty_line_is_named(body: bytes, number: int, line: str, reason: str) -> None:
    error = refusal(body)
    assert (error.line_number, error.line) == (number, line)
    assert reason in error.reason


@pytest.mark.parametrize(
    "line",
    [
        "m=audio",
        "m=audio 4000",
        "m=audio 4000 RTP/AVP",
        "m=audio 65536 RTP/AVP 0",
        "m=audio 123456 RTP/AVP 0",
        "m=audio -1 RTP/AVP 0",
        "m=audio +1 RTP/AVP 0",
        "m=audio 4000/0 RTP/AVP 0",
        "m=audio 4000/65536 RTP/AVP 0",
        "m=audio 4000 RTP/AVP 128",
        "m=audio 4000 RTP/AVP 00",
        "m=audio 4000 RTP/AVP PCMU",
        "m=audio 4000 RTP/ 0",
        "m=aud\u00edo 4000 RTP/AVP 0",
        "m=audio 4000 RTP/AVP \u0660",
        "m=audio 4000 RTP/AVP " + " ".join(["0"] * 129),
    ],
)
def test_a_media_line_that_cannot_be_used_is_refused(line: str) -> None:
    error = refusal(media_line(line))
    assert error.line_number == 6


@pytest.mark.parametrize(
    "value",
    [
        "IN IP4",
        "IN IP4 192.0.2.1 x",
        "IN IP5 192.0.2.1",
        "ATM NSAP 47.0091",
        "IN IP4 192.0.2.256",
        "IN IP4 192.0.2",
        "IN IP4 192.000.2.1",
        "IN IP4 1234",
        "IN IP4 2001:db8::1",
        "IN IP6 192.0.2.1",
        "IN IP6 2001:db8::1::2",
        "IN IP6 fe80::1%eth0",
        "IN IP6 [2001:db8::1]",
        "IN IP4 192.0.2.1/",
        "IN IP4 192.0.2.1/x",
        "IN IP4 a_b",
        "IN IP4 -host",
        "IN IP4 host;rm",
        "IN IP4 h\u00f6st",
    ],
)
def test_an_address_that_cannot_be_used_is_refused(value: str) -> None:
    error = refusal(session("s=-", f"c={value}", "t=0 0"))
    assert error.line_number == 4


@pytest.mark.parametrize(
    "value",
    ["in ip4 192.0.2.1", "IN IP4 host.example.com.", "IN IP6 ::ffff:192.0.2.1", "IN IP6 host"],
)
def test_unusual_addresses_that_can_be_used_are_taken(value: str) -> None:
    connection = parse_sdp_untrusted(session("s=-", f"c={value}", "t=0 0")).connection
    assert connection is not None
    assert connection.host == value.split()[2]
    assert connection.network_type == "IN"


@pytest.mark.parametrize("bad", ["\0", "\x07", "\x1b[2J", "\x7f", "\x0b"])
def test_control_characters_are_refused_and_not_shown(bad: str) -> None:
    error = refusal(session(f"s=a{bad}b"))
    assert error.line_number == 3
    assert "control character" in error.reason
    assert error.line.isprintable()


def test_a_carriage_return_within_a_line_is_refused() -> None:
    assert "control character" in refusal(session("s=a\rb")).reason
    assert refusal(session("s=a\r\rb")).line_number == 3
    assert "control character" in refusal(a_body() + b"\r").reason


def test_the_caps_hold() -> None:
    assert "bytes" in refusal(a_body("a=x:" + "y" * MOST_BYTES)).reason
    long = refusal(a_body("a=x:" + "y " * LONGEST_LINE))
    assert (long.line_number, len(long.line)) == (7, 120)
    assert refusal(a_body(*["a=x"] * MOST_LINES)).line_number == MOST_LINES + 1
    assert "media descriptions" in refusal(a_body(*["m=audio 1 RTP/AVP 0"] * MOST_MEDIA)).reason
    assert parse_sdp_untrusted(a_body("a=x:" + "y" * (LONGEST_LINE - 4)))


def test_errors_show_no_keys() -> None:
    error = refusal(session("crypto 1 AES_CM_128_HMAC_SHA1_80 INLINE:c2VjcmV0|2^20"))
    assert error.line == "crypto 1 AES_CM_128_HMAC_SHA1_80 INLINE:...|2^20"
    assert "c2VjcmV0" not in str(error)


def test_an_error_reads_as_one_line() -> None:
    assert str(refusal(session("x=\u00e4"))) == (
        "SDP line 3: a line of this type cannot stand here: x=?"
    )
    assert str(refusal(b"")) == "SDP: the body is empty"
