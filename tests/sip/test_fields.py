"""Via, CSeq and addresses are read as their grammar says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.sip.errors import ParseError
from sbc.sip.fields.cseq import CSeq, parse_cseq_untrusted
from sbc.sip.fields.name_addr import parse_name_addr_untrusted, parse_name_addrs_untrusted
from sbc.sip.fields.retry_after import retry_after_of
from sbc.sip.fields.via import Via, parse_via_untrusted
from sbc.sip.headers import Headers
from sbc.sip.message import Response
from sbc.sip.uri import Uri


def test_a_via_is_taken_apart() -> None:
    via = parse_via_untrusted(
        "SIP / 2.0 / udp  Host.Example : 5066 ;branch=z9hG4bK1; rport ;received=192.0.2.9;x"
    )
    assert (via.transport, via.host, via.port) == ("UDP", "host.example", 5066)
    assert via.branch == "z9hG4bK1"
    assert via.received == "192.0.2.9"
    assert via.has_rport
    assert via.rport is None
    assert str(via) == "SIP/2.0/UDP host.example:5066;branch=z9hG4bK1;rport;received=192.0.2.9;x"


def test_a_via_without_parameters_has_none() -> None:
    via = parse_via_untrusted("SIP/2.0/TCP [2001:DB8::1]:5070")
    assert via == Via("TCP", "2001:db8::1", 5070)
    assert (via.branch, via.received, via.rport, via.has_rport) == (None, None, None, False)
    assert str(via) == "SIP/2.0/TCP [2001:db8::1]:5070"


@pytest.mark.parametrize(("value", "port"), [("5070", 5070), ("0", None), ("70000", None)])
def test_rport_is_a_port_or_nothing(value: str, port: int | None) -> None:
    via = parse_via_untrusted(f"SIP/2.0/UDP h;rport={value}")
    assert via.rport == port
    assert via.has_rport


def test_a_via_is_stamped_where_rport_stood() -> None:
    via = parse_via_untrusted("SIP/2.0/UDP h;rport;branch=z9hG4bK1")
    stamped = via.with_param("rport", "40000").with_param("received", "192.0.2.9")
    assert str(stamped) == "SIP/2.0/UDP h;rport=40000;branch=z9hG4bK1;received=192.0.2.9"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ",
        "SIP/2.0 host",
        "SIP/2.0/UDPhost",
        "SIP/2.0/UDP h;",
        "SIP/2.0/UDP h;;branch=a",
        "SIP/2.0/UDP h;branch=",
        "SIP/2.0/UDP h;branch=a;branch=b",
        "SIP/2.0/UDP h:0",
        "SIP/2.0/UDP h:65536",
        "SIP/2.0/UDP [::1",
        "SIP/2.0/UDP [1::2::3]",
        "SIP/2.0/UDP a b",
        "SIP/2.0/UDP h, SIP/2.0/UDP i",
        "SIP/2.0/UDP h;x=\x00",
    ],
)
def test_malformed_vias_are_refused(text: str) -> None:
    with pytest.raises(ParseError):
        parse_via_untrusted(text)


@pytest.mark.parametrize("text", ["1 INVITE", "0001\t INVITE ", "1  INVITE"])
def test_a_cseq_is_a_number_and_a_method(text: str) -> None:
    assert parse_cseq_untrusted(text) == CSeq(1, "INVITE")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "INVITE",
        "INVITE 1",
        "-1 INVITE",
        "1.0 INVITE",
        "1 INVITE x",
        "1 <x>",
        "1INVITE",
        "4294967296 INVITE",
        "9" * 5000 + " INVITE",
        "\u0661 INVITE",
        "1\x0bINVITE",
    ],
)
def test_malformed_cseqs_are_refused(text: str) -> None:
    with pytest.raises(ParseError):
        parse_cseq_untrusted(text)


@pytest.mark.parametrize(
    ("text", "display"),
    [
        ("<sip:a@b>", ""),
        ("Alice <sip:a@b>", "Alice"),
        ("Alice<sip:a@b>", "Alice"),
        ("Alice \t B. Smith  <sip:a@b>", "Alice \t B. Smith"),
        ("Élodie <sip:a@b>", "Élodie"),
        ('"" <sip:a@b>', ""),
        ('"A, \\"B\\" <c>;d" <sip:a@b>', 'A, "B" <c>;d'),
        ('"back\\\\slash"<sip:a@b>', "back\\slash"),
    ],
)
def test_display_names_are_read_in_all_their_forms(text: str, display: str) -> None:
    address = parse_name_addr_untrusted(text)
    assert address.display == display
    assert address.uri == Uri("sip", "a", None, "b")


def test_parameters_belong_to_the_field_unless_brackets_say_otherwise() -> None:
    bare = parse_name_addr_untrusted("sip:a@b;tag=x;q=0.5")
    assert bare.uri.params == ()
    assert (bare.tag, bare.param("q"), bare.param("expires")) == ("x", "0.5", None)
    bracketed = parse_name_addr_untrusted("<sip:a@b;tag=x>;Q = 0.5")
    assert bracketed.uri.param("tag") == "x"
    assert bracketed.tag is None
    assert bracketed.param("q") == "0.5"


def test_quoted_parameter_values_keep_their_quotes_and_delimiters() -> None:
    address = parse_name_addr_untrusted('<sip:a@b>;+sip.instance="<urn:x;y,z>";reg-id=1')
    assert address.params == (("+sip.instance", '"<urn:x;y,z>"'), ("reg-id", "1"))
    assert str(address) == '<sip:a@b>;+sip.instance="<urn:x;y,z>";reg-id=1'


def test_addresses_are_written_so_that_nothing_can_break_out() -> None:
    address = parse_name_addr_untrusted('"a\\"b\\\\" <sip:a@b>;tag=x')
    assert str(address) == '"a\\"b\\\\" <sip:a@b>;tag=x'
    assert str(address.with_param("tag", "y")) == '"a\\"b\\\\" <sip:a@b>;tag=y'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "Alice",
        "a@b",
        "<>",
        "<sip:a@b",
        "sip:a@b>",
        "< sip:a@b >",
        "<sip:a@b> x",
        "<sip:a@b>;",
        "<sip:a@b>;;tag=x",
        "<sip:a@b>;tag=",
        "<sip:a@b>;tag=x;Tag=y",
        '<sip:a@b>;x="y',
        '"Alice <sip:a@b>',
        '"Alice" "B" <sip:a@b>',
        "Bell, Alexander <sip:a@b>",
        "<sip:a@b>, <sip:c@d>",
        "sip:a@b?x=y",
        "sip:a@b,sip:c@d",
        "<sip:a b@c>",
        "<sip:a@b c>",
    ],
)
def test_malformed_addresses_are_refused(text: str) -> None:
    with pytest.raises(ParseError):
        parse_name_addr_untrusted(text)


def test_a_list_of_addresses_is_taken_apart() -> None:
    found = parse_name_addrs_untrusted('"A, B" <sip:a@b>;q=1, sip:c@d;x , <sip:e,f@g>')
    assert [address.uri.user for address in found] == ["a", "c", "e,f"]
    assert parse_name_addrs_untrusted(" ") == []
    with pytest.raises(ParseError):
        parse_name_addrs_untrusted("<sip:a@b>,,<sip:c@d>")


@given(st.text() | st.from_regex(r"\s*[0-9]{1,20}\s*([;(].*)?"))
def test_what_retry_after_says_is_bounded_whatever_that_is(value: str) -> None:
    response = Response(503, "Service Unavailable", Headers([("Retry-After", value)]))
    assert 0 <= retry_after_of(response) < 10**9
