"""URIs are read, compared and written as RFC 3261 §19.1 says."""

import pytest

from sbc.sip.errors import ParseError
from sbc.sip.uri import Uri, parse_uri_untrusted, uris_equal


def test_all_parts_are_taken_apart() -> None:
    uri = parse_uri_untrusted(
        "SIPS:alice:se%20cret@Example.COM:5061;Transport=tcp;lr?Subject=a&b=c"
    )
    assert uri == Uri(
        "sips",
        "alice",
        "se%20cret",
        "example.com",
        5061,
        (("transport", "tcp"), ("lr", None)),
        "Subject=a&b=c",
    )
    assert str(uri) == "sips:alice:se%20cret@example.com:5061;transport=tcp;lr?Subject=a&b=c"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("sip:bob@host1", "host1", None),
        ("sip:sbc01:5060", "sbc01", 5060),
        ("sip:bob@3com.example:5060", "3com.example", 5060),
        ("sip:bob@my_pbx.local.", "my_pbx.local.", None),
        ("sip:192.0.2.1", "192.0.2.1", None),
        ("sip:[2001:DB8::1]", "2001:db8::1", None),
        ("sip:bob@[::]:5060", "::", 5060),
        ("sip:bob@[2001:db8:0:0:0:0:0:1]", "2001:db8:0:0:0:0:0:1", None),
        ("sip:bob@[::ffff:192.0.2.1]:5062", "::ffff:192.0.2.1", 5062),
        ("sip:bob@[2001:db8:::192.0.2.1]", "2001:db8::192.0.2.1", None),
        ("sip:host:0005060", "host", 5060),
    ],
)
def test_hosts_may_be_names_with_digits_and_addresses(
    text: str, host: str, port: int | None
) -> None:
    uri = parse_uri_untrusted(text)
    assert (uri.host, uri.port) == (host, port)


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("", 0),
        ("alice", 0),
        (":alice", 0),
        ("1sip:alice", 0),
        ("sip:", 4),
        ("sip:@host", 4),
        ("sip:alice@", 4),
        ("sip:a@b@c", 7),
        ("sip:alice@host:", 14),
        ("sip:alice@host:x", 14),
        ("sip:alice@host:65536", 15),
        ("sip:alice@host:0", 15),
        ("sip:alice@host:-1", 14),
        ("sip:alice@a..b", 12),
        ("sip:alice@.b", 4),
        ("sip:alice@host;", 14),
        ("sip:alice@host;;lr", 14),
        ("sip:alice@host;=x", 14),
        ("sip:alice@host;a=1;A=2", 14),
        ("sip:alice@host;a=b c", 18),
        ("sip:alice@host?", 14),
        ("sip:al ice@host", 6),
        ("sip:al\r\nice@host", 6),
        ("sip:alice@host\x00", 14),
        ("sip:al%4ice@host", 6),
        ("sip:alice@host;a=%zz", 17),
        ("sip:2001:db8::1", 8),
        ("sip:a@[2001:db8::1", 4),
        ("sip:a@[2001:db8::1::2]", 6),
        ("sip:a@[1:2:3:4:5:6:7]", 6),
        ("sip:a@[1:2:3:4:5:6:7:8:9]", 6),
        ("sip:a@[1:2:3:4:5:6:7:8::]", 6),
        ("sip:a@[12345::]", 6),
        ("sip:a@[::256.0.0.1]", 6),
        ("sip:a@[::1.2.3]", 6),
        ("sip:a@[192.0.2.1]", 6),
        ("sip:<a@b>", 4),
        ("tel:", 4),
        ("tel:1 2", 4),
    ],
)
def test_malformed_uris_are_refused_where_they_go_wrong(text: str, offset: int) -> None:
    with pytest.raises(ParseError) as caught:
        parse_uri_untrusted(text)
    assert (caught.value.status, caught.value.offset) == (400, offset)


@pytest.mark.parametrize("text", ["tel:+1-201-555-0123;phone-context=x", "urn:service:sos"])
def test_other_schemes_stay_opaque(text: str) -> None:
    uri = parse_uri_untrusted(text)
    assert uri.host == ""
    assert str(uri) == text
    assert uri.address_of_record == text


@pytest.mark.parametrize("user", ["*21#", "1;phone-context=+1", "a/b?c", "grün", "{x}", "%00"])
def test_users_that_phones_send_are_kept_as_written(user: str) -> None:
    uri = parse_uri_untrusted(f"sip:{user}@example.com")
    assert uri.user == user
    assert str(uri) == f"sip:{user}@example.com"


def test_parameters_are_found_by_name_in_any_case() -> None:
    uri = parse_uri_untrusted("sip:a@b;LR;Transport=TCP;%6Cine=x%41")
    assert uri.has_param("lr")
    assert uri.param("lr") is None
    assert uri.param("transport") == "TCP"
    assert uri.param("line") == "x%41"
    assert uri.param("maddr") is None
    assert not uri.has_param("maddr")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sip:%61lice:pw@EXAMPLE.com:5060;lr?a=b", "sip:alice@example.com"),
        ("sips:alice@example.com", "sip:alice@example.com"),
        ("sip:a%2fb%40c@example.com", "sip:a%2Fb%40c@example.com"),
        ("sip:*21#@example.com", "sip:*21%23@example.com"),
        ("sip:*21%23@example.com", "sip:*21%23@example.com"),
        ("sip:example.com;lr", "sip:example.com"),
        ("sip:a@[2001:DB8::1]:5060", "sip:a@[2001:db8::1]"),
    ],
)
def test_the_address_of_record_is_canonical(text: str, expected: str) -> None:
    assert parse_uri_untrusted(text).address_of_record == expected


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("sip:a@[2001:db8::1]", "sip:a@[2001:0DB8:0::0:1]"),
        ("tel:+1", "TEL:+1"),
    ],
)
def test_equal_uris(a: str, b: str) -> None:
    assert uris_equal(parse_uri_untrusted(a), parse_uri_untrusted(b))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (
            "SIP:ALICE@AtLanTa.CoM;Transport=udp",
            "sip:alice@AtLanTa.CoM;Transport=UDP",
        ),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:a@[2001:db8::1]", "sip:a@[2001:db8::2]"),
        ("sip:a@example.com", "sips:a@example.com"),
        ("sip:a:x@example.com", "sip:a:y@example.com"),
        ("sip:a%2540@example.com", "sip:a%40@example.com"),
        ("tel:+1", "tel:+2"),
    ],
)
def test_different_uris(a: str, b: str) -> None:
    assert not uris_equal(parse_uri_untrusted(a), parse_uri_untrusted(b))
