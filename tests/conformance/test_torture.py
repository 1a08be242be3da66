"""Every message of RFC 4475 and RFC 5118 has the outcome that is written down for it."""

from pathlib import Path

import pytest

from sbc.sip.errors import ParseError
from sbc.sip.message import Request, Response, make_response, serialize
from sbc.sip.parser import parse_message_untrusted
from tests.conformance.expectations import RFC4475, RFC5118, Accepted, Expectation, Refused

VECTORS = Path(__file__).parent / "vectors"
TABLES = {"rfc4475": RFC4475, "rfc5118": RFC5118}
VIEWS = [
    "via",
    "from_",
    "to",
    "from_tag",
    "to_tag",
    "call_id",
    "cseq",
    "contact",
    "contacts",
    "contact_is_star",
    "max_forwards",
    "expires",
    "content_type",
]


def cases(kind: type[Expectation]) -> list[object]:
    return [
        pytest.param(rfc, name, expected, id=f"{rfc}-{name}")
        for rfc, table in TABLES.items()
        for name, expected in table.items()
        if isinstance(expected, kind)
    ]


def read(rfc: str, name: str) -> bytes:
    return (VECTORS / rfc / f"{name}.dat").read_bytes()


def parsed(rfc: str, name: str) -> Request | Response:
    return parse_message_untrusted(read(rfc, name))


def refusal(data: bytes) -> ParseError:
    with pytest.raises(ParseError) as caught:
        parse_message_untrusted(data)
    return caught.value


@pytest.mark.parametrize("rfc", TABLES)
def test_every_vector_has_an_expectation_and_every_expectation_a_vector(rfc: str) -> None:
    assert {path.stem for path in (VECTORS / rfc).glob("*.dat")} == set(TABLES[rfc])


@pytest.mark.parametrize(("rfc", "name", "expected"), cases(Accepted))
def test_what_is_well_formed_is_accepted(rfc: str, name: str, expected: Accepted) -> None:
    message = parsed(rfc, name)
    malformed = []
    for view in VIEWS:
        try:
            getattr(message, view)
        except ParseError:
            malformed.append(view)
    assert tuple(malformed) == expected.malformed


@pytest.mark.parametrize(("rfc", "name", "expected"), cases(Accepted))
def test_what_is_accepted_survives_being_sent_on(rfc: str, name: str, expected: Accepted) -> None:
    message = parsed(rfc, name)
    assert parse_message_untrusted(serialize(message)) == message


@pytest.mark.parametrize(("rfc", "name", "expected"), cases(Refused))
def test_what_is_malformed_is_refused_with_reason_and_place(
    rfc: str, name: str, expected: Refused
) -> None:
    data = read(rfc, name)
    error = refusal(data)
    assert error.status == expected.status
    assert expected.reason in error.reason
    assert data[error.offset :].startswith(expected.at)
    assert expected.at or error.offset == len(data)


@pytest.mark.parametrize(("rfc", "name", "expected"), cases(Refused))
def test_what_is_refused_is_answered_where_that_can_be_done(
    rfc: str, name: str, expected: Refused
) -> None:
    error = refusal(read(rfc, name))
    assert (error.answerable is not None) == expected.answered
    if error.answerable is not None:
        answer = make_response(error.answerable, error.status, error.reason, "ourtag")
        assert serialize(answer).startswith(f"SIP/2.0 {expected.status} ".encode())
        assert answer.via.host
        assert all(answer.headers.has(key) for key in ("from", "to", "call-id", "cseq"))


def test_wsinv_reads_through_white_space_and_folds() -> None:
    message = parsed("rfc4475", "wsinv")
    assert isinstance(message, Request)
    assert message.uri.has_param("unknownparam")
    assert message.to_tag == "1918181833n"
    assert message.from_.display == 'J Rosenberg \\"'
    assert message.from_tag == "98asjd8"
    assert message.max_forwards == 68
    assert (message.cseq.number, message.cseq.method) == (9, "INVITE")
    assert (message.via.transport, message.via.host) == ("UDP", "192.0.2.2")
    assert message.via.branch == "390skdjuw"
    assert len(message.headers.values("via")) == 3
    assert message.headers.first("subject") == ""
    assert (
        message.headers.first("newfangledheader") == "newfangled value continued newfangled value"
    )
    assert message.headers.first("unknownheaderwithunusualvalue") == ";;,,;;,;"
    assert message.contact is not None
    assert message.contact.display == 'Quoted string ""'
    assert message.contact.params == (
        ("newparam", "newvalue"),
        ("secondparam", None),
        ("q", "0.33"),
    )
    assert len(message.body) == 150


