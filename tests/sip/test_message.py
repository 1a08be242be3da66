"""Messages show their headers typed, are written safely, and are answered."""

import pytest

from sbc.sip.errors import ParseError
from sbc.sip.fields.via import Via
from sbc.sip.headers import Headers
from sbc.sip.message import REASONS, Request, Response, make_response, serialize
from sbc.sip.parser import parse_message_untrusted
from sbc.sip.uri import Uri


def an_invite() -> Request:
    return Request(
        "INVITE",
        "sip:bob@example.com",
        Headers(
            [
                ("Via", "SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/TCP b"),
                ("Via", "SIP/2.0/TCP c"),
                ("From", '"Alice" <sip:alice@example.com>;tag=ours'),
                ("To", "<sip:bob@example.com>"),
                ("Call-ID", "one@a"),
                ("CSeq", "7 INVITE"),
                ("m", "<sip:alice@a>, <sip:alice@b>"),
                ("Contact", "sip:alice@c"),
                ("Max-Forwards", "070"),
                ("Expires", "120"),
                ("c", "Application / SDP ; charset=utf-8"),
                ("Record-Route", "<sip:p1;lr>"),
                ("Record-Route", "<sip:p2;lr>"),
            ]
        ),
        b"v=0\r\n",
    )


def test_views_read_the_headers() -> None:
    message = an_invite()
    assert message.via == Via("UDP", "a", None, (("branch", "z9hG4bK1"),))
    assert message.from_.display == "Alice"
    assert message.from_tag == "ours"
    assert message.to.uri == message.uri == Uri("sip", "bob", None, "example.com")
    assert message.to_tag is None
    assert message.call_id == "one@a"
    assert (message.cseq.number, message.cseq.method) == (7, "INVITE")
    assert message.contact is not None
    assert message.contact.uri.host == "a"
    assert [contact.uri.host for contact in message.contacts] == ["a", "b", "c"]
    assert message.max_forwards == 70
    assert message.expires == 120
    assert message.content_type == "application/sdp"
    assert message.raw == b""


def test_views_are_made_once_and_follow_changes() -> None:
    message = an_invite()
    assert message.via is message.via
    assert message.uri is message.uri
    message.headers.set("To", "<sip:carol@example.com>;tag=theirs")
    message.headers.set("From", "sip:dave@example.com")
    message.headers.set("CSeq", "8 INVITE")
    message.headers.set("Contact", "<sip:x@y>")
    message.uri_text = "tel:+1"
    assert (message.to.uri.user, message.to_tag) == ("carol", "theirs")
    assert (message.from_.uri.user, message.from_tag) == ("dave", None)
    assert message.cseq.number == 8
    assert message.contact is not None
    assert message.contact.uri.host == "y"
    assert message.uri.scheme == "tel"


def test_views_of_absent_headers() -> None:
    message = Response(200, "OK")
    for view in ("via", "from_", "to", "from_tag", "to_tag", "call_id", "cseq"):
        with pytest.raises(ParseError, match=r"no .* header"):
            getattr(message, view)
    assert message.contact is None
    assert message.contacts == []
    assert message.max_forwards is message.expires is message.content_type is None


@pytest.mark.parametrize(
    ("values", "star", "hosts"),
    [
        (["*"], True, []),
        (["<sip:a@b>"], False, ["b"]),
        ([""], False, []),
        ([], False, []),
    ],
)
def test_a_contact_may_be_a_star(values: list[str], star: bool, hosts: list[str]) -> None:
    message = Request("REGISTER", "sip:b", Headers([("Contact", value) for value in values]))
    assert message.contact_is_star is star
    assert [contact.uri.host for contact in message.contacts] == hosts
    assert (message.contact is None) == (not hosts)


@pytest.mark.parametrize("values", [["*", "<sip:a@b>"], ["<sip:a@b>", "*"], ["*, <sip:a@b>"]])
def test_a_star_is_not_one_of_many(values: list[str]) -> None:
    message = Request("REGISTER", "sip:b", Headers([("Contact", value) for value in values]))
    assert not message.contact_is_star
    with pytest.raises(ParseError):
        _ = message.contacts


@pytest.mark.parametrize("value", ["", "-1", "256", "1.5", "1 2", "x", "9" * 5000])
def test_max_forwards_out_of_range_is_refused(value: str) -> None:
    with pytest.raises(ParseError):
        _ = Request("INVITE", "sip:b", Headers([("Max-Forwards", value)])).max_forwards


def test_expires_counts_to_32_bits() -> None:
    assert Response(200, "OK", Headers([("Expires", "4294967295")])).expires == 4294967295
    with pytest.raises(ParseError):
        _ = Response(200, "OK", Headers([("Expires", "4294967296")])).expires