def test_intmeth_keeps_unusual_characters() -> None:
    message = parsed("rfc4475", "intmeth")
    assert isinstance(message, Request)
    assert message.method == message.cseq.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert message.uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert message.uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert message.uri.host == "example.com"
    assert message.via.branch == "z9hG4bK-.!%66*_+`'~"
    assert message.to.display == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert message.from_.display == "token1~` token2'+_ token3*%!.-"
    assert message.from_tag == "_token~1'+`*%!-."
    assert message.call_id == "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"
    assert message.headers.first("extensionheader-!.%*+_`'~") == "\ufeff大停電"


def test_esc01_escapes_are_equivalent_to_what_they_stand_for_but_only_once() -> None:
    message = parsed("rfc4475", "esc01")
    assert isinstance(message, Request)
    assert message.uri.host == "example.net"
    assert message.uri.user == "sips%3Auser%40example.com"
    assert message.to.uri.address_of_record == "sip:user@example.com"
    assert message.contact is not None
    assert message.contact.uri.has_param("lr")
    assert message.contact.uri.param("name") == "v%61lue%25%34%31"


def test_escnull_does_not_shorten_the_user() -> None:
    message = parsed("rfc4475", "escnull")
    assert message.to.uri.address_of_record == "sip:null-%00-null@example.com"
    assert [contact.uri.user for contact in message.contacts] == ["%00", "%00%00"]


def test_esc02_takes_percent_as_it_is_where_it_is_no_escape() -> None:
    message = parsed("rfc4475", "esc02")
    assert isinstance(message, Request)
    assert message.method == "RE%47IST%45R"
    assert message.to.display == "%Z%45"
    assert len(message.contacts) == 2


def test_lwsdisp_finds_the_display_name() -> None:
    assert parsed("rfc4475", "lwsdisp").from_.display == "caller"


def test_longreq_reads_long_values_and_many_vias() -> None:
    message = parsed("rfc4475", "longreq")
    assert message.from_tag == "12" + "982" * 50 + "424"
    assert len(message.headers.values("via")) == 34
    assert message.via.host == "sip33.example.com"


def test_dblreq_ignores_what_follows_the_body() -> None:
    assert parsed("rfc4475", "dblreq").body == b""


def test_semiuri_keeps_the_semicolon_in_the_user_part() -> None:
    message = parsed("rfc4475", "semiuri")
    assert isinstance(message, Request)
    assert message.uri.user == "user;par=u%40example.net"
    assert message.uri.params == ()
    assert len(message.headers.values("accept")) == 6


def test_mpart01_keeps_the_binary_body() -> None:
    message = parsed("rfc4475", "mpart01")
    assert message.content_type == "multipart/mixed"
    assert len(message.body) == 553
    assert b"\0" in message.body


@pytest.mark.parametrize(("name", "reason"), [("noreason", ""), ("unreason", "= 2**3 * 5**2 но")])
def test_reason_phrases_are_free(name: str, reason: str) -> None:
    message = parsed("rfc4475", name)
    assert isinstance(message, Response)
    assert message.reason.startswith(reason)


def test_badinv01_is_answered_by_the_sound_part_of_its_via() -> None:
    request = refusal(read("rfc4475", "badinv01")).answerable
    assert request is not None
    assert request.headers.all("via") == ["SIP/2.0/UDP 192.0.2.15"]


def test_baddn_with_its_end_is_refused_for_its_display_name() -> None:
    data = read("rfc4475", "baddn") + b"\r\n"
    error = refusal(data)
    assert error.reason == "malformed address"
    assert data[error.offset :].startswith(b"Bell, Alexander")


def test_scalar02_has_no_usable_max_forwards_or_expires_either() -> None:
    data = read("rfc4475", "scalar02").replace(b"36893488147419103232", b"1")
    message = parse_message_untrusted(data)
    with pytest.raises(ParseError, match="max-forwards"):
        _ = message.max_forwards
    with pytest.raises(ParseError, match="expires"):
        _ = message.expires


@pytest.mark.parametrize("name", ["unkscm", "novelsc"])
def test_other_schemes_are_opaque(name: str) -> None:
    message = parsed("rfc4475", name)
    assert isinstance(message, Request)
    assert message.uri.host == ""
    assert f"{message.uri}".lower() == message.uri_text.lower()


def test_unksm2_has_other_schemes_in_header_fields() -> None:
    message = parsed("rfc4475", "unksm2")
    assert message.contact is not None
    schemes = [message.to.uri.scheme, message.from_.uri.scheme, message.contact.uri.scheme]
    assert schemes == ["isbn", "http", "name"]


def test_cparam01_is_a_parameter_of_the_contact_and_cparam02_of_the_uri() -> None:
    of_contact = parsed("rfc4475", "cparam01").contact
    of_uri = parsed("rfc4475", "cparam02").contact
    assert of_contact is not None
    assert of_uri is not None
    assert of_contact.params == of_uri.uri.params == (("unknownparam", None),)
    assert of_contact.uri.params == of_uri.params == ()


def test_regescrt_keeps_the_headers_of_the_contact_uri() -> None:
    contact = parsed("rfc4475", "regescrt").contact
    assert contact is not None
    assert contact.uri.headers == "Route=%3Csip:sip.example.com%3E"


def test_inv2543_takes_the_rest_of_the_datagram_for_its_body() -> None:
    message = parsed("rfc4475", "inv2543")
    assert message.via.branch is None
    assert message.from_tag is None
    assert message.max_forwards is None
    assert message.body.endswith(b"m=audio 49217 RTP/AVP 0\r\n")


@pytest.mark.parametrize(
    ("name", "host", "port"),
    [
        ("ipv6-good", "2001:db8::10", None),
        ("port-ambiguous", "2001:db8::10:5070", None),
        ("port-unambiguous", "2001:db8::10", 5070),
        ("ipv6-bug-abnf-3-colons", "2001:db8::192.0.2.1", None),
        ("ipv6-correct-abnf-2-colons", "2001:db8::192.0.2.1", None),
    ],
)
def test_ipv6_references_are_read_without_their_brackets(
    name: str, host: str, port: int | None
) -> None:
    message = parsed("rfc5118", name)
    assert isinstance(message, Request)
    assert (message.uri.host, message.uri.port) == (host, port)


@pytest.mark.parametrize("kind", ["with", "no"])
def test_received_is_read_with_and_without_brackets(kind: str) -> None:
    message = parsed("rfc5118", f"via-received-param-{kind}-delim")
    assert message.via.host == "2001:db8::9:1"
    assert message.via.received == "2001:db8::9:255"


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [
        ("ipv6-in-sdp", b"268", b"251"),
        ("mult-ip-in-sdp", b"181", b"189"),
        ("ipv4-mapped-ipv6", b"236", b"245"),
    ],
)
def test_messages_of_rfc_5118_parse_whole_with_the_right_content_length(
    name: str, wrong: bytes, right: bytes
) -> None:
    data = read("rfc5118", name).replace(b"Content-Length: " + wrong, b"Content-Length: " + right)
    message = parse_message_untrusted(data)
    assert message.body.endswith(b"a=rtpmap:107 H263-1998/90000\r\n")


def test_ipv4_mapped_addresses_are_read_with_their_port() -> None:
    message = parsed("rfc5118", "ipv4-mapped-ipv6")
    assert (message.via.host, message.via.port) == ("::ffff:192.0.2.10", 19823)
    assert message.contact is not None
    assert message.contact.uri.host == "::ffff:192.0.2.2"