def test_replacing_the_topmost_via_leaves_those_below() -> None:
    message = an_invite()
    message.replace_via(message.via.with_param("received", "192.0.2.1"))
    assert message.headers.all("via") == [
        "SIP/2.0/UDP a;branch=z9hG4bK1;received=192.0.2.1, SIP/2.0/TCP b",
        "SIP/2.0/TCP c",
    ]
    assert message.via.received == "192.0.2.1"


def test_a_request_is_written_with_the_length_of_its_body() -> None:
    request = Request("BYE", "sip:a@b", Headers([("l", "99"), ("X-Odd", "é")]), b"abc")
    assert serialize(request) == (
        b"BYE sip:a@b SIP/2.0\r\nX-Odd: \xc3\xa9\r\nContent-Length: 3\r\n\r\nabc"
    )
    assert request.headers.has("content-length")


def test_a_response_is_written_with_bytes_that_are_not_utf_8() -> None:
    response = Response(200, "\udcff", Headers([("X", "a\\\0b")]))
    assert serialize(response) == b"SIP/2.0 200 \xff\r\nX: a\\\0b\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("evil", ["\r", "\n", "\r\n", "a\r\nVia: x", "\r\n\r\nINVITE", "\0"])
def test_nothing_can_be_injected(evil: str) -> None:
    headers = Headers([("X", f"a{evil}b")])
    for message in (
        Request("BYE", "sip:a", headers),
        Request(f"BY{evil}E", "sip:a"),
        Request("BYE", f"sip:a{evil}"),
        Response(200, "OK", headers),
        Response(200, f"O{evil}K"),
    ):
        with pytest.raises(ValueError, match=r"inside (a start line or header|method)"):
            serialize(message)


def test_an_escaped_backslash_does_not_make_a_nul_legal() -> None:
    with pytest.raises(ValueError, match="NUL"):
        serialize(Response(200, "OK", Headers([("X", "a\\\\\0")])))


@pytest.mark.parametrize("request_", [Request("A B", "sip:a"), Request("BYE", "sip:a SIP/2.0")])
def test_a_space_cannot_move_the_request_line(request_: Request) -> None:
    with pytest.raises(ValueError, match="space"):
        serialize(request_)


def test_text_that_never_was_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        serialize(Response(200, "\ud800"))


def test_a_response_copies_what_identifies_its_request() -> None:
    response = make_response(an_invite(), 180, to_tag="theirs")
    assert (response.status, response.reason) == (180, "Ringing")
    assert list(response.headers.items()) == [
        ("Via", "SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/TCP b"),
        ("Via", "SIP/2.0/TCP c"),
        ("From", '"Alice" <sip:alice@example.com>;tag=ours'),
        ("To", "<sip:bob@example.com>;tag=theirs"),
        ("Call-ID", "one@a"),
        ("CSeq", "7 INVITE"),
    ]
    assert parse_message_untrusted(serialize(response)) == response


def test_a_response_can_carry_the_route_set() -> None:
    response = make_response(an_invite(), 200, record_route=True)
    assert response.headers.all("record-route") == ["<sip:p1;lr>", "<sip:p2;lr>"]
    assert response.to_tag is None


def test_a_tag_that_is_there_stays() -> None:
    request = an_invite()
    request.headers.set("To", "sip:bob@example.com;tag=first")
    assert make_response(request, 200, to_tag="second").to_tag == "first"


def test_only_a_100_copies_the_timestamp() -> None:
    request = an_invite()
    request.headers.append("Timestamp", "54")
    assert make_response(request, 100).headers.first("timestamp") == "54"
    assert not make_response(request, 180).headers.has("timestamp")


@pytest.mark.parametrize(
    ("status", "given", "reason"),
    [
        (404, None, REASONS[404]),
        (404, "No such number", "No such number"),
        (499, None, "Request Failure"),
        (699, None, "Failure"),
        (200, "", ""),
    ],
)
def test_a_response_has_a_reason(status: int, given: str | None, reason: str) -> None:
    assert make_response(an_invite(), status, given).reason == reason


def test_messages_are_equal_when_they_are_sent_equal() -> None:
    assert an_invite() == an_invite()
    other = an_invite()
    other.body = b""
    assert other != an_invite()
    assert Response(200, "OK") == Response(200, "OK", raw=b"x")
    assert Response(200, "OK") != Response(200, "Fine")
    assert Response(200, "OK") != an_invite()
    assert an_invite() != Response(200, "OK")


def test_thousands_of_contacts_are_refused_before_they_are_read() -> None:
    message = Request("REGISTER", "sip:x", Headers([("Contact", ",".join(["<sip:a@b>"] * 65))]))
    with pytest.raises(ParseError, match="more than 64 contacts"):
        _ = message.contacts
    assert len(Request("REGISTER", "sip:x", Headers([("m", "<sip:a@b>,<sip:c@d>")])).contacts) == 2
